//! The wall clock and the source of chance: the only place in the house that asks the machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mesh_kernel::{
    envelope::Timestamp,
    ports::{Clock, Ids},
};

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    /// A clock whose monotonic side begins now.
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is handed")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::from_unix_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The machine's randomness.
#[derive(Debug)]
pub struct SystemIds;

impl Ids for SystemIds {
    fn random(&self) -> [u8; 10] {
        let mut ten = [0_u8; 10];
        // The first and last bytes of a version 4 UUID are random throughout (RFC 9562, 5.4).
        let uuid = uuid::Uuid::new_v4().into_bytes();
        for (to, from) in ten.iter_mut().zip(uuid.iter().take(6).chain(uuid.iter().skip(9))) {
            *to = *from;
        }
        ten
    }
}

/// 32 random characters for a secret: 160 bits.
pub fn secret() -> String {
    let bytes = [SystemIds.random(), SystemIds.random()].concat();
    let alphabet = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::with_capacity(32);
    for chunk in bytes.chunks(5) {
        let word = chunk.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
        for shift in (0..8).rev() {
            let index = ((word >> (shift * 5)) & 31) as usize;
            text.push(char::from(alphabet.get(index).copied().unwrap_or(b'a')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_plain_and_never_twice() {
        let (a, b) = (secret(), secret());
        assert_eq!(a.len(), 32);
        assert!(a.bytes().all(|c| c.is_ascii_alphanumeric()));
        assert_ne!(a, b);
    }
}

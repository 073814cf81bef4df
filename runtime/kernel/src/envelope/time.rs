//! Instants: nanoseconds since the Unix epoch, UTC, RFC 3339 for people.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize, Serializer};

/// A UTC instant with nanoseconds. Never drawn from the wall outside the kernel's clock.
///
/// **Units**: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant that many nanoseconds after the epoch.
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn unix_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch; zero for instants before it.
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0 / 1_000_000).unwrap_or(0)
    }

    /// The instant `duration` later, at most the last one that can be told.
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<Timestamp> for prost_types::Timestamp {
    fn from(at: Timestamp) -> Self {
        Self {
            seconds: at.0.div_euclid(1_000_000_000),
            nanos: i32::try_from(at.0.rem_euclid(1_000_000_000)).unwrap_or(0),
        }
    }
}

impl From<prost_types::Timestamp> for Timestamp {
    fn from(at: prost_types::Timestamp) -> Self {
        Self(at.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(at.nanos)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(written(*self, &mut [0; LEN_MAX]))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(written(*self, &mut [0; LEN_MAX]))
    }
}

/// **Units**: characters of `2026-01-31T09:30:00.123456789Z`.
const LEN_MAX: usize = 30;

/// The instant as RFC 3339 with no, three, six or nine digits of the second.
///
/// By hand, since every event and every row of a list holds some: through a general formatter they were a
/// twentieth of what a run costs. The date is Howard Hinnant's `civil_from_days`.
fn written(at: Timestamp, buffer: &mut [u8; LEN_MAX]) -> &str {
    const DAY: i64 = 86_400;
    let (seconds, nanos) = (at.0.div_euclid(1_000_000_000), at.0.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    // Days since the first of March of the year 0, in eras of 400 years, years that begin in March.
    let since = days + 719_468;
    let (era, of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (fraction, digits) = match nanos {
        0 => (0, 0),
        nanos if nanos % 1_000_000 == 0 => (nanos / 1_000_000, 3),
        nanos if nanos % 1_000 == 0 => (nanos / 1_000, 6),
        nanos => (nanos, 9),
    };
    let mut length = 0;
    let mut put = |number: i64, digits: usize, then: u8| {
        let mut rest = number;
        for digit in buffer.iter_mut().skip(length).take(digits).rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        length += digits;
        if let Some(place) = buffer.get_mut(length) {
            *place = then;
        }
        length += 1;
    };
    put(year, 4, b'-');
    put(month, 2, b'-');
    put(day, 2, b'T');
    put(second / 3_600, 2, b':');
    put(second / 60 % 60, 2, b':');
    put(second % 60, 2, if digits == 0 { b'Z' } else { b'.' });
    if digits > 0 {
        put(fraction, digits, b'Z');
    }
    buffer.get(..length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
}

/// A text that is no RFC 3339 instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no instant: RFC 3339 in UTC is expected, such as `2026-01-31T09:30:00Z`")]
pub struct NoInstant(String);

impl FromStr for Timestamp {
    type Err = NoInstant;

    fn from_str(text: &str) -> Result<Self, NoInstant> {
        prost_types::Timestamp::from_str(text).map(Self::from).map_err(|_| NoInstant(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = NoInstant;

    fn try_from(text: String) -> Result<Self, NoInstant> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(at: Timestamp) -> String {
        at.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_survives_its_text() {
        for nanos in [0, 1, 1_700_000_000_123_456_789, -1_500_000_000] {
            let at = Timestamp::from_unix_nanos(nanos);
            assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at);
            assert!(at.to_string().ends_with('Z'));
        }
    }

    proptest::proptest! {
        #[test]
        fn every_instant_is_written_as_the_library_writes_it(nanos: i64, coarse in 0..3_u32) {
            let unit = 1_000_i64.pow(coarse + 1);
            for nanos in [nanos, nanos / unit * unit] {
                let at = Timestamp::from_unix_nanos(nanos);
                proptest::prop_assert_eq!(at.to_string(), prost_types::Timestamp::from(at).to_string());
            }
        }
    }
}

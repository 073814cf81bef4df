//! Durations.

use std::time::Duration;

/// A duration's message; `None` when it is too long for one.
pub(in crate::gateway) fn duration(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}

/// A message's duration; `None` when it is negative or none at all.
///
/// The message's own conversion, and its `Display`, negate the seconds, which the least of them does not bear.
pub(in crate::gateway) fn of_message(message: prost_types::Duration) -> Option<Duration> {
    let nanos = u32::try_from(message.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(message.seconds).ok()?, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_that_is_none_is_told_and_no_crash() {
        let of = |seconds, nanos| of_message(prost_types::Duration { seconds, nanos });
        assert_eq!(of(3, 500_000_000), Some(Duration::from_millis(3_500)));
        for (seconds, nanos) in [(i64::MIN, 0), (-1, 0), (0, i32::MIN), (0, 1_000_000_000)] {
            assert_eq!(of(seconds, nanos), None, "{seconds} {nanos}");
        }
    }
}

//! Durations of the contract.

use std::time::Duration;

/// The duration of a protobuf one; none for zero and for negative ones, which mean "not said".
pub(crate) fn of_proto(duration: Option<&prost_types::Duration>) -> Option<Duration> {
    let duration = duration?;
    let seconds = u64::try_from(duration.seconds).ok()?;
    let nanos = u32::try_from(duration.nanos).ok()?;
    let duration = Duration::new(seconds, nanos);
    (!duration.is_zero()).then_some(duration)
}

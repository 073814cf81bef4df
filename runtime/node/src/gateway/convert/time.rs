//! Durations.

use std::time::Duration;

/// A duration's message; `None` when it is too long for one.
pub(in crate::gateway) fn duration(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}

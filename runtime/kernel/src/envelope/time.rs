//! Instants: nanoseconds since the Unix epoch, UTC, RFC 3339 for people.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// A UTC instant with nanoseconds. Never drawn from the wall outside the kernel's clock.
///
/// **Units**: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
        prost_types::Timestamp::from(*self).fmt(f)
    }
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
}

//! How often something may be done.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// So many calls in this time. After a burst they come one by one, evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// Calls.
    pub calls: u32,
    /// In which time.
    #[serde(rename = "perMs", with = "milliseconds")]
    pub per: Duration,
    /// Calls that may come at once after a rest; a tenth of `calls`, and at least one, when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

impl Rate {
    /// So many calls a minute.
    pub fn per_minute(calls: u32) -> Self {
        Self { calls, per: Duration::from_secs(60), burst: None }
    }

    /// Calls that may come at once after a rest.
    pub fn burst(&self) -> u32 {
        self.burst.unwrap_or(self.calls / 10).max(1)
    }

    /// The time between two calls that come evenly.
    pub fn interval(&self) -> Duration {
        self.per / self.calls.max(1)
    }
}

/// Milliseconds in JSON, a duration in memory.
pub(super) mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::contract) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        u64::try_from(value.as_millis()).unwrap_or(u64::MAX).serialize(to)
    }

    pub(in crate::contract) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_millis(u64::deserialize(from)?))
    }
}

//! What can be set about approvals.

use std::time::Duration;

/// Used where a request says nothing itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How long the first approvers have before an approval escalates to admins.
    ///
    /// **Default** 4 h. **Range** 1 s to 30 days.
    pub escalate_after: Duration,
    /// How long anyone has before an approval expires, which is a no. Counted from the request.
    ///
    /// **Default** 24 h. **Range** 1 s to 90 days, and not less than `escalate_after`.
    pub expire_after: Duration,
    /// The largest quorum that can be asked for.
    ///
    /// **Default** 10. **Range** 1 to 100.
    pub quorum_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            escalate_after: Duration::from_secs(4 * 3600),
            expire_after: Duration::from_secs(24 * 3600),
            quorum_max: 10,
        }
    }
}

//! What can be set about workloads.

use std::time::Duration;

/// How a process that ends by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How long to wait after the first failure; doubles with each one after it.
    ///
    /// **Default** 1 s. **Range** 0 to 60 s.
    pub backoff_initial: Duration,
    /// The longest wait between two starts.
    ///
    /// **Default** 60 s. **Range** 1 s to 1 h.
    pub backoff_max: Duration,
    /// A process that was up this long is no failure of its start: counting begins anew.
    ///
    /// **Default** 60 s. **Range** 1 s to 1 h.
    pub stable_after: Duration,
    /// Failures in a row after which a workload is shown as `CrashLooping`.
    ///
    /// **Default** 3. **Range** 1 to 100.
    pub loop_after: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backoff_initial: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            stable_after: Duration::from_secs(60),
            loop_after: 3,
        }
    }
}

impl Config {
    /// How long to wait after that many failures in a row.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.backoff_initial.saturating_mul(1 << doublings).min(self.backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        let config = Config::default();
        let waits: Vec<u64> =
            [0, 1, 2, 3, 6, 7, 8, u32::MAX].map(|failures| config.backoff(failures).as_secs()).to_vec();
        assert_eq!(waits, [1, 1, 2, 4, 32, 60, 60, 60]);
    }
}

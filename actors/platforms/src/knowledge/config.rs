//! What can be set about knowledge.

use std::time::Duration;

/// Bounds of a collection, and how a failed indexing is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Documents of one collection at most. **Default** 50,000.
    pub documents_max: usize,
    /// Sources of one collection at most. **Default** 200.
    pub sources_max: usize,
    /// Documents that may wait for the index before no more are taken. **Default** 2,000.
    pub pending_max: usize,
    /// Documents of one round of indexing at most. **Default** 64.
    pub round_documents: usize,
    /// Bytes of one round of indexing at most, but for its first document. **Default** 4 MiB.
    pub round_bytes: u64,
    /// How long to wait after the first failed round; doubles up to 5 minutes. **Default** 1 s.
    pub backoff_initial: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            documents_max: 50_000,
            sources_max: 200,
            pending_max: 2_000,
            round_documents: 64,
            round_bytes: 4 << 20,
            backoff_initial: Duration::from_secs(1),
        }
    }
}

impl Config {
    /// How long to wait after that many failed rounds in a row.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let doubled = self.backoff_initial.saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled.min(Duration::from_secs(300))
    }
}

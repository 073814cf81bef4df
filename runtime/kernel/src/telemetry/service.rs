//! What a service counts of itself.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The counters of one service, over all its incarnations.
///
/// **Units**: whatever the service works on: events for a follower, timers for the timers.
#[derive(Debug, Default)]
pub struct ServiceMeter {
    handled: AtomicU64,
    depth: AtomicUsize,
}

impl ServiceMeter {
    /// So many are in its hands, or wait for it, now.
    pub fn holds(&self, depth: usize) {
        self.depth.store(depth, Ordering::Relaxed);
    }

    /// So many were handled, and are no longer in its hands.
    pub fn handled(&self, number: usize) {
        self.handled.fetch_add(number as u64, Ordering::Relaxed);
        let left = self.depth.load(Ordering::Relaxed).saturating_sub(number);
        self.depth.store(left, Ordering::Relaxed);
    }

    /// What was handled so far, and what is in its hands.
    pub fn read(&self) -> (u64, usize) {
        (self.handled.load(Ordering::Relaxed), self.depth.load(Ordering::Relaxed))
    }
}

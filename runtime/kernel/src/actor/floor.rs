//! What all slots of a directory share: configuration, clock, sinks, sums.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use super::{ActorConfig, DeadLetterSink, done::Done, restart::Chance};
use crate::{
    ports::Clock,
    telemetry::{Meters, Signals},
};

/// What became of all messages, counted once each.
///
/// INVARIANT: accepted = handled + expired + dead + still queued.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) accepted: Apart<AtomicU64>,
    pub(super) handled: Apart<AtomicU64>,
    pub(super) expired: AtomicU64,
    pub(super) dead: AtomicU64,
}

/// On a cache line of its own: senders write the one, receivers the other, on different cores.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(T);

impl<T> std::ops::Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The ground that the slots stand on.
pub(super) struct Floor {
    pub(super) config: ActorConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dead: Arc<dyn DeadLetterSink>,
    pub(super) meters: Arc<Meters>,
    pub(super) signals: Arc<Signals>,
    pub(super) totals: Totals,
    /// Bytes in all mailboxes.
    pub(super) queued_bytes: Apart<AtomicUsize>,
    /// Memory of all awake entities.
    pub(super) live_bytes: AtomicUsize,
    /// The node stops: nothing new is taken.
    pub(super) closing: AtomicBool,
    /// Memory is short: the sweep is wanted now.
    pub(super) tight: Notify,
    /// Something ended or ran empty: whoever drains looks again.
    pub(super) moved: Notify,
    pub(super) chance: Mutex<Chance>,
    /// Entities that load at once.
    pub(super) starts: Semaphore,
    /// Who is done, for the sweep.
    pub(super) done: Done,
}

impl Floor {
    #[inline]
    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Whether so many percent of the memory for entities are in use.
    #[inline]
    pub(super) fn is_over(&self, percent: usize) -> bool {
        self.live_bytes.load(Ordering::Relaxed) > self.config.memory_bytes / 100 * percent
    }

    /// A message is about to enter a mailbox. The bytes in all mailboxes, its own among them.
    #[inline]
    pub(super) fn charge(&self, bytes: usize) -> usize {
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// A message left the mailboxes for good, or found no room.
    #[inline]
    pub(super) fn uncharge(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A mailbox ran empty, which only whoever drains wants to know.
    #[inline]
    pub(super) fn ran_empty(&self) {
        if self.closing.load(Ordering::Relaxed) {
            self.moved.notify_waiters();
        }
    }

    /// Messages were handled to the end.
    #[inline]
    pub(super) fn handled(&self, number: usize, bytes: usize) {
        self.totals.handled.fetch_add(number as u64, Ordering::Relaxed);
        self.uncharge(bytes);
    }
}

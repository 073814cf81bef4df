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

use super::{ActorConfig, Cause, DeadLetter, DeadLetterSink, DeadReason, Item, NotTaken, Slot, restart::Chance};
use crate::{
    envelope::{Refusal, Timestamp},
    ports::Clock,
    telemetry::{Meters, Signal, SignalKind, Signals},
};

/// What became of all messages, counted once each.
///
/// INVARIANT: accepted = handled + expired + dead + still queued.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) accepted: AtomicU64,
    pub(super) handled: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) dead: AtomicU64,
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
    pub(super) queued_bytes: AtomicUsize,
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
}

impl Floor {
    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Whether so many percent of the memory for entities are in use.
    pub(super) fn is_over(&self, percent: usize) -> bool {
        self.live_bytes.load(Ordering::Relaxed) > self.config.memory_bytes / 100 * percent
    }

    /// A message left the mailboxes for good.
    pub(super) fn uncharge(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn signal(&self, slot: &Slot, kind: SignalKind, reason: Option<Arc<str>>) {
        self.signals.tell(|| Signal {
            at: self.clock.now(),
            address: slot.address().clone(),
            kind,
            event_type: None,
            waited: Duration::ZERO,
            took: Duration::ZERO,
            reason,
        });
    }

    /// Tells of one message.
    pub(super) fn signal_message(&self, slot: &Slot, kind: SignalKind, item: &Item, waited: Duration, took: Duration) {
        self.signals.tell(|| Signal {
            at: self.clock.now(),
            address: slot.address().clone(),
            kind,
            event_type: Some(item.envelope.event_type.clone()),
            waited,
            took,
            reason: item.errors.last().cloned(),
        });
    }

    /// Whether the sender no longer waits for this message.
    pub(super) fn is_expired(&self, item: &Item) -> bool {
        let deadline: Option<Timestamp> = item.envelope.headers.deadline;
        deadline.is_some_and(|deadline| deadline < self.clock.now())
    }

    /// Answers a message whose deadline has passed, without running it.
    pub(super) fn expire(&self, slot: &Slot, mut item: Item) {
        let refusal = NotTaken::Expired { address: slot.address().to_string() };
        let waited = self.now().saturating_sub(item.enqueued_at);
        self.totals.expired.fetch_add(1, Ordering::Relaxed);
        self.uncharge(item.charge);
        self.signal_message(slot, SignalKind::Expired, &item, waited, Duration::ZERO);
        item.answer(Err(Refusal::from(&refusal)));
    }

    /// Puts a message among the dead letters, whole, and answers its sender.
    pub(super) fn bury(
        &self,
        slot: &Slot,
        mut item: Item,
        reason: DeadReason,
        cause: Option<&Cause>,
        incarnation: u64,
    ) {
        let mut errors: Vec<String> = item.errors.iter().map(ToString::to_string).collect();
        if reason != DeadReason::Poison {
            errors.extend(cause.map(ToString::to_string));
        }
        tracing::warn!(
            address = %slot.address(), event = %item.envelope.event_id,
            event_type = %item.envelope.event_type, %reason, ?errors, "dead letter"
        );
        self.totals.dead.fetch_add(1, Ordering::Relaxed);
        self.uncharge(item.charge);
        slot.kind_meter().died();
        self.signal_message(slot, SignalKind::DeadLettered, &item, Duration::ZERO, Duration::ZERO);
        item.answer(Err(Refusal::from(&refusal(slot, &item, &reason, &errors))));
        self.dead.put(DeadLetter {
            envelope: item.envelope,
            reason,
            attempts: item.attempts,
            at: self.clock.now(),
            incarnation,
            errors,
        });
    }
}

fn refusal(slot: &Slot, item: &Item, reason: &DeadReason, errors: &[String]) -> NotTaken {
    let address = slot.address().to_string();
    let why = errors.last().cloned().unwrap_or_default();
    match reason {
        DeadReason::Poison => NotTaken::Poison { event: item.envelope.event_id.to_string(), address, why },
        DeadReason::Quarantined => NotTaken::Quarantined { address, why },
        // Refused letters come from above this floor and are never answered here.
        DeadReason::ShutDown | DeadReason::Refused => NotTaken::Stopping,
    }
}

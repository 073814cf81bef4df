//! What becomes of a message, and who is told: expired, dead, or a signal to whoever listens.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{Cause, DeadLetter, DeadReason, Item, NotTaken, Slot};
use crate::{
    envelope::Refusal,
    telemetry::{Signal, SignalKind},
};

impl Slot {
    pub(super) fn signal(&self, kind: SignalKind, reason: Option<Arc<str>>) {
        self.floor.signals.tell(|| Signal {
            at: self.floor.clock.now(),
            address: self.address().clone(),
            kind,
            event_type: None,
            waited: Duration::ZERO,
            took: Duration::ZERO,
            reason,
        });
    }

    /// Tells of one message.
    pub(super) fn signal_message(&self, kind: SignalKind, item: &Item, waited: Duration, took: Duration) {
        self.floor.signals.tell(|| Signal {
            at: self.floor.clock.now(),
            address: self.address().clone(),
            kind,
            event_type: Some(item.envelope.event_type.clone()),
            waited,
            took,
            reason: item.errors().last().cloned(),
        });
    }

    /// Answers a message whose deadline has passed, without running it.
    pub(super) fn expire(&self, mut item: Item) {
        let refusal = NotTaken::Expired { address: self.address().to_string() };
        let waited = self.floor.now().saturating_sub(item.enqueued_at);
        self.floor.totals.expired.fetch_add(1, Ordering::Relaxed);
        self.floor.uncharge(item.charge);
        self.signal_message(SignalKind::Expired, &item, waited, Duration::ZERO);
        item.answer(Err(Refusal::from(&refusal)));
    }

    /// Puts a message among the dead letters, whole, and answers its sender.
    pub(super) fn bury(&self, mut item: Item, reason: DeadReason, cause: Option<&Cause>, incarnation: u64) {
        let mut errors: Vec<String> = item.errors().iter().map(ToString::to_string).collect();
        if reason != DeadReason::Poison {
            errors.extend(cause.map(ToString::to_string));
        }
        tracing::warn!(
            address = %self.address(), event = %item.envelope.event_id,
            event_type = %item.envelope.event_type, %reason, ?errors, "dead letter"
        );
        self.floor.totals.dead.fetch_add(1, Ordering::Relaxed);
        self.floor.uncharge(item.charge);
        self.kind_meter().died();
        self.signal_message(SignalKind::DeadLettered, &item, Duration::ZERO, Duration::ZERO);
        let refusal = Refusal::from(&refusal(self, &item, &reason, &errors));
        self.floor.dead.put(DeadLetter {
            envelope: item.envelope.clone(),
            reason,
            attempts: item.attempts,
            at: self.floor.clock.now(),
            incarnation,
            errors,
        });
        // Last: who is told that it is kept finds it there.
        item.answer(Err(refusal));
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

//! One message in a mailbox, and its answer.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::link::Link;
use crate::{
    envelope::{Envelope, Refusal},
    ports::Position,
};

/// What a handled command is answered with.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The version of the entity's last event.
    pub version: u64,
    /// The journal position of that event.
    pub position: Position,
    /// The events that the command caused.
    pub events: Vec<Arc<Envelope>>,
    /// The view that was asked for; null when none was.
    pub view: serde_json::Value,
    /// Whether it is the answer of an earlier command with the same key.
    pub repeated: bool,
}

/// The answer to a message: what came of it, or a refusal.
pub type Answer = Result<Answered, Refusal>;

/// Where the answer goes: made by the asker, so an answer never waits for room.
pub type ReplySlot = oneshot::Sender<Answer>;

/// Which lane of the mailbox a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Cancel, approve, timers, outcomes: served first, few.
    Control,
    /// Everything else: a lane for each tenant, served in turn.
    Work,
}

/// What a queued message is charged for beside its envelope.
const OVERHEAD: usize = 100;

/// A message in a mailbox: the envelope, where the answer goes, and how often it was tried.
#[derive(Debug)]
pub struct Item {
    /// The message.
    pub envelope: Arc<Envelope>,
    /// Where the answer goes; `None` for a tell.
    pub reply: Option<ReplySlot>,
    /// How often a handler died of it.
    pub attempts: u8,
    /// When the mailbox took it; monotonic.
    pub(super) enqueued_at: Duration,
    /// The lane that took it.
    pub(super) lane: Lane,
    /// The bytes that it is charged for.
    pub(super) charge: usize,
    /// The handler that asks, and for whom it works.
    pub(super) asked_by: Option<Arc<Link>>,
    /// Why handlers died of it; a null pointer for nearly all, for items are moved a lot.
    faults: Option<Box<Faults>>,
}

#[derive(Debug, Default)]
struct Faults(Vec<Arc<str>>);

impl Item {
    /// A fresh message.
    pub fn new(envelope: Arc<Envelope>, reply: Option<ReplySlot>) -> Self {
        let charge = envelope.charge() + OVERHEAD;
        Self {
            envelope,
            reply,
            attempts: 0,
            enqueued_at: Duration::ZERO,
            lane: Lane::Work,
            charge,
            asked_by: None,
            faults: None,
        }
    }

    /// A handler died of it, for this reason.
    pub(super) fn blame(&mut self, why: Arc<str>) {
        self.attempts = self.attempts.saturating_add(1);
        self.faults.get_or_insert_default().0.push(why);
    }

    /// Why handlers died of it.
    pub(super) fn errors(&self) -> &[Arc<str>] {
        self.faults.as_ref().map_or(&[], |faults| &faults.0)
    }

    /// When the mailbox took it, on the kernel's monotonic clock.
    pub fn enqueued_at(&self) -> Duration {
        self.enqueued_at
    }

    /// Answers, when someone still waits for it. Answers once; later ones go nowhere.
    pub fn answer(&mut self, answer: Answer) {
        if let Some(reply) = self.reply.take() {
            // The asker may have gone: then nobody wants to know.
            let _ = reply.send(answer);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::envelope::{Address, EventId, Headers, Principal, Timestamp, TraceId};

    /// A message of this tenant whose type is `name`, with so many bytes of payload.
    pub(in crate::actor) fn item(tenant: &str, name: &str, bytes: usize) -> Item {
        let subject: Address = format!("{tenant}/control-plane/run/run-1").parse().unwrap();
        let event_id = EventId::parse(&format!("evt-{name}")).unwrap();
        let envelope = Envelope {
            event_type: Arc::from(name),
            tenant_id: subject.tenant().clone(),
            project_id: None,
            module_id: None,
            trace_id: TraceId::parse("trace-1").unwrap(),
            correlation_id: (&event_id).into(),
            causation_id: event_id.clone(),
            event_id,
            occurred_at: Timestamp::default(),
            payload: vec![0; bytes].into(),
            headers: Headers::new(subject, Principal::system("test")),
        };
        Item::new(Arc::new(envelope), None)
    }

    #[test]
    fn an_item_is_answered_once() {
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        let mut item = item("acme", "a", 0);
        item.reply = Some(reply);
        let refusal = |code| crate::envelope::Refusal::new(code, crate::envelope::ErrorKind::Internal, "no");
        item.answer(Err(refusal("first")));
        item.answer(Err(refusal("second")));
        assert_eq!(answer.try_recv().unwrap().unwrap_err().code, "first");
    }
}

//! Step 5, decide: what happens?
//!
//! The pure decider, and before it the two checks that every command passes: was this key done
//! already (and for the same request), and does the sender know the version it speaks of?

use std::sync::Arc;

use super::{entity::Entity, span::step};
use crate::{
    actor::Crash,
    entity::{AnyEvent, Cause, Fresh, KeySpan},
    envelope::{Envelope, ErrorKind, Payload, Refusal},
};

/// What a command comes to.
pub(super) enum Verdict {
    /// Done before under the same key.
    Repeated(KeySpan),
    /// Allowed, and nothing happens.
    Nothing,
    /// These events, not yet recorded; each also as its decider made it.
    Happened(Vec<Arc<Envelope>>, Vec<AnyEvent>),
    /// No.
    Refused(Refusal),
}

impl Entity {
    /// Step 5.
    pub(super) fn decide(&self, command: &Envelope) -> Result<Verdict, Crash> {
        let _span = step!("decide", self.services, &command.trace_id, self.address).entered();
        if let Some(span) = self.keys.get(&command.headers) {
            return Ok(if span.is_of(&command.headers) { Verdict::Repeated(span) } else { Verdict::Refused(other()) });
        }
        if let Some(span) = self.recorded_already(command) {
            return Ok(Verdict::Repeated(span));
        }
        if let Some(expected) = command.headers.expected_version.filter(|expected| *expected != self.version) {
            return Ok(Verdict::Refused(stale(expected, self.version)));
        }
        // Never before the last event, even when the wall clock jumps back.
        let at = self.services.clock.now().max(self.last_at);
        let cause = Cause {
            address: self.address.clone(),
            event_id: command.event_id.clone(),
            at,
            principal: command.headers.principal.clone(),
            trace_id: command.trace_id.clone(),
            correlation_id: command.correlation_id.clone(),
            key: command.headers.idempotency_key.clone(),
            version: self.version,
        };
        let payload = Payload {
            name: command.event_type.clone(),
            schema_version: command.headers.schema_version,
            bytes: command.payload.clone(),
        };
        let decided = self.decider.decide(&self.published.inner.read().state, &payload, &cause);
        Ok(match decided {
            Err(refusal) => Verdict::Refused(refusal),
            Ok(events) if events.is_empty() => Verdict::Nothing,
            Ok(fresh) => {
                let (mut envelopes, mut events) = (Vec::with_capacity(fresh.len()), Vec::with_capacity(fresh.len()));
                for (index, Fresh { payload, event }) in fresh.into_iter().enumerate() {
                    envelopes.push(Arc::new(self.event(command, &cause, index, payload)));
                    events.push(event);
                }
                Verdict::Happened(envelopes, events)
            }
        })
    }

    /// The events of this very command, when they are the last ones: its handler was killed between the
    /// record and the answer, and the message is tried again. No key is needed to know that.
    fn recorded_already(&self, command: &Envelope) -> Option<KeySpan> {
        let published = self.published.inner.read();
        let last = published.last.as_ref().filter(|last| last.causation_id == command.event_id)?;
        let index: u64 = last.event_id.as_str().rsplit_once('.')?.1.parse().ok()?;
        Some(KeySpan::new(self.version.checked_sub(index)?, self.version))
    }

    /// The envelope of one event: caused by the command, about this entity.
    fn event(&self, command: &Envelope, cause: &Cause, index: usize, event: Payload) -> Envelope {
        let mut headers = command.headers.clone();
        headers.schema_version = event.schema_version;
        headers.actor = Some(self.address.clone());
        headers.subject = self.address.clone();
        headers.expected_version = None;
        headers.deadline = None;
        headers.content_type = String::new();
        Envelope {
            event_id: command.event_id.derived(index),
            event_type: event.name,
            tenant_id: command.tenant_id.clone(),
            project_id: command.project_id.clone(),
            module_id: command.module_id.clone(),
            trace_id: command.trace_id.clone(),
            correlation_id: command.correlation_id.clone(),
            causation_id: command.event_id.clone(),
            occurred_at: cause.at,
            payload: event.bytes,
            headers,
        }
    }
}

fn other() -> Refusal {
    let message = "this request id was used for another request: repeat that one as it was, or choose a new id";
    Refusal::new("KER-0081", ErrorKind::AlreadyExists, message).at("request_id", "choose one that was never used")
}

fn stale(expected: u64, actual: u64) -> Refusal {
    Refusal::new(
        "KER-0080",
        ErrorKind::Aborted,
        format!("it has changed: you saw version {expected}, it is at {actual}; read it again, then decide"),
    )
}

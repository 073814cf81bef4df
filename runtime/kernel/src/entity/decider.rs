//! The decider trait: command in, events or a refusal out; no I/O, no clock, no randomness.

use serde::{Serialize, de::DeserializeOwned};

use super::{CodecError, Wants, decode_tagged};
use crate::envelope::{Address, CorrelationId, EventId, IdempotencyKey, Kind, Principal, Refuse, Timestamp, TraceId};

/// What a decider may know of the command beside its content.
///
/// Time and ids come from here and from nowhere else, so the same command decided twice gives the
/// same events.
#[derive(Debug, Clone)]
pub struct Cause {
    /// The entity itself.
    pub address: Address,
    /// The command's id.
    pub event_id: EventId,
    /// When the command was accepted: the decider's "now".
    pub at: Timestamp,
    /// Who asks, and on whose behalf.
    pub principal: Principal,
    /// The lineage key.
    pub trace_id: TraceId,
    /// The activity that it belongs to.
    pub correlation_id: CorrelationId,
    /// The command's idempotency key.
    pub key: Option<IdempotencyKey>,
    /// The version of the entity's last event.
    pub version: u64,
}

/// What `evolve` may know of an event beside its content.
#[derive(Debug, Clone)]
pub struct Recorded<'a> {
    /// The entity itself.
    pub address: &'a Address,
    /// The event's id.
    pub event_id: &'a EventId,
    /// The event's version in the entity, from 1.
    pub version: u64,
    /// When it came to be.
    pub at: Timestamp,
    /// Who caused it.
    pub principal: &'a Principal,
    /// The lineage key.
    pub trace_id: &'a TraceId,
    /// The activity that it belongs to.
    pub correlation_id: &'a CorrelationId,
}

/// The pure heart of an entity kind.
///
/// INVARIANT: no method does I/O, reads a clock or draws a random number. `evolve` takes every event
/// that `decide` ever produced, in every version.
pub trait Decider: Send + Sync + 'static {
    /// What is true now. Serialised for snapshots.
    type State: Send + Sync + Serialize + DeserializeOwned + 'static;
    /// What may be asked: an externally tagged enum, variants VerbNoun.
    type Command: DeserializeOwned + Send + 'static;
    /// What may happen: an externally tagged enum, variants NounVerbPastTense.
    type Event: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What is refused.
    type Error: Refuse;

    /// The platform and aggregate that addresses of this kind carry.
    const KIND: Kind;
    /// Raised when the state's form changes, so that old snapshots are ignored.
    const STATE_VERSION: u32 = 1;
    /// `cs-schema-version` of the events written today.
    const SCHEMA_VERSION: u32 = 1;
    /// Commands that are served before all others: cancel, pause, timers.
    const CONTROL: &'static [&'static str] = &["FireTimer"];

    /// The state before the first event.
    fn initial(&self, address: &Address) -> Self::State;

    /// What happens because of this command.
    ///
    /// # Errors
    /// The refusal, which is the caller's answer; nothing is recorded.
    fn decide(
        &self,
        state: &Self::State,
        command: Self::Command,
        cause: &Cause,
    ) -> Result<Vec<Self::Event>, Self::Error>;

    /// Moves the state by one recorded event.
    fn evolve(&self, state: &mut Self::State, event: Self::Event, recorded: &Recorded<'_>);

    /// The effects and timers that this state still wants.
    fn wants(&self, _state: &Self::State) -> Wants {
        Wants::default()
    }

    /// The state as callers see it: the answer to a query and to a command.
    ///
    /// `what` is empty for the usual view; a kind may know others.
    fn view(&self, state: &Self::State, _what: &str) -> serde_json::Value {
        serde_json::to_value(state).unwrap_or_default()
    }

    /// Whether nothing more is expected of the entity: it sleeps soon, and its snapshot can wait.
    fn is_done(&self, _state: &Self::State) -> bool {
        false
    }

    /// Bytes that the state takes in memory, roughly.
    fn size_hint(&self, _state: &Self::State) -> usize {
        1024
    }

    /// Decodes an event of any schema version ever written: the place for upcasts.
    ///
    /// # Errors
    /// [`CodecError`]: the entity is quarantined at this position.
    fn upcast(&self, name: &str, _schema_version: u32, payload: &[u8]) -> Result<Self::Event, CodecError> {
        decode_tagged(name, payload)
    }
}

//! Deciders without their types, so that one path serves every kind.

use std::{any::Any, collections::HashMap, sync::Arc};

use bytes::Bytes;

use super::{Cause, CodecError, Decider, Recorded, Wants, decode_tagged, encode_tagged};
use crate::envelope::{Address, Envelope, ErrorKind, Kind, Payload, Refusal};

/// A state whose type only its decider knows.
pub type AnyState = Box<dyn Any + Send + Sync>;

/// An event whose type only its decider knows.
pub type AnyEvent = Box<dyn Any + Send + Sync>;

/// An event that was decided: as it is recorded, and as its decider made it, so that the state moves
/// without decoding again what was encoded a moment ago.
pub struct Fresh {
    /// As it is recorded.
    pub payload: Payload,
    /// As the decider made it.
    pub event: AnyEvent,
}

/// What a decider answered: events, or a refusal.
pub type Decided = Result<Vec<Fresh>, Refusal>;

/// A [`Decider`] seen by the path: bytes in, bytes out.
pub trait ErasedDecider: Send + Sync + 'static {
    /// The kind of its addresses.
    fn kind(&self) -> Kind;
    /// Whether this command is served before others.
    fn is_control(&self, command: &str) -> bool;
    /// The state before the first event.
    fn initial(&self, address: &Address) -> AnyState;
    /// Decodes the command and decides.
    fn decide(&self, state: &AnyState, command: &Payload, cause: &Cause) -> Decided;
    /// Decodes an event and moves the state.
    ///
    /// # Errors
    /// [`CodecError`] when the event cannot be decoded.
    fn evolve(&self, state: &mut AnyState, envelope: &Envelope, version: u64) -> Result<(), CodecError>;
    /// Moves the state by an event that [`ErasedDecider::decide`] made and that `envelope` recorded.
    ///
    /// # Errors
    /// [`CodecError`] when it is another decider's.
    fn evolve_fresh(
        &self,
        state: &mut AnyState,
        event: AnyEvent,
        envelope: &Envelope,
        version: u64,
    ) -> Result<(), CodecError>;
    /// What the state still wants.
    fn wants(&self, state: &AnyState) -> Wants;
    /// The state as callers see it.
    fn view(&self, state: &AnyState, what: &str) -> serde_json::Value;
    /// The state for a snapshot, or none when it cannot be told.
    fn snapshot(&self, state: &AnyState) -> Option<Bytes>;
    /// The state of a snapshot, or none when it is of another version.
    fn restore(&self, snapshot: &[u8]) -> Option<AnyState>;
    /// Whether nothing more is expected of the entity.
    fn is_done(&self, state: &AnyState) -> bool;
    /// Bytes that the state takes in memory, roughly.
    fn size_hint(&self, state: &AnyState) -> usize;
}

struct Erased<D>(D);

impl<D: Decider> Erased<D> {
    fn moved(
        &self,
        state: &mut AnyState,
        event: D::Event,
        envelope: &Envelope,
        version: u64,
    ) -> Result<(), CodecError> {
        let Some(state) = state.downcast_mut::<D::State>() else {
            return Err(CodecError::Shape(std::any::type_name::<D::State>()));
        };
        let recorded = Recorded {
            address: &envelope.headers.subject,
            event_id: &envelope.event_id,
            version,
            at: envelope.occurred_at,
            principal: &envelope.headers.principal,
            trace_id: &envelope.trace_id,
            correlation_id: &envelope.correlation_id,
        };
        self.0.evolve(state, event, &recorded);
        Ok(())
    }
}

/// A state of another decider: a bug of the wiring, answered and never ignored.
fn foreign_state(kind: Kind) -> Refusal {
    Refusal::new("KER-0001", ErrorKind::Internal, format!("a state that is not of kind `{kind}`"))
}

impl<D: Decider> ErasedDecider for Erased<D> {
    fn kind(&self) -> Kind {
        D::KIND
    }

    fn is_control(&self, command: &str) -> bool {
        D::CONTROL.contains(&command)
    }

    fn initial(&self, address: &Address) -> AnyState {
        Box::new(self.0.initial(address))
    }

    fn decide(&self, state: &AnyState, command: &Payload, cause: &Cause) -> Decided {
        let state = state.downcast_ref::<D::State>().ok_or_else(|| foreign_state(D::KIND))?;
        let command = decode_tagged::<D::Command>(&command.name, &command.bytes).map_err(|error| {
            Refusal::new(
                "KER-0002",
                ErrorKind::InvalidArgument,
                format!("`{}` is no command that `{}` takes: {error}", command.name, D::KIND),
            )
        })?;
        let events = self.0.decide(state, command, cause).map_err(|error| Refusal::from(&error))?;
        events
            .into_iter()
            .map(|event| {
                let payload = encode_tagged(&event, D::SCHEMA_VERSION)?;
                Ok(Fresh { payload, event: Box::new(event) as AnyEvent })
            })
            .collect::<Result<Vec<_>, CodecError>>()
            .map_err(|error| Refusal::new("KER-0003", ErrorKind::Internal, error.to_string()))
    }

    fn evolve(&self, state: &mut AnyState, envelope: &Envelope, version: u64) -> Result<(), CodecError> {
        let event = self.0.upcast(&envelope.event_type, envelope.headers.schema_version, &envelope.payload)?;
        self.moved(state, event, envelope, version)
    }

    fn evolve_fresh(
        &self,
        state: &mut AnyState,
        event: AnyEvent,
        envelope: &Envelope,
        version: u64,
    ) -> Result<(), CodecError> {
        let event = event.downcast::<D::Event>().map_err(|_| CodecError::Shape(std::any::type_name::<D::Event>()))?;
        self.moved(state, *event, envelope, version)
    }

    fn wants(&self, state: &AnyState) -> Wants {
        state.downcast_ref::<D::State>().map(|state| self.0.wants(state)).unwrap_or_default()
    }

    fn view(&self, state: &AnyState, what: &str) -> serde_json::Value {
        state.downcast_ref::<D::State>().map(|state| self.0.view(state, what)).unwrap_or_default()
    }

    fn snapshot(&self, state: &AnyState) -> Option<Bytes> {
        let state = state.downcast_ref::<D::State>()?;
        let mut bytes = D::STATE_VERSION.to_le_bytes().to_vec();
        serde_json::to_writer(&mut bytes, state).ok()?;
        Some(Bytes::from(bytes))
    }

    fn restore(&self, snapshot: &[u8]) -> Option<AnyState> {
        let (version, json) = snapshot.split_at_checked(4)?;
        if version != D::STATE_VERSION.to_le_bytes() {
            return None;
        }
        let state: D::State = serde_json::from_slice(json).ok()?;
        Some(Box::new(state))
    }

    fn is_done(&self, state: &AnyState) -> bool {
        state.downcast_ref::<D::State>().is_some_and(|state| self.0.is_done(state))
    }

    fn size_hint(&self, state: &AnyState) -> usize {
        state.downcast_ref::<D::State>().map_or(0, |state| self.0.size_hint(state))
    }
}

/// The kinds of entities that a node knows.
#[derive(Clone, Default)]
pub struct Kinds(HashMap<(&'static str, &'static str), Arc<dyn ErasedDecider>>);

impl Kinds {
    /// Adds a kind; the last one added under a name is the one that counts.
    #[must_use]
    pub fn with<D: Decider>(mut self, decider: D) -> Self {
        self.0.insert((D::KIND.platform, D::KIND.name), Arc::new(Erased(decider)));
        self
    }

    /// The decider for an address, when its kind is known.
    pub fn of(&self, address: &Address) -> Option<Arc<dyn ErasedDecider>> {
        self.0.get(&(address.platform(), address.kind())).cloned()
    }

    /// All kinds, sorted.
    pub fn all(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.0.values().map(|decider| decider.kind()).collect();
        kinds.sort();
        kinds
    }
}

//! A collection: its documents, and how far they are indexed.

mod decide;
mod state;
#[cfg(test)]
mod tests;

use mesh_kernel::{
    entity::{Cause, Decider, EffectRequest, Recorded, TimerRequest, Wants},
    envelope::{Address, Classification, IdempotencyKey, Kind},
    ports::Digest,
};
use serde::{Deserialize, Serialize};

use crate::knowledge::{
    Error,
    config::Config,
    messages::{CollectionCommand as Command, CollectionEvent as Event, Document, Gone},
};

pub use state::{Known, Source, State, Status};

/// Who indexes.
pub const HANDLER: &str = "knowledge-index";
/// The timer after which a failed round is tried again.
const TIMER: &str = "index";

/// Decides for collections.
#[derive(Debug, Clone, Copy, Default)]
pub struct CollectionMachine(pub Config);

/// A round of indexing: what its performer is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// Its number; an index keeps the last one that it has done.
    pub round: u64,
    /// The collection.
    pub collection: String,
    /// Raised when everything is indexed anew: an index of an older one is thrown away.
    pub generation: u64,
    /// The round behind which this generation began.
    pub began: u64,
    /// What is to be indexed.
    pub documents: Vec<ToIndex>,
    /// What is to be found no more.
    pub removed: Vec<Gone>,
    /// Bodies that nothing needs any more.
    pub bodies: Vec<Digest>,
}

/// A document that is to be indexed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToIndex {
    /// The source.
    pub source: String,
    /// The document.
    #[serde(flatten)]
    pub document: Document,
    /// How far it may travel.
    pub classification: Classification,
    /// It was written outside.
    pub outside: bool,
}

impl Decider for CollectionMachine {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = Kind { platform: "knowledge", name: "collection" };
    const CONTROL: &'static [&'static str] = &["FireTimer", "ForgetDocuments", "RecordIndexed", "RecordFailure"];

    fn initial(&self, address: &Address) -> State {
        State { name: address.id().to_owned(), ..State::default() }
    }

    fn decide(&self, state: &State, command: Command, _cause: &Cause) -> Result<Vec<Event>, Error> {
        decide::decide(&self.0, state, command)
    }

    fn evolve(&self, state: &mut State, event: Event, recorded: &Recorded<'_>) {
        state.evolve(&self.0, event, recorded);
    }

    fn wants(&self, state: &State) -> Wants {
        if let Some(due) = state.retry_at {
            return Wants { timers: vec![TimerRequest { due, name: TIMER.to_owned() }], ..Wants::default() };
        }
        Wants { effects: index(&self.0, state).into_iter().collect(), ..Wants::default() }
    }

    fn view(&self, state: &State, what: &str) -> serde_json::Value {
        state.view(what)
    }

    fn size_hint(&self, state: &State) -> usize {
        1024 + state.documents() * 320
    }
}

/// The next round, while anything waits.
fn index(config: &Config, state: &State) -> Option<EffectRequest> {
    let round = state.round(config)?;
    Some(EffectRequest {
        key: IdempotencyKey::parse(&format!("index.{}.{}.{}", round.generation, round.round, state.failures)).ok()?,
        handler: HANDLER,
        attempt: state.failures + 1,
        input: serde_json::to_vec(&round).ok()?.into(),
        timeout: None,
    })
}

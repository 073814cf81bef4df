//! An effect on its way to a performer, and the way back.

use std::sync::Arc;

use crate::{
    BoxFuture,
    entity::EffectRequest,
    envelope::{Address, Envelope, Refusal},
    ports::Outcome,
};

/// An effect that an entity asked for.
#[derive(Debug, Clone)]
pub struct EffectTask {
    /// Who asked, and who gets the outcome.
    pub address: Address,
    /// What was asked.
    pub request: EffectRequest,
    /// The event because of which it was asked: trace, correlation, principal.
    pub cause: Arc<Envelope>,
    /// It may have been asked for before: by an earlier life of the entity, or of the node.
    pub asked_before: bool,
}

/// The way back from the workers to the entities.
pub trait Outbox: Send + Sync + 'static {
    /// Sends the outcome as a command; done when the entity has recorded or refused it.
    fn tell<'a>(&'a self, task: &'a EffectTask, outcome: Outcome) -> BoxFuture<'a, Result<(), Refusal>>;

    /// There is room again: has this entity ask for what it still wants, waking it when it sleeps.
    fn ask_again(&self, address: &Address);

    /// Everybody who waits for work, as far as the journal knows; `None` when it cannot be read now.
    fn who_waits(&self) -> BoxFuture<'_, Option<Vec<Address>>>;
}

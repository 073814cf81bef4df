//! What runs inside an actor: the part that the floors above write.

use std::{error::Error, sync::Arc, time::Duration};

use super::{Item, Slot};
use crate::{BoxFuture, envelope::Address};

/// A slot as everything outside this floor holds it.
pub type SlotHandle = Arc<Slot>;

/// Why an incarnation cannot go on.
///
/// A refusal is no crash: it is an answer. A crash ends the incarnation and is its supervisor's
/// business.
#[derive(Debug, thiserror::Error)]
pub enum Crash {
    /// It may be the message's fault: the message is tried once more, then it is a dead letter.
    #[error("{0}")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// Not the message's fault (the journal refused, a dependency is away): tried again after a
    /// while, as often as it takes, until the message's own deadline.
    #[error("{0}")]
    Retry(#[source] Box<dyn Error + Send + Sync>),
    /// The entity cannot be decoded: it is stopped, its mailbox closed, an alarm raised.
    #[error("cannot be decoded at version {version}: {reason}")]
    Quarantine {
        /// The version of the event that could not be decoded; 0 for a snapshot.
        version: u64,
        /// Why not.
        #[source]
        reason: Box<dyn Error + Send + Sync>,
    },
}

/// One incarnation of one address.
///
/// INVARIANT: of one address at most one behaviour exists at any time, and its methods are never
/// called at the same time. State is never carried over a crash: the next incarnation begins with a
/// new behaviour.
pub trait Behaviour: Send + 'static {
    /// Loads what it needs; the first thing that is called, before any message.
    ///
    /// # Errors
    /// [`Crash`]: the incarnation ends, and its messages wait for the next one.
    fn start(&mut self) -> BoxFuture<'_, Result<(), Crash>>;

    /// Handles one message without waiting for anything, when it can: most of the price of a small
    /// message is the future that it does not need. None leaves the message, untouched, to
    /// [`Behaviour::handle`].
    fn handle_at_once(&mut self, item: &mut Item) -> Option<Result<(), Crash>> {
        let _ = item;
        None
    }

    /// Handles one message and answers `item.reply` itself, by taking it.
    ///
    /// **Cancel safety**: the future is dropped when the actor is killed; the message then goes back
    /// to the head of its lane.
    ///
    /// # Errors
    /// [`Crash`]: the incarnation ends. What is left in `item.reply` is kept for the next try.
    fn handle<'a>(&'a mut self, item: &'a mut Item) -> BoxFuture<'a, Result<(), Crash>>;

    /// Someone wants it awake, and it is: it asks again for what it waits for. Short, and between
    /// messages.
    fn again(&mut self) {}

    /// Whether it may sleep now.
    fn may_park(&self) -> bool;

    /// The last thing before it sleeps, such as a snapshot. Never relied on.
    fn park(&mut self) -> BoxFuture<'_, ()>;

    /// What it holds in memory. **Units**: bytes; asked after each batch, so it must be cheap.
    fn size(&self) -> usize;

    /// Whether something of it is under way that its sleep would disturb.
    fn keep_awake(&self) -> bool {
        false
    }

    /// How long one message may take before the watchdog kills the handler; `None` for the
    /// directory's default.
    ///
    /// It is the kind's and never the caller's: a caller with a short deadline must not be able to
    /// kill an entity.
    fn handle_deadline(&self) -> Option<Duration> {
        None
    }
}

/// Makes behaviours: the floor above says what lives at an address.
pub trait Spawner: Send + Sync + 'static {
    /// A new behaviour for a new incarnation. It must not wait; loading is [`Behaviour::start`].
    fn behaviour(&self, address: &Address, slot: &SlotHandle) -> Box<dyn Behaviour>;
}

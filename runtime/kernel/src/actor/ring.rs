//! The bell: all that ractor hears of an entity's messages.

use ractor::ActorRef;

/// The only messages that ractor ever carries to an entity.
#[derive(Debug)]
pub(super) enum Ring {
    /// The first one: load, then look into the mailbox.
    Start,
    /// The mailbox is no longer empty.
    Bell,
    /// It is wanted awake, and may have to ask again for what it waits for.
    Again,
    /// Sleep, when there is nothing to do; forced when the node stops.
    Park { forced: bool },
}

/// What rings at a live actor.
pub(super) type Bell = ActorRef<Ring>;

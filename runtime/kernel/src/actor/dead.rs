//! Dead letters: what could not be handled, whole, to be looked at and replayed.

use std::{fmt, sync::Arc};

use crate::envelope::{Envelope, Timestamp};

/// Why a message became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadReason {
    /// It killed its actor twice.
    Poison,
    /// Its actor failed too often, or cannot be decoded.
    Quarantined,
    /// The node stopped before its turn came.
    ShutDown,
    /// The node itself sent it (an outcome, a reaction, a timer) and it was refused for good.
    Refused,
}

impl DeadReason {
    /// The reason's name as it is stored.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Poison => "poison",
            Self::Quarantined => "quarantined",
            Self::ShutDown => "shut-down",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message that was accepted and could not be handled.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The whole message.
    pub envelope: Arc<Envelope>,
    /// Why it lies here.
    pub reason: DeadReason,
    /// How often a handler died of it.
    pub attempts: u8,
    /// When it was put here.
    pub at: Timestamp,
    /// The incarnation of its actor that saw it last.
    pub incarnation: u64,
    /// Why handlers died of it, and why the actor takes no more, oldest first.
    pub errors: Vec<String>,
}

/// Where dead letters go.
///
/// To replay one is to deliver its envelope again as a fresh item.
pub trait DeadLetterSink: Send + Sync + 'static {
    /// Keeps one. It must neither wait long nor panic: it is called while an actor dies.
    fn put(&self, dead: DeadLetter);
}

//! What a state still wants: open effects and timers.
//!
//! Wants are a function of the state and nothing else. So after a crash an entity that is rebuilt
//! asks for exactly what has no outcome yet, and no list of pending work can disagree with it.

use std::time::Duration;

use bytes::Bytes;

use crate::envelope::{IdempotencyKey, Timestamp};

/// Work in the outside world that an event asked for and that has no outcome yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectRequest {
    /// The same key always means the same work; it goes to the performer as idempotency key.
    pub key: IdempotencyKey,
    /// Which performer answers: `skill`, `process`, ….
    pub handler: &'static str,
    /// Grows with each attempt; a late outcome of an older one is refused by the decider.
    pub attempt: u32,
    /// What to do, in the performer's own form.
    pub input: Bytes,
    /// How long it may take; the entity itself sets the timer that ends it.
    pub timeout: Option<Duration>,
}

/// A command that an entity wants to get at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerRequest {
    /// When; earlier instants fire at once.
    pub due: Timestamp,
    /// Names the timer within the entity; comes back in `FireTimer`.
    pub name: String,
}

/// Everything that a state still wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// Effects without an outcome.
    pub effects: Vec<EffectRequest>,
    /// Timers that have not fired.
    pub timers: Vec<TimerRequest>,
}

impl Wants {
    /// What the journal must know so that a restart wakes the entity in time.
    pub fn wake(&self) -> crate::ports::Wake {
        if !self.effects.is_empty() {
            return crate::ports::Wake::Now;
        }
        match self.timers.iter().map(|timer| timer.due).min() {
            Some(due) => crate::ports::Wake::At(due),
            None => crate::ports::Wake::Idle,
        }
    }
}

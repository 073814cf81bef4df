//! The bell: all that an awake actor hears, beside what is in its mailbox.
//!
//! It does not go through ractor. An incarnation lives within one message of ractor's, the first, and
//! waits here: a bell costs a flag and a wake, and not a boxed message, a channel and a look at four ports.
//! ractor still ends it: what it is told to kill it drops at the next await.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicU8, Ordering},
    task::Poll,
};

use futures_util::task::AtomicWaker;
use ractor::ActorCell;

/// What an actor is rung for; several at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ring(u8);

impl Ring {
    /// The mailbox is no longer empty.
    pub(super) const BELL: Self = Self(1);
    /// It is wanted awake, and may have to ask again for what it waits for.
    pub(super) const AGAIN: Self = Self(2);
    /// Sleep, when there is nothing to do.
    pub(super) const PARK: Self = Self(4);
    /// The same, because the node stops.
    pub(super) const PARK_NOW: Self = Self(8);
    /// It was killed: it has to await something, or ractor cannot end it.
    pub(super) const KILLED: Self = Self(16);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The bell of an address. Each incarnation hears it in turn; what the last one did not hear is nothing to
/// the next, which looks at everything when it begins.
#[derive(Debug, Default)]
pub(super) struct Rings {
    rung: AtomicU8,
    waits: AtomicWaker,
}

impl Rings {
    #[inline]
    pub(super) fn ring(&self, ring: Ring) {
        // Release: who hears the bell sees what it was rung for.
        self.rung.fetch_or(ring.0, Ordering::AcqRel);
        self.waits.wake();
    }

    /// What was rung since it was heard last.
    #[inline]
    pub(super) fn look(&self) -> Option<Ring> {
        if self.rung.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(Ring(self.rung.swap(0, Ordering::AcqRel))).filter(|ring| ring.0 != 0)
    }

    /// Waits for the next ring.
    ///
    /// **Cancel safety**: a dropped future hears nothing, and nothing is lost.
    pub(super) async fn heard(&self) -> Ring {
        poll_fn(|context| {
            self.waits.register(context.waker());
            self.look().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Nobody listens any more.
    pub(super) fn silence(&self) {
        self.look();
        self.waits.take();
    }
}

/// The actor that hears the bell: what kills it.
pub(super) type Bell = ActorCell;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_rung_is_heard_once_and_together() {
        let rings = Rings::default();
        assert_eq!(rings.look(), None);
        rings.ring(Ring::BELL);
        rings.ring(Ring::PARK);
        let heard = rings.heard().await;
        assert!(heard.has(Ring::BELL) && heard.has(Ring::PARK) && !heard.has(Ring::AGAIN));
        assert_eq!(rings.look(), None);
    }

    #[tokio::test]
    async fn who_waits_is_woken_from_another_task() {
        let rings = Rings::default();
        let (heard, ()) = tokio::join!(rings.heard(), async { rings.ring(Ring::AGAIN) });
        assert_eq!(heard, Ring::AGAIN);
        rings.ring(Ring::BELL);
        rings.silence();
        assert_eq!(rings.look(), None, "the next one begins by itself");
    }
}

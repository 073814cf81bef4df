//! A batch of messages in an actor's hands, and the guard that loses none of them.
//!
//! Whatever ends the actor (a panic, an error, a kill, a dropped task), the guard is dropped and
//! puts back what was not handled, in order, to the heads of its lanes. Only the message in hand may
//! be to blame, and only for causes that can be a message's fault; the second time it goes to the
//! dead letters.

use std::sync::{Arc, atomic::Ordering};

use super::{
    Cause, DeadReason, Item, Lane, NotTaken, Slot,
    mailbox::{Hand, Room},
};
use crate::envelope::{Refusal, Timestamp};

/// After so many deaths a message is a dead letter.
const ATTEMPTS_MAX: u8 = 2;

/// Messages that were taken out of a mailbox and are not all handled.
///
/// What the node counts in common (messages handled, bytes queued) is told once for a batch: these
/// counters are written by all threads.
pub(super) struct Batch<'a> {
    slot: &'a Slot,
    /// The first one is in hand while `holds` says so.
    rest: Hand,
    holds: bool,
    /// The wall clock, read once until [`Batch::time_passes`].
    wall: Option<Timestamp>,
    /// Work that is done and still occupies its room.
    done: Room,
    /// Handled, and what they were charged for.
    handled: Room,
    finished: bool,
}

impl<'a> Batch<'a> {
    /// The next messages of the mailbox; none when it is empty, and then the bell may ring again.
    pub(super) fn take(slot: &'a Slot) -> Option<Self> {
        let mut inner = slot.lock();
        slot.control_waits.store(false, Ordering::Relaxed);
        slot.tell_accepted(&mut inner);
        let rest = inner.mailbox.take(slot.floor.config.batch_items);
        if rest.is_empty() {
            inner.rung = false;
            slot.rests(&mut inner);
            return None;
        }
        slot.grant(&mut inner);
        drop(inner);
        Some(Self {
            slot,
            rest,
            holds: false,
            wall: None,
            done: Room::default(),
            handled: Room::default(),
            finished: false,
        })
    }

    /// Takes the next message in hand. Those whose deadline has passed are answered and skipped.
    /// `named` is the type that the slot names as in hand, as far as this incarnation knows.
    #[inline]
    pub(super) fn next(&mut self, named: &mut Option<Arc<str>>) -> Option<&mut Item> {
        while self.rest.front().is_some_and(|item| item.envelope.headers.deadline.is_some()) && self.is_late() {
            if let Some(item) = self.rest.pop_front() {
                self.release(&item);
                self.slot.expire(item);
            }
        }
        let item = self.rest.front_mut()?;
        let event_type = &item.envelope.event_type;
        if named.as_ref() != Some(event_type) {
            *self.slot.in_hand.lock() = Some(event_type.clone());
            *named = Some(event_type.clone());
        }
        self.holds = true;
        Some(item)
    }

    #[inline]
    fn is_late(&mut self) -> bool {
        let Some(deadline) = self.rest.front().and_then(|item| item.envelope.headers.deadline) else { return false };
        deadline < *self.wall.get_or_insert_with(|| self.slot.floor.clock.now())
    }

    /// The wall clock has to be read again before the next deadline is looked at.
    #[inline]
    pub(super) fn time_passes(&mut self) {
        self.wall = None;
    }

    /// The message in hand.
    #[inline]
    pub(super) fn in_hand(&mut self) -> Option<&mut Item> {
        self.rest.front_mut().filter(|_| self.holds)
    }

    /// The message in hand was handled.
    #[inline]
    pub(super) fn done(&mut self) {
        self.holds = false;
        let Some(mut item) = self.rest.pop_front() else {
            return;
        };
        self.release(&item);
        self.handled.add(item.charge);
        if item.reply.is_some() {
            let refusal = NotTaken::NoAnswer {
                address: self.slot.address().to_string(),
                event: item.envelope.event_id.to_string(),
            };
            item.answer(Err(Refusal::from(&refusal)));
        }
    }

    #[inline]
    fn release(&mut self, item: &Item) {
        if item.lane == Lane::Work {
            self.done.add(item.charge);
        }
    }

    /// Whether a control message came that should not wait for the rest of this batch.
    #[inline]
    pub(super) fn is_urged(&self) -> bool {
        self.slot.control_waits.load(Ordering::Relaxed) && self.rest.front().is_some_and(|item| item.lane == Lane::Work)
    }

    /// Tells the sums of the node what was handled so far.
    #[inline]
    pub(super) fn tell(&mut self) {
        let handled = std::mem::take(&mut self.handled);
        if handled.items > 0 {
            self.slot.floor.handled(handled.items, handled.bytes);
        }
    }

    /// Ends the batch in good order: the rest goes back, room is given free. True when more waits:
    /// then the bell counts as rung, and the caller goes on.
    pub(super) fn finish(mut self) -> bool {
        self.finished = true;
        self.tell();
        let mut inner = self.slot.lock();
        inner.progressed = true;
        self.give_back(&mut inner, true);
        inner.rung = !inner.mailbox.is_empty();
        if inner.rung {
            self.slot.grant(&mut inner);
        } else {
            self.slot.rests(&mut inner);
        }
        inner.rung
    }

    fn give_back(&mut self, inner: &mut super::slot::Inner, goes_on: bool) {
        while let Some(item) = self.rest.pop_back() {
            inner.mailbox.put_back(item);
        }
        inner.mailbox.release(std::mem::take(&mut self.done));
        if inner.mailbox.is_awaited() {
            let least = if goes_on { self.slot.worth_a_call() } else { 1 };
            inner.mailbox.call_up_many(least, &self.slot.floor.config);
        }
    }

    /// What becomes of the message that an incarnation died with: back to the head of its lane with
    /// the others, or out of the mailbox for good.
    fn judge(&mut self, inner: &mut super::slot::Inner) -> Option<Item> {
        if !std::mem::take(&mut self.holds) {
            return None;
        }
        let cause = inner.cause.clone().unwrap_or(Cause::Killed);
        let item = self.rest.front_mut().filter(|_| cause.blames_message())?;
        item.blame(Arc::from(cause.to_string()));
        if item.attempts < ATTEMPTS_MAX {
            return None;
        }
        inner.buried = true;
        let item = self.rest.pop_front()?;
        self.release(&item);
        Some(item)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.tell();
        let slot = self.slot;
        let now = slot.floor.now();
        let mut inner = slot.lock();
        let incarnation = inner.incarnation;
        inner.progressed |= self.done.items > 0;
        let dead = self.judge(&mut inner);
        self.give_back(&mut inner, false);
        // Nobody rings a dying actor; the next incarnation begins by itself.
        inner.bell = None;
        inner.rung = false;
        drop(inner);
        slot.meter.cut(now);
        *slot.in_hand.lock() = None;
        if let Some(item) = dead {
            slot.bury(item, DeadReason::Poison, None, incarnation);
        }
    }
}

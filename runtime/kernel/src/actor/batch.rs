//! A batch of messages in an actor's hands, and the guard that loses none of them.
//!
//! Whatever ends the actor (a panic, an error, a kill, a dropped task), the guard is dropped and
//! puts back what was not handled, in order, to the heads of its lanes. Only the message in hand may
//! be to blame, and only for causes that can be a message's fault; the second time it goes to the
//! dead letters.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use super::{Cause, DeadReason, Item, Lane, NotTaken, Slot, mailbox::Room};
use crate::envelope::Refusal;

/// After so many deaths a message is a dead letter.
const ATTEMPTS_MAX: u8 = 2;

/// Messages that were taken out of a mailbox and are not all handled.
///
/// What the node counts in common (messages handled, bytes queued) is told once for a batch: these
/// counters are written by all threads.
pub(super) struct Batch {
    slot: Arc<Slot>,
    rest: VecDeque<Item>,
    in_hand: Option<Item>,
    /// Work that is done and still occupies its room.
    done: Room,
    /// Handled, and what they were charged for.
    handled: Room,
    finished: bool,
}

impl Batch {
    /// The next messages of the mailbox; none when it is empty, and then the bell may ring again.
    pub(super) fn take(slot: &Arc<Slot>) -> Option<Self> {
        let mut rest = VecDeque::new();
        let mut inner = slot.inner.lock();
        slot.control_waits.store(false, Ordering::Relaxed);
        slot.tell_accepted(&mut inner);
        inner.mailbox.take(slot.floor.config.batch_items, &mut rest);
        if rest.is_empty() {
            inner.rung = false;
            return None;
        }
        drop(inner);
        let (done, handled) = (Room::default(), Room::default());
        Some(Self { slot: slot.clone(), rest, in_hand: None, done, handled, finished: false })
    }

    /// Takes the next message in hand. Those whose deadline has passed are answered and skipped.
    pub(super) fn next(&mut self) -> Option<&mut Item> {
        loop {
            let item = self.rest.pop_front()?;
            if self.slot.floor.is_expired(&item) {
                self.release(&item);
                self.slot.expire(item);
                continue;
            }
            *self.slot.in_hand.lock() = Some(item.envelope.event_type.clone());
            return Some(self.in_hand.insert(item));
        }
    }

    /// The message in hand.
    pub(super) fn in_hand(&self) -> Option<&Item> {
        self.in_hand.as_ref()
    }

    /// The message in hand was handled.
    pub(super) fn done(&mut self) {
        let Some(mut item) = self.in_hand.take() else {
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

    fn release(&mut self, item: &Item) {
        if item.lane == Lane::Work {
            self.done.add(item.charge);
        }
    }

    /// Whether a control message came that should not wait for the rest of this batch.
    pub(super) fn is_urged(&self) -> bool {
        self.slot.control_waits.load(Ordering::Relaxed) && self.rest.front().is_some_and(|item| item.lane == Lane::Work)
    }

    /// Tells the sums of the node what was handled so far.
    pub(super) fn tell(&mut self) {
        let handled = std::mem::take(&mut self.handled);
        if handled.items > 0 {
            self.slot.floor.handled(handled.items, handled.bytes);
        }
    }

    /// Ends the batch in good order: the rest goes back, room is given free. True when more waits:
    /// then the bell counts as rung, and the caller rings it.
    pub(super) fn finish(mut self) -> bool {
        self.finished = true;
        self.tell();
        let slot = self.slot.clone();
        let mut inner = slot.inner.lock();
        inner.progressed = true;
        self.give_back(&mut inner);
        inner.rung = !inner.mailbox.is_empty();
        inner.rung
    }

    fn give_back(&mut self, inner: &mut super::slot::Inner) {
        while let Some(item) = self.rest.pop_back() {
            inner.mailbox.put_back(item);
        }
        inner.mailbox.release(std::mem::take(&mut self.done));
        inner.mailbox.call_up(&self.slot.floor.config);
    }

    /// What becomes of the message that an incarnation died with: back to the head of its lane, or
    /// out of the mailbox for good.
    fn judge(&mut self, inner: &mut super::slot::Inner) -> Option<Item> {
        let mut item = self.in_hand.take()?;
        let cause = inner.cause.clone().unwrap_or(Cause::Killed);
        if cause.blames_message() {
            item.blame(Arc::from(cause.to_string()));
        }
        if item.attempts >= ATTEMPTS_MAX && cause.blames_message() {
            inner.buried = true;
            self.release(&item);
            return Some(item);
        }
        // After the rest: it was before them.
        while let Some(later) = self.rest.pop_back() {
            inner.mailbox.put_back(later);
        }
        inner.mailbox.put_back(item);
        None
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.tell();
        let slot = self.slot.clone();
        let now = slot.floor.now();
        let mut inner = slot.inner.lock();
        let incarnation = inner.incarnation;
        inner.progressed |= self.done.items > 0;
        let dead = self.judge(&mut inner);
        self.give_back(&mut inner);
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

//! The slot's lock and the inbox: room of a busy mailbox is granted, and taken back.
//!
//! Whoever takes the slot's lock takes the grant back first, and moves what came into the mailbox: under
//! that lock all is as if it had been pushed there.
//!
//! INVARIANT: a grant is given by a live actor that is rung, and nothing is in the inbox without one; so
//! what is put there needs no bell, and has room.

use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;

use super::{
    Item, Lane, Slot,
    slot::{Inner, Pushed, TURN_EVERY},
};
use crate::telemetry::ActorState;

/// So many messages that wait or are being handled are load.
const BUSY: usize = 8;

/// The most that one grant may hold of the bytes that all mailboxes of the node have together.
const GRANT_BYTES: usize = 128 * 1024;

impl Slot {
    /// The slot's lock, with all that came in the mailbox.
    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock();
        if inner.granted {
            self.take_back(&mut inner);
        }
        inner
    }

    fn take_back(&self, inner: &mut Inner) {
        inner.granted = false;
        if let Some(inbox) = self.inbox.get() {
            self.floor.uncharge(inbox.close(&mut inner.spare));
        }
        inner.accepted += inner.spare.len() as u64;
        inner.mailbox.push_granted(self.address.tenant(), &mut inner.spare);
    }

    /// Grants the mailbox's free room to the inbox, when there is load.
    pub(super) fn grant(&self, inner: &mut Inner) {
        let rung = inner.rung && inner.state == ActorState::Live;
        if !rung || inner.mailbox.load().items < BUSY || self.floor.closing.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut room) = inner.mailbox.free_room(self.address.tenant(), &self.floor.config) else { return };
        // The node's sum of all bytes is told once for all of them: its counter is every sender's.
        room.bytes = room.bytes.min(GRANT_BYTES);
        if self.floor.charge(room.bytes) > self.floor.config.queued_bytes {
            self.floor.uncharge(room.bytes);
            return;
        }
        self.inbox.get_or_init(Box::default).open(room, self.floor.config.batch_items);
        inner.granted = true;
    }

    /// The mailbox ran empty: an actor that is idle keeps no room for a load.
    pub(super) fn rests(&self, inner: &mut Inner) {
        if inner.spare.capacity() > 0 {
            inner.spare = Vec::new();
            if let Some(inbox) = self.inbox.get() {
                inbox.rest();
            }
        }
    }

    /// Puts a message into the inbox, when there is a grant for it; else it comes back, untouched.
    pub(super) fn put(&self, mut item: Item, lane: Lane) -> Result<Pushed, Item> {
        let Some(inbox) = self.inbox.get() else { return Err(item) };
        let granted = inbox.is_open()
            && lane == Lane::Work
            && item.envelope.tenant_id == *self.address.tenant()
            && !self.floor.closing.load(Ordering::Relaxed);
        if !granted {
            return Err(item);
        }
        item.lane = lane;
        item.enqueued_at = self.floor.now();
        let left = inbox.put(item)?;
        Ok(if (left as u64).is_multiple_of(TURN_EVERY) { Pushed::Turn } else { Pushed::Queued })
    }
}

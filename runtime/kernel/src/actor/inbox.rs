//! The inbox: where senders put messages for an actor that has its hands full.
//!
//! Under load a slot's lock goes from core to core with all that lies behind it, and whoever wants it
//! spins. So the free room of a busy mailbox is granted to the inbox (`grant.rs`), a vector under a lock of
//! its own.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{Item, mailbox::Room};

/// On a cache line of its own: senders write it, and nothing else that the actor reads. Most addresses
/// never need one.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Inbox {
    open: AtomicBool,
    granted: Mutex<Granted>,
}

#[derive(Debug, Default)]
struct Granted {
    items: Vec<Item>,
    room: Room,
}

impl Inbox {
    pub(super) fn open(&self, room: Room, batch: usize) {
        let mut granted = self.granted.lock();
        granted.room = room;
        granted.items.reserve(batch.min(room.items));
        drop(granted);
        self.open.store(true, Ordering::Relaxed);
    }

    /// What came, in `spare`, which was empty and is used next; and the bytes that were not needed.
    pub(super) fn close(&self, spare: &mut Vec<Item>) -> usize {
        self.open.store(false, Ordering::Relaxed);
        let mut granted = self.granted.lock();
        std::mem::swap(&mut granted.items, spare);
        std::mem::take(&mut granted.room).bytes
    }

    /// How much of the grant is left.
    #[inline]
    pub(super) fn put(&self, item: Item) -> Result<usize, Item> {
        let mut granted = self.granted.lock();
        if granted.room.items == 0 || granted.room.bytes < item.charge {
            return Err(item);
        }
        granted.room.remove(item.charge);
        granted.items.push(item);
        Ok(granted.room.items)
    }

    /// Whether there is a grant; it may be gone a moment later.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Keeps no room for a load.
    pub(super) fn rest(&self) {
        self.granted.lock().items = Vec::new();
    }
}

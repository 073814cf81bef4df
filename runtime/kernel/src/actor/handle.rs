//! A handle of an address: the way there was looked up once.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Directory, Item, Lane, NotTaken, Slot, Undelivered};
use crate::envelope::Address;

/// An address for whoever sends to it more than once: its slot is looked up when it is made, and
/// again only after the entity slept.
#[derive(Debug, Clone)]
pub struct Handle {
    directory: Arc<Directory>,
    slot: Arc<Slot>,
}

impl Directory {
    /// A handle of an address. It wakes nobody.
    ///
    /// # Errors
    /// [`NotTaken::NoPlatform`].
    pub fn to(&self, address: &Address) -> Result<Handle, NotTaken> {
        let directory = self.weak().upgrade().ok_or(NotTaken::Stopping)?;
        Ok(Handle { slot: self.slot_for(address)?, directory })
    }
}

impl Handle {
    /// Gives it a message without waiting: for handlers. A message whose subject is another address
    /// goes there.
    ///
    /// # Errors
    /// As [`Directory::try_deliver`].
    pub fn try_tell(&mut self, item: Item, lane: Lane) -> Result<(), Box<Undelivered>> {
        if !self.is_for(&item) {
            return self.directory.try_deliver(item, lane);
        }
        self.directory.try_push(&mut self.slot, item, lane)
    }

    /// Gives it a message, waiting for room until the instant given. A message whose subject is
    /// another address goes there.
    ///
    /// # Errors
    /// As [`Directory::deliver`].
    pub async fn tell(&mut self, item: Item, lane: Lane, until: Instant) -> Result<(), Box<Undelivered>> {
        if !self.is_for(&item) {
            return self.directory.deliver(item, lane, until).await;
        }
        self.directory.push(&mut self.slot, item, lane, until).await
    }

    fn is_for(&self, item: &Item) -> bool {
        item.envelope.headers.subject == *self.slot.address()
    }
}

//! What entities say about their waiting once their state has moved: written along with the next
//! batch, never waited for, and harmless to lose.

use std::collections::HashMap;

use mesh_kernel::{envelope::Address, ports::Wake};
use parking_lot::Mutex;

/// More than this many are not kept: the entities are woken once in vain.
const COUNT_MAX: usize = 65_536;

/// What an entity waits for at a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hint {
    pub(super) version: u64,
    pub(super) wake: Wake,
}

/// The newest hint of each entity that was not written yet.
#[derive(Default)]
pub(super) struct Hints(Mutex<HashMap<Address, Hint>>);

impl Hints {
    /// Keeps a hint. Answers whether it is the first, so that someone must look after it.
    pub(super) fn put(&self, address: &Address, hint: Hint) -> bool {
        let mut hints = self.0.lock();
        if hints.len() >= COUNT_MAX && !hints.contains_key(address) {
            return false;
        }
        let first = hints.is_empty();
        match hints.get_mut(address) {
            Some(known) if known.version > hint.version => {}
            Some(known) => *known = hint,
            None => {
                hints.insert(address.clone(), hint);
            }
        }
        first
    }

    pub(super) fn take(&self, into: &mut Vec<(Address, Hint)>) {
        into.extend(self.0.lock().drain());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

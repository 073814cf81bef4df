//! The idempotency window of an entity: which keys it has done, and which events they caused.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::envelope::IdempotencyKey;

/// Keys that an entity remembers. Older ones are the decider's business (an outcome of an old
/// attempt, a second submit): it sees them in its state.
const KEYS_MAX: usize = 256;

/// The versions of the first and the last event that a key caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeySpan {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// The last keys that an entity has done, bounded.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct KeyWindow {
    order: VecDeque<IdempotencyKey>,
    spans: HashMap<IdempotencyKey, KeySpan>,
}

impl KeyWindow {
    /// The events that this key caused, when it is remembered.
    pub(crate) fn get(&self, key: &IdempotencyKey) -> Option<KeySpan> {
        self.spans.get(key).copied()
    }

    /// Remembers that the event with this version was caused under this key.
    pub(crate) fn add(&mut self, key: &IdempotencyKey, version: u64) {
        if let Some(span) = self.spans.get_mut(key) {
            span.last = version;
            return;
        }
        if self.order.len() >= KEYS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.spans.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.spans.insert(key.clone(), KeySpan { first: version, last: version });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_forgets_the_oldest_key_first() {
        let key = |n: usize| IdempotencyKey::parse(&format!("k{n}")).unwrap();
        let mut window = KeyWindow::default();
        for n in 0..=KEYS_MAX {
            window.add(&key(n), n as u64 + 1);
        }
        assert_eq!(window.get(&key(0)), None);
        assert_eq!(window.get(&key(1)), Some(KeySpan { first: 2, last: 2 }));
        window.add(&key(1), 300);
        assert_eq!(window.get(&key(1)), Some(KeySpan { first: 2, last: 300 }));
    }
}

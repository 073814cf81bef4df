//! Room for sets of nodes, used again and again.

use parking_lot::Mutex;

/// Bitmaps that are kept for the next question.
const POOLED_MAX: usize = 4;

/// Bitmaps of zeroes, to be used again.
#[derive(Default)]
pub(super) struct Bitmaps(Mutex<Vec<Vec<u64>>>);

impl Bitmaps {
    pub(super) fn take(&self, nodes: u32) -> Vec<u64> {
        let mut words = self.0.lock().pop().unwrap_or_default();
        let wanted = (nodes as usize).div_ceil(64);
        if words.len() < wanted {
            words.resize(wanted, 0);
        }
        words
    }

    pub(super) fn give(&self, words: Vec<u64>) {
        let mut pool = self.0.lock();
        if pool.len() < POOLED_MAX {
            pool.push(words);
        }
    }
}

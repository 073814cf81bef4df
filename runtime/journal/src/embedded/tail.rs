//! The newest batches in memory: followers that keep up read nothing from the disk.

use std::{collections::VecDeque, sync::Arc};

use mesh_kernel::ports::{Position, Recorded};

use super::{cursor::Stand, log::Place};

/// One batch as it was recorded: what followers are told of it, shared by all of them.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) batch: u64,
    pub(super) place: Place,
    /// Of its frame. **Units**: bytes.
    pub(super) len: usize,
    pub(super) events: Arc<[Recorded]>,
    /// Of its last record that is no hint.
    pub(super) last: Option<Position>,
}

impl Kept {
    /// Where who came to `position` stands before it.
    pub(super) fn before(&self, position: Position) -> Stand {
        Stand { place: self.place, next_batch: self.batch, position, freed: 0 }
    }

    /// Where who came to `position` stands behind it.
    pub(super) fn behind(&self, position: Position) -> Stand {
        let place = Place { offset: self.place.offset + self.len as u64, ..self.place };
        Stand { place, next_batch: self.batch + 1, position: self.last.unwrap_or(position), freed: 0 }
    }
}

/// The newest batches, without a gap, bounded in bytes.
#[derive(Debug)]
pub(super) struct Tail {
    kept: VecDeque<Kept>,
    bytes: usize,
    bytes_max: usize,
}

impl Tail {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { kept: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn push(&mut self, kept: Kept) {
        if self.kept.back().is_some_and(|last| last.batch + 1 != kept.batch) {
            self.clear();
        }
        self.bytes += kept.len;
        self.kept.push_back(kept);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= oldest.len;
        }
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }

    pub(super) fn get(&self, batch: u64) -> Option<Kept> {
        let first = self.kept.front()?.batch;
        let index = usize::try_from(batch.checked_sub(first)?).ok()?;
        self.kept.get(index).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(batch: u64, len: usize) -> Kept {
        Kept { batch, place: Place { segment: 1, offset: 0 }, len, events: Arc::default(), last: None }
    }

    #[test]
    fn the_tail_is_bounded_in_bytes_and_has_no_gap() {
        let mut tail = Tail::new(100);
        for batch in 1..=10 {
            tail.push(kept(batch, 30));
        }
        assert!(tail.get(7).is_none());
        assert_eq!(tail.get(8).unwrap().batch, 8);
        assert!(tail.get(11).is_none());
        tail.push(kept(20, 30));
        assert!(tail.get(10).is_none(), "a gap was bridged");
        assert_eq!(tail.get(20).unwrap().batch, 20);
        tail.push(kept(21, 200));
        assert!(tail.get(21).is_none(), "a batch above the bound was kept");
    }
}

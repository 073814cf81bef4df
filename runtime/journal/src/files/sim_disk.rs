//! One simulated file: what the page cache shows and what the disk holds, in sectors.

use std::collections::BTreeSet;

use super::rng::Rng;

/// What a disk writes whole or not at all, as far as software may hope. **Units**: bytes.
pub(super) const SECTOR: usize = 512;

/// A file in two planes.
#[derive(Debug, Default, Clone)]
pub(super) struct Node {
    /// What a read shows.
    pub(super) live: Vec<u8>,
    /// What is there after the power was gone.
    pub(super) durable: Vec<u8>,
    /// Sectors that were written and not flushed.
    dirty: BTreeSet<usize>,
}

impl Node {
    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if self.live.len() < end {
            // The hole between reads as zeros, and is a change of its own.
            self.dirty.extend(self.live.len() / SECTOR..=(end - 1) / SECTOR);
            self.live.resize(end, 0);
        }
        if let Some(target) = self.live.get_mut(offset..end) {
            target.copy_from_slice(bytes);
        }
        self.dirty.extend(offset / SECTOR..=(end - 1) / SECTOR);
    }

    pub(super) fn read(&self, into: &mut [u8], offset: usize) -> usize {
        let rest = self.live.get(offset..).unwrap_or_default();
        let taken = rest.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..taken), rest.get(..taken)) {
            to.copy_from_slice(from);
        }
        taken
    }

    pub(super) fn flush(&mut self) {
        let dirty = std::mem::take(&mut self.dirty);
        self.durable.resize(self.live.len(), 0);
        for sector in dirty {
            copy_sector(&self.live, &mut self.durable, sector, SECTOR);
        }
    }

    /// A flush that failed: some sectors reached the disk, and the system has forgotten that the
    /// others did not. `keep_new` says what reads show from now on.
    pub(super) fn flush_failed(&mut self, rng: &mut Rng, keep_new: bool) {
        self.settle(rng);
        if !keep_new {
            self.live = self.durable.clone();
        }
    }

    /// The power is gone: each sector that was not flushed is kept, lost or torn.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        self.settle(rng);
        self.live = self.durable.clone();
    }

    fn settle(&mut self, rng: &mut Rng) {
        let dirty = std::mem::take(&mut self.dirty);
        let grown = self.live.len() > self.durable.len();
        if grown && rng.below(2) == 0 {
            self.durable.resize(self.live.len(), 0);
        }
        for sector in dirty {
            match rng.below(3) {
                0 => {}
                1 => copy_sector(&self.live, &mut self.durable, sector, SECTOR),
                _ => copy_sector(&self.live, &mut self.durable, sector, rng.below(SECTOR as u64) as usize),
            }
        }
    }
}

/// Copies the first `len` bytes of a sector, as far as both planes reach.
fn copy_sector(from: &[u8], to: &mut [u8], sector: usize, len: usize) {
    let start = sector * SECTOR;
    let end = (start + len).min(from.len()).min(to.len());
    if let (Some(from), Some(to)) = (from.get(start..end), to.get_mut(start..end)) {
        to.copy_from_slice(from);
    }
}

//! What a store is made of at one moment.

use super::segment::Part;

/// The parts of a store at one moment. A search has one, whatever is written meanwhile.
#[derive(Debug, Default)]
pub(super) struct Snapshot(pub(super) Vec<Part>);

impl Snapshot {
    pub(super) fn live(&self) -> usize {
        self.0.iter().map(|part| part.live).sum()
    }

    /// The part and the living row of a chunk.
    pub(super) fn find(&self, id: u128) -> Option<(usize, u32)> {
        self.0.iter().enumerate().find_map(|(at, part)| part.find(id).map(|row| (at, row)))
    }

    /// Takes a chunk out that is older than `seq`, and says whether there is none that is not.
    pub(super) fn bury(&mut self, id: u128, seq: u64) -> bool {
        let Some((at, row)) = self.find(id) else { return true };
        match self.0.get_mut(at).filter(|part| part.segment.seq(row) < seq) {
            Some(part) => {
                part.bury(row);
                true
            }
            None => false,
        }
    }
}

//! Tombstones: what is written of an entity that ended.

use super::{
    index::Key,
    log::numbers::{u32_at, u64_at},
};

const KEY: usize = 16;
const PART: usize = 8;
/// A tombstone names no more segments than this; it is kept longer then.
const PARTS_MAX: usize = 512;

/// Who ended, and where the dead lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tombstone {
    pub(super) key: Key,
    /// Segments, and the bytes of dead events in each.
    pub(super) parts: Vec<(u64, u32)>,
    /// All of the segments are named.
    pub(super) is_whole: bool,
}

impl Tombstone {
    pub(super) fn new(key: Key, mut parts: Vec<(u64, u32)>) -> Self {
        let is_whole = parts.len() <= PARTS_MAX;
        parts.truncate(PARTS_MAX);
        Self { key, parts, is_whole }
    }

    /// Its form as the envelope of a record.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        bytes.extend_from_slice(&self.key.bytes());
        bytes.push(u8::from(self.is_whole));
        for (segment, dead) in &self.parts {
            bytes.extend_from_slice(&(*segment as u32).to_le_bytes());
            bytes.extend_from_slice(&dead.to_le_bytes());
        }
        bytes
    }

    pub(super) fn len(&self) -> usize {
        KEY + 1 + self.parts.len() * PART
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let key = Key::from_bytes(u64_at(bytes, 0)?, u64_at(bytes, 8)?);
        let is_whole = *bytes.get(KEY)? == 1;
        let rest = bytes.get(KEY + 1..)?;
        let parts = rest.chunks_exact(PART).map_while(|part| Some((u64::from(u32_at(part, 0)?), u32_at(part, 4)?)));
        Some(Self { key, parts: parts.collect(), is_whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_is_read_as_it_was_written() {
        for count in [0, 1, 3, 512, 600] {
            let parts: Vec<(u64, u32)> = (0..count).map(|n| (n + 1, n as u32 * 7)).collect();
            let stone = Tombstone::new(Key::from_bytes(1, u64::MAX), parts);
            assert_eq!(Tombstone::decode(&stone.encode()), Some(stone.clone()));
            assert_eq!(stone.encode().len(), stone.len());
            assert_eq!(stone.is_whole, count <= 512);
        }
        assert_eq!(Tombstone::decode(b"short"), None);
    }
}

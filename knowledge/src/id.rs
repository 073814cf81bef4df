//! Names of documents and chunks.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A chunk of a document: the same as long as the document's source, the place in its structure and the order
/// among equal places are the same, whatever its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChunkId(u128);

/// A text that is no chunk's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no chunk: 32 hexadecimal digits after `chk-` are wanted")]
pub struct NoChunkId(String);

impl ChunkId {
    /// The chunk at this place of this document; `ordinal` counts equal places from 0.
    pub fn of(document: &str, place: &str, ordinal: usize) -> Self {
        let mut hash = Sha256::new();
        for part in [document.as_bytes(), place.as_bytes(), &ordinal.to_le_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        Self(digest.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte)))
    }

    /// As a number, for indexes.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// From a number that an index held.
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chk-{:032x}", self.0)
    }
}

impl FromStr for ChunkId {
    type Err = NoChunkId;

    fn from_str(text: &str) -> Result<Self, NoChunkId> {
        let digits = text.strip_prefix("chk-").filter(|digits| digits.len() == 32);
        digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u128::from_str_radix(digits, 16).ok())
            .map(Self)
            .ok_or_else(|| NoChunkId(text.to_owned()))
    }
}

impl TryFrom<String> for ChunkId {
    type Error = NoChunkId;

    fn try_from(text: String) -> Result<Self, NoChunkId> {
        text.parse()
    }
}

impl From<ChunkId> for String {
    fn from(id: ChunkId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_keeps_its_name_while_its_place_stays_and_reads_back_from_its_text() {
        let id = ChunkId::of("doc", "Guide > Install", 0);
        assert_eq!(id, ChunkId::of("doc", "Guide > Install", 0));
        assert_ne!(id, ChunkId::of("doc", "Guide > Install", 1));
        assert_ne!(id, ChunkId::of("docG", "uide > Install", 0));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("chk-+2345678901234567890123456789012".parse::<ChunkId>().is_err());
        assert!("chk-12".parse::<ChunkId>().is_err());
    }
}

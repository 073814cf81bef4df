//! What a store's folder holds, in one small file that is replaced as a whole.

use std::{fs, io::ErrorKind, path::Path};

use serde::{Deserialize, Serialize};

use super::{bits::Bits, error::Error, files, port::Model};

/// The file's name.
pub(super) const NAME: &str = "HEAD";
const MAGIC: &[u8; 8] = b"MESHVECH";

/// What the folder holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) model: Model,
    /// The journal's position of the last change in it.
    pub(super) cursor: u64,
    /// The number of the next segment.
    pub(super) next: u64,
    pub(super) segments: Vec<Entry>,
}

/// A segment that belongs to it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) rows: usize,
    /// Which of its rows are alive.
    #[serde(skip)]
    pub(super) alive: Bits,
}

/// The name of a segment's file.
pub(super) fn file_of(number: u64) -> String {
    format!("{number:08}.segment")
}

impl Head {
    /// Makes it what the folder holds.
    ///
    /// # Errors
    /// What the system says; then the folder holds what it held.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = || folder.join(NAME);
        let text = serde_json::to_vec(self).map_err(|error| Error::io(path())(error.into()))?;
        let mut body = (text.len() as u64).to_le_bytes().to_vec();
        body.extend(text);
        let words = self.segments.iter().flat_map(|segment| segment.alive.words());
        body.extend(words.flat_map(|word| word.to_le_bytes()));
        let mut bytes = MAGIC.to_vec();
        bytes.extend(crc32c::crc32c(&body).to_le_bytes());
        bytes.extend(body);
        files::replace(folder, NAME, &bytes)
    }

    /// What the folder holds; nothing where there never was a store.
    ///
    /// # Errors
    /// [`Error::Damaged`] where it is not what was written; else what the system says.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path)(error)),
        };
        let body = bytes.get(12..).filter(|body| {
            let sum = bytes.get(8..12).map(<[u8]>::to_vec);
            bytes.starts_with(MAGIC) && sum == Some(crc32c::crc32c(body).to_le_bytes().to_vec())
        });
        let body = body.ok_or_else(|| Error::damaged(&path, "it is not what was written"))?;
        Self::decode(body).map(Some).ok_or_else(|| Error::damaged(&path, "it is of another version"))
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (len, rest) = body.split_first_chunk::<8>()?;
        let (text, words) = rest.split_at_checked(u64::from_le_bytes(*len) as usize)?;
        let mut head: Self = serde_json::from_slice(text).ok()?;
        let mut words = words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        for segment in &mut head.segments {
            let bits: Vec<u64> = words.by_ref().take(segment.rows.div_ceil(64)).collect();
            segment.alive = Bits::of(bits);
        }
        Some(head)
    }
}

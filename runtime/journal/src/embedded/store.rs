//! The store's own file: which store it is, how often it was opened, which segments it has.

use std::io;

use mesh_kernel::{envelope::Shard, ports::Epoch};

use super::{
    OpenError,
    error::damaged,
    log::{
        numbers::{put_at, u32_at, u64_at},
        segment::{FORMAT, MIN_READER, StoreId},
    },
};
use crate::files::{Files, read_whole, write_all};

const NAME: &str = "store";
const TMP: &str = "store.tmp";
const MAGIC: &[u8; 8] = b"MESHSTOR";
const LEN: usize = 64;

/// What the store says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Store {
    pub(super) id: StoreId,
    /// Grows with each open; 0 until the first segment stands.
    pub(super) epoch: Epoch,
    /// The newest segment that was known when it was last opened: one that is missing is missed.
    pub(super) newest_segment: u64,
    /// The oldest segment that is left: those before it were freed.
    pub(super) oldest_segment: u32,
    /// When events of retired entities were freed last, as far as the segments that are left do not
    /// say it. Grows, see [`super::log::sparse::Sparse::freed`].
    pub(super) freed: u32,
}

impl Store {
    /// Reads the file, or makes it in an empty folder.
    pub(super) fn load(files: &dyn Files) -> Result<Self, OpenError> {
        let io = |error| OpenError::io(NAME, error);
        match files.open(NAME) {
            Ok(file) => parse(&read_whole(file.as_ref()).map_err(io)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let names = files.list().map_err(io)?;
                if names.iter().any(|name| name.ends_with(".log")) {
                    return Err(damaged(NAME, 0, "the file is missing, and segments are there").into());
                }
                let store = Self {
                    id: uuid::Uuid::now_v7().into_bytes(),
                    epoch: Epoch(0),
                    newest_segment: 0,
                    oldest_segment: 1,
                    freed: 0,
                };
                store.save(files).map_err(io)?;
                Ok(store)
            }
            Err(error) => Err(io(error)),
        }
    }

    /// Writes the file in place of the one before: the old one or the new one is there, whatever
    /// happens.
    pub(super) fn save(&self, files: &dyn Files) -> io::Result<()> {
        let mut bytes = [0; LEN];
        put_at(&mut bytes, 0, MAGIC);
        put_at(&mut bytes, 8, &FORMAT.to_le_bytes());
        put_at(&mut bytes, 12, &MIN_READER.to_le_bytes());
        put_at(&mut bytes, 16, &self.id);
        put_at(&mut bytes, 32, &self.epoch.0.to_le_bytes());
        put_at(&mut bytes, 40, &self.newest_segment.to_le_bytes());
        put_at(&mut bytes, 48, &u32::from(Shard::COUNT).to_le_bytes());
        put_at(&mut bytes, 52, &self.oldest_segment.to_le_bytes());
        put_at(&mut bytes, 56, &self.freed.to_le_bytes());
        let crc = crc32c::crc32c(bytes.get(..LEN - 4).unwrap_or_default());
        put_at(&mut bytes, LEN - 4, &crc.to_le_bytes());
        let file = files.create(TMP)?;
        write_all(file.as_ref(), &bytes, 0)?;
        file.fdatasync()?;
        files.rename(TMP, NAME)?;
        files.sync_dir()
    }
}

fn parse(bytes: &[u8]) -> Result<Store, OpenError> {
    let bad = |what| OpenError::from(damaged(NAME, 0, what));
    if bytes.get(..8) != Some(MAGIC.as_slice()) {
        return Err(bad("the file does not begin as a store's"));
    }
    let crc = crc32c::crc32c(bytes.get(..LEN - 4).unwrap_or_default());
    if bytes.len() != LEN || u32_at(bytes, LEN - 4) != Some(crc) {
        return Err(bad("the file's checksum is wrong"));
    }
    let short = || bad("the file is cut short");
    let min_reader = u32_at(bytes, 12).ok_or_else(short)?;
    if min_reader > FORMAT {
        return Err(OpenError::Format {
            file: NAME.to_owned(),
            found: u32_at(bytes, 8).ok_or_else(short)?,
            min_reader,
            ours: FORMAT,
        });
    }
    if u32_at(bytes, 48) != Some(u32::from(Shard::COUNT)) {
        return Err(bad("the store was made with another number of shards"));
    }
    Ok(Store {
        id: bytes.get(16..32).and_then(|id| id.try_into().ok()).ok_or_else(short)?,
        epoch: Epoch(u64_at(bytes, 32).ok_or_else(short)?),
        newest_segment: u64_at(bytes, 40).ok_or_else(short)?,
        // Stores of format 1 have zeros here: nothing of them was ever freed.
        oldest_segment: u32_at(bytes, 52).ok_or_else(short)?.max(1),
        freed: u32_at(bytes, 56).ok_or_else(short)?,
    })
}

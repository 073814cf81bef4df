//! The index saved, so that opening reads only the log behind it. A cache: when it cannot be read,
//! the whole log is.

use std::io;

use mesh_kernel::{
    envelope::{Address, Timestamp},
    ports::{Position, Wake},
};

use super::{
    index::{Entry, Index},
    log::{
        Place,
        numbers::{i64_at, u16_at, u32_at, u64_at},
        segment::StoreId,
    },
};
use crate::files::{Files, read_whole, write_all};

const NAME: &str = "index.ckpt";
const TMP: &str = "index.tmp";
const MAGIC: &[u8; 8] = b"MESHINDX";
const FORMAT: u32 = 1;
const HEAD: usize = 72;

/// The end of the log when the index was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) place: Place,
    pub(super) next_batch: u64,
    pub(super) prev_crc: u32,
    pub(super) last: Position,
}

/// Saves the index in place of the one before.
pub(super) fn save(files: &dyn Files, store: &StoreId, point: Point, entries: &[(Address, Entry)]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(HEAD + entries.len() * 80);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&point.prev_crc.to_le_bytes());
    bytes.extend_from_slice(store);
    for number in [point.place.segment, point.place.offset, point.next_batch, point.last.0, entries.len() as u64] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for (address, entry) in entries {
        push(&mut bytes, address, entry);
    }
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    let file = files.create(TMP)?;
    write_all(file.as_ref(), &bytes, 0)?;
    file.fdatasync()?;
    files.rename(TMP, NAME)?;
    files.sync_dir()
}

fn push(bytes: &mut Vec<u8>, address: &Address, entry: &Entry) {
    let (wake, at) = match entry.wake {
        Wake::Idle => (0, 0),
        Wake::Now => (1, 0),
        Wake::At(at) => (2, at.unix_nanos()),
    };
    bytes.extend_from_slice(&(address.as_str().len() as u16).to_le_bytes());
    bytes.push(wake);
    bytes.extend_from_slice(&entry.version.to_le_bytes());
    bytes.extend_from_slice(&entry.last.0.to_le_bytes());
    bytes.extend_from_slice(&i64::to_le_bytes(at));
    bytes.extend_from_slice(address.as_str().as_bytes());
}

/// The saved index, when there is one that can be read.
pub(super) fn load(files: &dyn Files, store: &StoreId) -> Option<(Point, Index)> {
    let file = files.open(NAME).ok()?;
    let loaded = read_whole(file.as_ref()).ok().and_then(|bytes| parse(&bytes, store));
    if loaded.is_none() {
        tracing::warn!(file = NAME, "the saved index cannot be read: the whole log is read instead");
    }
    loaded
}

fn parse(bytes: &[u8], store: &StoreId) -> Option<(Point, Index)> {
    let (bytes, crc) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    let good = u32_at(crc, 0)? == crc32c::crc32c(bytes)
        && bytes.get(..8)? == MAGIC
        && u32_at(bytes, 8)? == FORMAT
        && bytes.get(16..32)? == store;
    if !good {
        return None;
    }
    let point = Point {
        place: Place { segment: u64_at(bytes, 32)?, offset: u64_at(bytes, 40)? },
        next_batch: u64_at(bytes, 48)?,
        prev_crc: u32_at(bytes, 12)?,
        last: Position(u64_at(bytes, 56)?),
    };
    let count = usize::try_from(u64_at(bytes, 64)?).ok()?;
    let mut index = Index::with_capacity(count.min(bytes.len() / 27));
    let mut at = HEAD;
    for _ in 0..count {
        let len = u16_at(bytes, at)? as usize;
        let address = std::str::from_utf8(bytes.get(at + 27..at + 27 + len)?).ok()?;
        let wake = match *bytes.get(at + 2)? {
            0 => Wake::Idle,
            1 => Wake::Now,
            2 => Wake::At(Timestamp::from_unix_nanos(i64_at(bytes, at + 19)?)),
            _ => return None,
        };
        let entry = Entry { version: u64_at(bytes, at + 3)?, last: Position(u64_at(bytes, at + 11)?), wake };
        index.insert(address.parse().ok()?, entry);
        at += 27 + len;
    }
    Some((point, index))
}

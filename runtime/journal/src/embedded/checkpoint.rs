//! The index saved, so that opening reads only the log behind it. A cache: when it cannot be read,
//! the whole log is.
//!
//! ```text
//! head | tenants: key, number u32 | entities: key, version u32, tenant u32, last u64, wake
//! | retired: key, position | erased: key, position
//! | segments: number, events, dead, tombstones, cleaned, applied | crc u32
//! ```

use std::io;

use mesh_kernel::{
    envelope::Timestamp,
    ports::{Position, Wake},
};

use super::{
    index::{ByKey, Entry, Index, Key, Tally},
    log::{
        Place,
        numbers::{i64_at, u32_at, u64_at},
        segment::StoreId,
    },
};
use crate::files::{Files, read_whole, write_all};

const NAME: &str = "index.ckpt";
const TMP: &str = "index.tmp";
const MAGIC: &[u8; 8] = b"MESHINDX";
const FORMAT: u32 = 2;

/// The end of the log when the index was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) place: Place,
    pub(super) next_batch: u64,
    pub(super) prev_crc: u32,
    pub(super) last: Position,
}

/// Saves the index in place of the one before.
pub(super) fn save(files: &dyn Files, store: &StoreId, point: Point, index: &Index) -> io::Result<()> {
    let bytes = encode(store, point, index);
    let file = files.create(TMP)?;
    write_all(file.as_ref(), &bytes, 0)?;
    file.fdatasync()?;
    mesh_kernel::failpoint::pass("journal.index");
    files.rename(TMP, NAME)?;
    files.sync_dir()
}

fn encode(store: &StoreId, point: Point, index: &Index) -> Vec<u8> {
    let mut out = Out(Vec::with_capacity(256 + index.entries.len() * 41 + index.retired.len() * 24));
    out.0.extend_from_slice(MAGIC);
    out.u32(FORMAT);
    out.u32(point.prev_crc);
    out.0.extend_from_slice(store);
    for number in [point.place.segment, point.place.offset, point.next_batch, point.last.0] {
        out.u64(number);
    }
    let counts =
        [index.tenants().len(), index.entries.len(), index.retired.len(), index.erased.len(), index.tallies.len()];
    for count in counts {
        out.u64(count as u64);
    }
    for (key, number) in index.tenants() {
        out.key(*key);
        out.u32(*number);
    }
    for (key, entry) in &index.entries {
        out.entry(*key, entry);
    }
    for (key, position) in index.retired.iter().chain(&index.erased) {
        out.key(*key);
        out.u64(position.0);
    }
    for (segment, tally) in &index.tallies {
        for number in [*segment, tally.events, tally.dead, tally.tombstones, tally.cleaned.0, tally.applied.0] {
            out.u64(number);
        }
    }
    let crc = crc32c::crc32c(&out.0);
    out.u32(crc);
    out.0
}

struct Out(Vec<u8>);

impl Out {
    fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn key(&mut self, key: Key) {
        self.0.extend_from_slice(&key.bytes());
    }

    fn entry(&mut self, key: Key, entry: &Entry) {
        self.key(key);
        self.u32(entry.version);
        self.u32(entry.tenant);
        self.u64(entry.last.0);
        let (wake, at) = match entry.wake() {
            Wake::Idle => (0, 0),
            Wake::Now => (1, 0),
            Wake::At(at) => (2, at.unix_nanos()),
        };
        self.0.push(wake);
        self.0.extend_from_slice(&at.to_le_bytes());
    }
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
    let prev_crc = u32_at(bytes, 12)?;
    let mut from = In { bytes, at: 32 };
    let place = Place { segment: from.u64()?, offset: from.u64()? };
    let point = Point { place, next_batch: from.u64()?, prev_crc, last: Position(from.u64()?) };
    let counts = [from.count()?, from.count()?, from.count()?, from.count()?, from.count()?];
    let [tenants, entries, retired, erased, tallies] = counts;
    let mut index = Index::default();
    for _ in 0..tenants {
        let key = from.key()?;
        index.tenant_is(key, from.u32()?);
    }
    index.entries.reserve(entries);
    for _ in 0..entries {
        let (key, entry) = from.entry()?;
        index.entries.insert(key, entry);
    }
    index.retired = from.positions(retired)?;
    index.erased = from.positions(erased)?;
    for _ in 0..tallies {
        let number = from.u64()?;
        let (events, dead, tombstones) = (from.u64()?, from.u64()?, from.u64()?);
        let (cleaned, applied) = (Position(from.u64()?), Position(from.u64()?));
        index.tallies.insert(number, Tally { events, dead, tombstones, cleaned, applied });
    }
    (from.at == bytes.len()).then_some((point, index))
}

struct In<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl In<'_> {
    fn u32(&mut self) -> Option<u32> {
        let number = u32_at(self.bytes, self.at)?;
        self.at += 4;
        Some(number)
    }

    fn u64(&mut self) -> Option<u64> {
        let number = u64_at(self.bytes, self.at)?;
        self.at += 8;
        Some(number)
    }

    /// A count of things that have bytes of their own: never more than there are bytes.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.u64()?).ok()?;
        (count <= self.bytes.len()).then_some(count)
    }

    fn key(&mut self) -> Option<Key> {
        Some(Key::from_bytes(self.u64()?, self.u64()?))
    }

    fn positions(&mut self, count: usize) -> Option<ByKey<Position>> {
        let mut positions = ByKey::default();
        positions.reserve(count);
        for _ in 0..count {
            positions.insert(self.key()?, Position(self.u64()?));
        }
        Some(positions)
    }

    fn entry(&mut self) -> Option<(Key, Entry)> {
        let key = self.key()?;
        let (version, tenant, last) = (self.u32()?, self.u32()?, Position(self.u64()?));
        let kind = *self.bytes.get(self.at)?;
        let at = i64_at(self.bytes, self.at + 1)?;
        self.at += 9;
        let wake = match kind {
            0 => Wake::Idle,
            1 => Wake::Now,
            2 => Wake::At(Timestamp::from_unix_nanos(at)),
            _ => return None,
        };
        Some((key, Entry::new(u64::from(version), tenant, last, wake)))
    }
}

//! Reading one entity: its records are chained backwards from its last one.

use std::collections::BTreeMap;

use bytes::Bytes;
use mesh_kernel::{
    envelope::Address,
    ports::{JournalError, Position, Recorded},
};

use super::{
    error::damaged,
    index::{Entry, Key},
    log::{
        Place,
        record::{self, Kind, Record},
        segment::{self, Segment},
    },
    shared::Shared,
};
use crate::files::read_full;

/// The events of an entity from a version on, oldest first.
pub(super) fn read(shared: &Shared, address: &Address, from_version: u64) -> Result<Vec<Recorded>, JournalError> {
    let mut events = Vec::new();
    walk(shared, address, from_version, |record, position, _| {
        events.push(Recorded {
            address: address.clone(),
            version: record.version,
            position,
            event: Bytes::copy_from_slice(record.envelope).into(),
        });
    })
    .map(|is_whole| {
        if !is_whole {
            events.clear();
        }
        events.reverse();
        events
    })
}

/// The version that an append at `expected_version` with this key was answered with, when there
/// was one.
pub(super) fn first_answer(
    shared: &Shared,
    address: &Address,
    expected_version: u64,
    key: u64,
) -> Result<Option<u64>, JournalError> {
    let mut append_ends = true;
    let mut append_end = 0;
    let mut answer = None;
    walk(shared, address, expected_version + 1, |record, _, _| {
        if append_ends {
            append_end = record.version;
        }
        append_ends = record.nth == 0;
        if record.version == expected_version + 1 && record.nth == 0 && record.key == Some(key) {
            answer = Some(append_end);
        }
    })?;
    Ok(answer)
}

/// The segments that an entity has events in, and the bytes of them in each.
pub(super) fn parts(shared: &Shared, address: &Address) -> Result<Vec<(u64, u32)>, JournalError> {
    let mut parts: BTreeMap<u64, u32> = BTreeMap::new();
    walk(shared, address, 1, |_, position, len| {
        let part = parts.entry(Place::from(position).segment).or_default();
        *part = part.saturating_add(len as u32);
    })?;
    Ok(parts.into_iter().collect())
}

/// Whose the entry is, as its last record says.
pub(super) fn address_of(shared: &Shared, key: Key, entry: Entry) -> Result<Address, JournalError> {
    let place = Place::from(entry.last);
    let segment = find(shared, place)?;
    let mut view = View::default();
    let record = checked(&segment, place, &mut view)?;
    if shared.keys.of(record.address) != key {
        return Err(segment.damaged(place.offset, "the record is another entity's"));
    }
    record.address.parse().map_err(|_| segment.damaged(place.offset, "the address of a record is none"))
}

/// Visits an entity's records from its last one back to `from_version`, each checked. Answers
/// `false` when it was retired and freed meanwhile.
///
/// **Cost**: about one read of 8 KiB per record that lies apart from the one after it.
fn walk(
    shared: &Shared,
    address: &Address,
    from_version: u64,
    mut visit: impl FnMut(&Record<'_>, Position, usize),
) -> Result<bool, JournalError> {
    let key = shared.keys.of(address.as_str());
    let Some(entry) = shared.index.read().entries.get(&key).copied() else {
        return Ok(true);
    };
    let mut view = View::default();
    let (mut expected, mut at) = (entry.version(), entry.last);
    while expected >= from_version.max(1) {
        let place = Place::from(at);
        let segment = match find(shared, place) {
            // Retired and freed since the walk began: there is nothing to read.
            Err(_) if !shared.index.read().entries.contains_key(&key) => return Ok(false),
            found => found?,
        };
        let record = match checked(&segment, place, &mut view) {
            Err(_) if !shared.index.read().entries.contains_key(&key) => return Ok(false),
            record => record?,
        };
        let own = record.kind == Kind::Event && record.address == address.as_str();
        if !own || record.version != expected {
            return Err(segment.damaged(place.offset, "the record belongs to another place of the chain"));
        }
        visit(&record, at, record::len_of(record.address, record.envelope));
        expected -= 1;
        at = Position(record.prev);
    }
    Ok(true)
}

fn find(shared: &Shared, place: Place) -> Result<std::sync::Arc<Segment>, JournalError> {
    let missing = || damaged(&segment::name(place.segment), place.offset, "the segment is missing");
    shared.segment(place.segment).ok_or_else(missing)
}

fn checked<'a>(segment: &Segment, place: Place, view: &'a mut View) -> Result<Record<'a>, JournalError> {
    let bytes = view.record(segment, place.offset)?;
    let (record, _) = record::read(bytes, Some(segment.seed)).map_err(|what| segment.damaged(place.offset, what))?;
    Ok(record)
}

/// How much is read before and behind a record that is looked for. **Units**: bytes.
const BEFORE: u64 = 6 * 1024;
const BEHIND: u64 = 2 * 1024;

/// The part of a segment that was read last: records of one entity often lie close together.
#[derive(Default)]
struct View {
    segment: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl View {
    fn record(&mut self, segment: &Segment, offset: u64) -> Result<&[u8], JournalError> {
        if let Some(sparse) = &segment.sparse {
            // Of another segment than any: the next one is read anew.
            *self = Self { segment: 0, start: 0, bytes: sparse.record(segment, offset)? };
            return Ok(&self.bytes);
        }
        if !self.covers(segment, offset, record::HEAD) {
            self.load(segment, offset.saturating_sub(BEFORE), offset + BEHIND)?;
        }
        let len = record::peek_len(self.from(offset)).unwrap_or(record::HEAD);
        if !self.covers(segment, offset, len) {
            self.load(segment, offset, offset + len as u64)?;
        }
        Ok(self.from(offset))
    }

    fn covers(&self, segment: &Segment, offset: u64, len: usize) -> bool {
        self.segment == segment.number && offset >= self.start && self.from(offset).len() >= len
    }

    fn from(&self, offset: u64) -> &[u8] {
        let skip = offset.saturating_sub(self.start) as usize;
        self.bytes.get(skip..).unwrap_or_default()
    }

    fn load(&mut self, segment: &Segment, start: u64, end: u64) -> Result<(), JournalError> {
        let end = end.min(segment.len);
        self.bytes.resize(end.saturating_sub(start) as usize, 0);
        let got = read_full(segment.file.as_ref(), &mut self.bytes, start).map_err(|error| segment.io(error))?;
        self.bytes.truncate(got);
        self.segment = segment.number;
        self.start = start;
        Ok(())
    }
}

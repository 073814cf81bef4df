//! Opening a log: read it, tell a torn tail from damage, make the tail durable, and only then serve.
//!
//! What was flushed and what was not can be told, because there is one flush at a time: a batch
//! that is followed by another was flushed before the other was begun. So damage before a good
//! batch is damage, and is reported; only the last one can be torn. And only the last one can be
//! in memory but not on the disk (after a kill, or after a flush that failed), so it is written
//! again and flushed before anything is built upon it.

use std::sync::Arc;

use mesh_kernel::ports::{JournalError, Position};

use super::{
    OpenError, Options,
    checkpoint::{self, Point},
    error::{damaged, io_error},
    index::{self, ByKey, Entry, Index, Key, Keys},
    log::{
        Place,
        frame::{self, NoFrame},
        numbers::u64_at,
        record::{self, Kind},
        segment::{self, Segment, StoreId},
        sparse::Sparse,
        walk::{Found, Walk},
    },
    store::Store,
    tombstone::Tombstone,
    window::Window,
};
use crate::files::{Files, write_all, zero_fill};

/// Where the writer goes on.
pub(super) struct Standing {
    pub(super) active: Arc<Segment>,
    pub(super) offset: u64,
    pub(super) next_batch: u64,
    pub(super) prev_crc: u32,
    /// The last batch holds events.
    pub(super) unmarked: bool,
    /// Bytes of log that the saved index does not cover.
    pub(super) unsaved: u64,
}

/// A log that was read and made durable.
pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) last: Position,
    /// Up to where the saved index covers the log; 0 when there is none.
    pub(super) saved: Position,
    pub(super) standing: Standing,
}

/// Reads the log of a store, cuts a torn tail, and flushes.
///
/// May die anywhere and be begun again.
pub(super) fn recover(files: &dyn Files, store: &Store, options: &Options) -> Result<Recovered, OpenError> {
    let segments = find_segments(files, store, options)?;
    let mut scan = Scan::begin(files, &store.id, &segments);
    for (at, segment) in segments.iter().enumerate() {
        let next = segments.get(at + 1);
        if segment.number < scan.place.segment {
            continue;
        }
        if segment.number > scan.place.segment {
            scan.enter(segment)?;
        }
        match &segment.sparse {
            Some(sparse) => scan.sparse_segment(segment, sparse)?,
            None => scan.segment(segment, next.map(|next| next.first_batch))?,
        }
    }
    let Some(active) = segments.last().filter(|active| active.sparse.is_none()).cloned() else {
        return Err(damaged("seg-*.log", 0, "there is no segment to go on in").into());
    };
    scan.repair(&active)?;
    Ok(Recovered {
        standing: Standing {
            active,
            offset: scan.place.offset,
            next_batch: scan.next_batch,
            prev_crc: scan.prev_crc,
            unmarked: scan.unmarked,
            unsaved: scan.read,
        },
        last: scan.last,
        saved: scan.saved,
        index: scan.whole_index()?,
        segments,
    })
}

/// All segments, in order and without gaps; makes the first one of a new store.
///
/// What lies before the oldest one was freed, and a crash kept its name.
fn find_segments(files: &dyn Files, store: &Store, options: &Options) -> Result<Vec<Arc<Segment>>, OpenError> {
    let oldest = u64::from(store.oldest_segment);
    let io = |error| OpenError::io(".", error);
    let mut numbers = Vec::new();
    for name in files.list().map_err(io)? {
        if name.ends_with(".tmp") {
            files.unlink(&name).map_err(io)?;
        }
        match segment::number(&name) {
            Some(freed) if freed < oldest => files.unlink(&name).map_err(io)?,
            number => numbers.extend(number),
        }
    }
    numbers.sort_unstable();
    if numbers.is_empty() && store.newest_segment == 0 {
        return Ok(vec![Arc::new(first_segment(files, &store.id, options).map_err(io)?)]);
    }
    let expected = oldest..=numbers.last().copied().unwrap_or(0).max(store.newest_segment);
    for number in expected {
        if numbers.binary_search(&number).is_err() {
            return Err(damaged(&segment::name(number), 0, "the file is missing").into());
        }
    }
    numbers.into_iter().map(|number| Segment::open(files, &store.id, number).map(Arc::new)).collect()
}

fn first_segment(files: &dyn Files, store: &StoreId, options: &Options) -> std::io::Result<Segment> {
    const TMP: &str = "first.tmp";
    let file = files.create(TMP)?;
    zero_fill(file.as_ref(), options.first_segment_bytes, &|_| Ok(()))?;
    let segment = Segment::begin(file, store, 1, 1, 0)?;
    files.rename(TMP, &segment.name)?;
    files.sync_dir()?;
    Ok(segment)
}

/// A reading of the log from front to back.
struct Scan {
    index: Index,
    keys: Keys,
    /// The tenant of the record before, and its number: neighbours are often of one tenant.
    tenant: (Box<str>, u32),
    /// Entities of which some events are missing, and where that was seen: only those that were
    /// retired or erased may have such.
    gaps: ByKey<(String, u64)>,
    place: Place,
    next_batch: u64,
    prev_crc: u32,
    last: Position,
    unmarked: bool,
    /// The last frame of the segment that is being read.
    last_frame: Option<(u64, usize)>,
    read: u64,
    /// Up to where the saved index covers the log.
    saved: Position,
    /// Nothing but zeros lies behind the last frame.
    clean_behind: bool,
}

impl Scan {
    fn begin(files: &dyn Files, store: &StoreId, segments: &[Arc<Segment>]) -> Self {
        let first = segments.first();
        let start = Point {
            place: Place { segment: first.map_or(1, |first| first.number), offset: segment::HEAD },
            next_batch: first.map_or(1, |first| first.first_batch),
            prev_crc: first.map_or(0, |first| first.prev_crc),
            last: Position(0),
        };
        let saved = checkpoint::load(files, store).filter(|(point, _)| {
            segments
                .iter()
                .any(|segment| segment.number == point.place.segment && segment.first_batch <= point.next_batch)
        });
        let found = saved.is_some();
        let (point, mut index) = saved.unwrap_or_else(|| (start, Index::default()));
        let oldest = start.place.segment;
        index.retired.retain(|_, at| Place::from(*at).segment >= oldest);
        index.tallies.retain(|segment, _| *segment >= oldest);
        note_sparse(&mut index, segments, point.place.into());
        Self {
            index,
            keys: Keys::new(store),
            tenant: (Box::default(), u32::MAX),
            gaps: ByKey::default(),
            place: point.place,
            next_batch: point.next_batch,
            prev_crc: point.prev_crc,
            last: point.last,
            unmarked: false,
            last_frame: None,
            read: 0,
            saved: if found { point.place.into() } else { Position(0) },
            clean_behind: false,
        }
    }

    /// Steps to the next segment, which must go on where this one ended.
    fn enter(&mut self, segment: &Segment) -> Result<(), JournalError> {
        if segment.first_batch != self.next_batch || segment.prev_crc != self.prev_crc {
            return Err(segment.damaged(40, "the segment does not go on where the one before it ends"));
        }
        self.place = Place { segment: segment.number, offset: segment::HEAD };
        self.last_frame = None;
        // The last frame of a segment that has a successor was flushed before that was made.
        self.unmarked = false;
        Ok(())
    }

    /// Reads a segment up to batch `until`, or to the end of the log when that is `None`.
    fn segment(&mut self, segment: &Segment, until: Option<u64>) -> Result<(), JournalError> {
        let mut window = Window::new();
        while until.is_none_or(|until| self.next_batch < until) {
            let bytes = window.frame(segment, self.place.offset)?;
            let head = match frame::check(bytes, segment.seed) {
                Ok(head) => head,
                Err(no) => return self.ends_here(segment, until, no),
            };
            if head.batch != self.next_batch || head.prev_crc != self.prev_crc {
                let what = format!("batch {} lies where batch {} belongs", head.batch, self.next_batch);
                return Err(segment.damaged(self.place.offset, &what));
            }
            self.absorb(segment, bytes, head, self.place.offset)?;
            self.last_frame = Some((self.place.offset, head.len));
            self.place.offset += head.len as u64;
            self.next_batch += 1;
            self.prev_crc = head.crc;
        }
        Ok(())
    }

    /// Reads a sparse segment, which was written whole: what is wrong in it is damage.
    fn sparse_segment(&mut self, segment: &Segment, sparse: &Sparse) -> Result<(), JournalError> {
        let mut window = Window::new();
        let mut at = segment::HEAD;
        let mut prev_crc = 0;
        for _ in 0..sparse.frames {
            let bytes = window.frame(segment, at)?;
            let head = frame::check(bytes, segment.seed)
                .ok()
                .filter(|head| head.prev_crc == prev_crc)
                .ok_or_else(|| segment.damaged(at, "no good batch lies here"))?;
            self.absorb(segment, bytes, head, at)?;
            prev_crc = head.crc;
            at += head.len as u64;
        }
        if at != segment.len {
            return Err(segment.damaged(at, "more lies here than was written"));
        }
        self.next_batch = sparse.end_batch;
        self.prev_crc = sparse.last_crc;
        Ok(())
    }

    fn absorb(&mut self, segment: &Segment, frame: &[u8], head: frame::Head, at: u64) -> Result<(), JournalError> {
        self.unmarked = false;
        let from = self.place.offset;
        let walk = Walk { frame, head, at, is_sparse: segment.sparse.is_some(), seed: None };
        walk.each(|found| {
            // A sparse segment is read whole; what lies before the saved index's end is known.
            if found.offset < from {
                return Ok(());
            }
            let place = Place { segment: segment.number, offset: found.offset };
            self.note(segment, &found, place.into())
        })
        .map_err(|(offset, what)| segment.damaged(offset, what))?;
        self.read += head.len as u64;
        Ok(())
    }

    fn note(&mut self, segment: &Segment, found: &Found<'_>, position: Position) -> Result<(), &'static str> {
        let record = &found.record;
        match record.kind {
            Kind::Event => {
                self.unmarked = true;
                self.event(segment, found, position);
            }
            Kind::Wake => self.settle(record),
            Kind::Retire => {
                let stone = Tombstone::decode(record.envelope).ok_or("a tombstone is cut short")?;
                self.gaps.remove(&stone.key);
                self.index.retire(&stone, position, found.bytes.len() as u64);
                self.unmarked = true;
            }
            Kind::Erase => {
                let tenant = key_of(record.envelope).ok_or("the end of a tenant is cut short")?;
                self.index.erase(tenant, position);
                self.unmarked = true;
            }
        }
        if record.kind != Kind::Wake {
            self.last = self.last.max(position);
        }
        Ok(())
    }

    fn event(&mut self, segment: &Segment, found: &Found<'_>, position: Position) {
        let record = &found.record;
        let key = self.keys.of(record.address);
        let before = self.index.entries.get(&key);
        let (version, last) = before.map_or((0, 0), |entry| (entry.version(), entry.last.0));
        if record.version != version + 1 || record.prev != last {
            self.gaps.entry(key).or_insert_with(|| (segment.name.clone(), found.offset));
        }
        let tenant = self.tenant_of(record.address);
        let entry = Entry::new(record.version, tenant, position, record.wake);
        // Its tombstone was forgotten, and the name was used again.
        self.index.retired.remove(&key);
        self.index.entries.insert(key, entry);
        self.index.add_events(segment.number, found.bytes.len() as u64);
    }

    fn tenant_of(&mut self, address: &str) -> u32 {
        let name = index::tenant(address);
        if *self.tenant.0 != *name {
            self.tenant = (name.into(), self.index.tenant(self.keys.of(name)));
        }
        self.tenant.1
    }

    fn settle(&mut self, record: &record::Record<'_>) {
        let key = self.keys.of(record.address);
        if let Some(entry) = self.index.entries.get_mut(&key).filter(|entry| entry.version() == record.version) {
            *entry = entry.waiting_for(record.wake);
        }
    }

    /// What an erased tenant left behind in segments that are not clean yet has no end of its own.
    fn whole_index(mut self) -> Result<Index, JournalError> {
        let gone: Vec<u32> = self.index.erased.keys().filter_map(|key| self.index.known_tenant(*key)).collect();
        let entries = &self.index.entries;
        self.gaps.retain(|key, _| entries.get(key).is_some_and(|entry| !gone.contains(&entry.tenant)));
        match self.gaps.into_values().min() {
            Some((file, offset)) => Err(damaged(&file, offset, "the versions of an entity have a gap")),
            None => Ok(self.index),
        }
    }

    /// No good frame lies here: the end of the log, a torn tail, or damage?
    fn ends_here(&mut self, segment: &Segment, until: Option<u64>, no: NoFrame) -> Result<(), JournalError> {
        let what = match no {
            NoFrame::Zeros => "zeros lie where a batch belongs",
            NoFrame::Longer(_) => "the batch is longer than the file",
            NoFrame::Bad(what) => what,
        };
        if until.is_some() {
            let what = format!("{what} (batch {}, and a later segment follows)", self.next_batch);
            return Err(segment.damaged(self.place.offset, &what));
        }
        if Window::new().next_nonzero(segment, self.place.offset)?.is_none() {
            self.clean_behind = true;
            return Ok(());
        }
        if let Some(later) = self.later_frame(segment)? {
            let what = format!("{what} (batch {}, and a good one follows at byte {later})", self.next_batch);
            return Err(segment.damaged(self.place.offset, &what));
        }
        Ok(())
    }

    /// The offset of a good frame behind the one that is not good.
    fn later_frame(&self, segment: &Segment) -> Result<Option<u64>, JournalError> {
        let mut window = Window::new();
        let mut at = self.place.offset + 8;
        while let Some(next) = window.next_nonzero(segment, at)? {
            let bytes = window.bytes(segment, next, frame::HEAD)?;
            let possible = frame::peek(bytes).is_ok_and(|head| {
                head.batch > self.next_batch
                    && head.batch - self.next_batch < u64::from(u32::MAX)
                    && next + head.len as u64 <= segment.len
            });
            if possible {
                let bytes = window.frame(segment, next)?;
                if frame::check(bytes, segment.seed).is_ok() {
                    return Ok(Some(next));
                }
            }
            at = next + 8;
        }
        Ok(None)
    }

    /// Makes the tail what it seems to be: zeros behind the last frame, and that frame on the disk.
    fn repair(&self, active: &Segment) -> Result<(), JournalError> {
        let end = self.place.offset;
        let io = |error| io_error(&active.name, error);
        let mut window = Window::new();
        let mut at = if self.clean_behind { active.len } else { end };
        let mut cut = 0_u64;
        while let Some(dirty) = window.next_nonzero(active, at)? {
            let len = (active.len - dirty).min(4096);
            write_all(active.file.as_ref(), &vec![0; len as usize], dirty).map_err(io)?;
            cut += len;
            at = dirty + len;
        }
        if cut > 0 {
            tracing::warn!(
                file = %active.name, offset = end, bytes = cut,
                "the log ended in a batch that was never acknowledged: it was cut"
            );
        }
        if let Some((offset, len)) = self.last_frame {
            // After a kill it may be in memory alone; after a failed flush the system believes
            // that it is on the disk. Writing it again makes the flush below mean something.
            let frame = window.bytes(active, offset, len)?;
            write_all(active.file.as_ref(), frame, offset).map_err(io)?;
        }
        mesh_kernel::failpoint::pass("recover");
        active.file.fdatasync().map_err(io)
    }
}

/// What sparse segments say of themselves, where the saved index does not know it yet.
fn note_sparse(index: &mut Index, segments: &[Arc<Segment>], saved: Position) {
    for segment in segments {
        let Some(sparse) = &segment.sparse else { continue };
        let tally = index.tallies.entry(segment.number).or_default();
        tally.cleaned = tally.cleaned.max(sparse.cleaned);
        if sparse.applied >= saved {
            // All that the saved index takes for dead is gone.
            tally.dead = 0;
            tally.events = tally.events.min(segment.len);
        }
        tally.applied = tally.applied.max(sparse.applied);
    }
}

fn key_of(bytes: &[u8]) -> Option<Key> {
    Some(Key::from_bytes(u64_at(bytes, 0)?, u64_at(bytes, 8)?))
}

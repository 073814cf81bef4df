//! Opening a log: read it, tell a torn tail from damage, make the tail durable, and only then serve.
//!
//! What was flushed and what was not can be told, because there is one flush at a time: a batch
//! that is followed by another was flushed before the other was begun. So damage before a good
//! batch is damage, and is reported; only the last one can be torn. And only the last one can be
//! in memory but not on the disk (after a kill, or after a flush that failed), so it is written
//! again and flushed before anything is built upon it.

use std::{collections::HashMap, sync::Arc};

use mesh_kernel::ports::{JournalError, Position};

use super::{
    OpenError, Options,
    checkpoint::{self, Point},
    error::{damaged, io_error},
    index::{Entry, Index},
    log::{
        Place,
        frame::{self, NoFrame},
        record::{self, Kind},
        segment::{self, Segment, StoreId},
    },
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
    pub(super) standing: Standing,
}

/// Reads the log of a store, cuts a torn tail, and flushes.
///
/// May die anywhere and be begun again. `newest` is the newest segment that is known to exist; 0
/// for a store that was never opened to the end.
pub(super) fn recover(
    files: &dyn Files,
    store: &StoreId,
    options: &Options,
    newest: u64,
) -> Result<Recovered, OpenError> {
    let segments = find_segments(files, store, options, newest)?;
    let mut scan = Scan::begin(files, store, &segments);
    for (at, segment) in segments.iter().enumerate() {
        let next = segments.get(at + 1);
        if segment.number < scan.place.segment {
            continue;
        }
        if segment.number > scan.place.segment {
            scan.enter(segment)?;
        }
        scan.segment(segment, next.map(|next| next.first_batch))?;
    }
    let Some(active) = segments.last().cloned() else {
        return Err(damaged("seg-*.log", 0, "there is no segment").into());
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
        index: scan.into_index()?,
        segments,
    })
}

/// All segments, in order and without gaps; makes the first one of a new store.
fn find_segments(
    files: &dyn Files,
    store: &StoreId,
    options: &Options,
    newest: u64,
) -> Result<Vec<Arc<Segment>>, OpenError> {
    let io = |error| OpenError::io(".", error);
    let mut numbers = Vec::new();
    for name in files.list().map_err(io)? {
        if name.ends_with(".tmp") {
            files.unlink(&name).map_err(io)?;
        }
        numbers.extend(segment::number(&name));
    }
    numbers.sort_unstable();
    if numbers.is_empty() && newest == 0 {
        return Ok(vec![Arc::new(first_segment(files, store, options).map_err(io)?)]);
    }
    let expected = 1..=numbers.last().copied().unwrap_or(0).max(newest);
    for number in expected {
        if numbers.binary_search(&number).is_err() {
            return Err(damaged(&segment::name(number), 0, "the file is missing").into());
        }
    }
    numbers.into_iter().map(|number| Segment::open(files, store, number).map(Arc::new)).collect()
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
    /// From the saved index.
    base: Index,
    /// What the log behind it says.
    over: HashMap<Box<str>, Entry>,
    place: Place,
    next_batch: u64,
    prev_crc: u32,
    last: Position,
    unmarked: bool,
    /// The last frame of the segment that is being read.
    last_frame: Option<(u64, usize)>,
    read: u64,
    /// Nothing but zeros lies behind the last frame.
    clean_behind: bool,
}

impl Scan {
    fn begin(files: &dyn Files, store: &StoreId, segments: &[Arc<Segment>]) -> Self {
        let first = segments.first().map_or(1, |segment| segment.number);
        let start = Point {
            place: Place { segment: first, offset: segment::HEAD },
            next_batch: 1,
            prev_crc: 0,
            last: Position(0),
        };
        let saved = checkpoint::load(files, store).filter(|(point, _)| {
            segments
                .iter()
                .any(|segment| segment.number == point.place.segment && segment.first_batch <= point.next_batch)
        });
        let (point, base) = saved.unwrap_or((start, Index::new()));
        Self {
            base,
            over: HashMap::new(),
            place: point.place,
            next_batch: point.next_batch,
            prev_crc: point.prev_crc,
            last: point.last,
            unmarked: false,
            last_frame: None,
            read: 0,
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
            self.absorb(segment, bytes, head)?;
        }
        Ok(())
    }

    fn absorb(&mut self, segment: &Segment, frame: &[u8], head: frame::Head) -> Result<(), JournalError> {
        let mut at = frame::HEAD;
        let end = frame::HEAD + head.body_len;
        self.unmarked = false;
        for _ in 0..head.count {
            let offset = self.place.offset + at as u64;
            let bytes = frame.get(at..end).unwrap_or_default();
            let (record, len) = record::read(bytes, None).map_err(|what| segment.damaged(offset, what))?;
            let position = Place { segment: segment.number, offset };
            self.note(&record, position.into()).map_err(|what| segment.damaged(offset, what))?;
            at += len;
        }
        self.last_frame = Some((self.place.offset, head.len));
        self.place.offset += head.len as u64;
        self.read += head.len as u64;
        self.next_batch += 1;
        self.prev_crc = head.crc;
        Ok(())
    }

    fn note(&mut self, record: &record::Record<'_>, position: Position) -> Result<(), &'static str> {
        let before = match self.over.get(record.address) {
            Some(entry) => Some(*entry),
            None if self.base.is_empty() => None,
            None => {
                let address = record.address.parse().map_err(|_| "the address of a record is none")?;
                self.base.get(&address).copied()
            }
        };
        if record.kind == Kind::Wake {
            self.settle(record, before);
            return Ok(());
        }
        let (version, last) = before.map_or((0, 0), |entry| (entry.version, entry.last.0));
        if record.version != version + 1 || record.prev != last {
            return Err("the versions of an entity have a gap");
        }
        let entry = Entry { version: record.version, last: position, wake: record.wake };
        self.put(record.address, entry);
        self.last = position;
        self.unmarked = true;
        Ok(())
    }

    fn settle(&mut self, record: &record::Record<'_>, before: Option<Entry>) {
        if let Some(entry) = before.filter(|entry| entry.version == record.version) {
            let wake = record.wake;
            self.put(record.address, Entry { wake, ..entry });
        }
    }

    fn put(&mut self, address: &str, entry: Entry) {
        match self.over.get_mut(address) {
            Some(known) => *known = entry,
            None => {
                self.over.insert(address.into(), entry);
            }
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
        active.file.fdatasync().map_err(io)
    }

    fn into_index(self) -> Result<Index, JournalError> {
        let mut index = self.base;
        index.reserve(self.over.len());
        for (address, entry) in self.over {
            let place = Place::from(entry.last);
            let parsed = address
                .parse()
                .map_err(|_| damaged(&segment::name(place.segment), place.offset, "the address of a record is none"))?;
            index.insert(parsed, entry);
        }
        Ok(index)
    }
}

//! Freeing the room of what has ended.
//!
//! A full segment of which little is alive is written anew without its dead records, in place: it
//! keeps its number, the order of its records and their positions, so every chain, cursor and saved
//! index goes on to hold. What is left empty at the old end of the log is removed.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use mesh_kernel::ports::{JournalError, Position, Reclaim, Reclaimed};

use super::{
    error::io_error,
    index::{self, Index, Key, Tally},
    log::{
        Place, frame,
        record::Kind,
        segment::{self, Segment},
        sparse::Sparse,
        walk::{Found, OFFSET_LEN},
    },
    scan,
    shared::Shared,
    store::Store,
    tombstone::Tombstone,
};
use crate::files::{File, write_all};

const TMP: &str = "reclaim.tmp";
/// A segment is worth a copy when less of it than this is alive. **Units**: percent.
const ALIVE_MAX: u64 = 30;
/// Records that lie together in a frame of a sparse segment. **Units**: bytes.
const GROUP: usize = 16 * 1024;
/// Between two pauses that leave the disk to others. **Units**: bytes.
const STRIDE: usize = 1024 * 1024;
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// What only one call of reclaim has at a time.
pub(super) struct Reclaiming {
    store: Store,
    /// The folder is still ours.
    is_open: bool,
    /// What was tried in vain, and when that was: again when something has changed.
    tried: HashMap<u64, (Tally, u64)>,
    /// Segments that were written anew.
    rewritten: u64,
}

/// What may be dropped from a segment.
#[derive(Clone, Copy)]
struct Plan {
    /// Events of retired entities.
    events: bool,
    /// Old tombstones.
    tombstones: bool,
    /// There is enough of these for a copy; else it is made only for what an erased tenant left,
    /// which is dropped whenever there is any.
    is_worth_it: bool,
}

/// What was dropped. **Units**: bytes.
#[derive(Default)]
struct Dropped {
    events: u64,
    dead: u64,
    tombstones: u64,
    /// Whose tombstones they were.
    forgotten: Vec<(Key, Position)>,
    /// Events that a follower could miss.
    missable: bool,
    /// Records of erased tenants.
    erased: u64,
    records: u64,
}

impl Reclaiming {
    pub(super) fn new(store: Store) -> Self {
        Self { store, is_open: true, tried: HashMap::new(), rewritten: 0 }
    }

    /// From here on nothing is changed any more.
    pub(super) fn close(&mut self) {
        self.is_open = false;
    }
}

/// Frees what may be freed.
pub(super) fn run(shared: &Shared, marks: Reclaim) -> Result<Reclaimed, JournalError> {
    let mut state = shared.reclaiming.lock();
    let mut done = Reclaimed::default();
    let segments = shared.segments.read().clone();
    for pair in segments.windows(2) {
        let [segment, next] = pair else { continue };
        if !state.is_open || shared.stopping.load(Ordering::Acquire) {
            return Err(JournalError::Closed);
        }
        let Some(plan) = state.plan(shared, segment, marks) else { continue };
        state.rewrite(shared, segment, next, plan, &mut done)?;
    }
    state.free_oldest(shared, &mut done)?;
    done.tombstones += forget(shared, marks.tombstones_before);
    let index = shared.index.read();
    done.erasing = segments.iter().filter(|segment| is_unclean(&index, segment.number)).count() as u64;
    Ok(done)
}

/// Forgets old tombstones, and answers how many. Their records go with their segments; until then
/// a full reading of the log brings them back, to be forgotten again.
fn forget(shared: &Shared, before: Position) -> u64 {
    let mut index = shared.index.write();
    let all = index.retired.len();
    index.retired.retain(|_, at| *at >= before);
    (all - index.retired.len()) as u64
}

/// Up to where a segment must be clean of erased tenants.
fn erased_behind(index: &Index, segment: u64) -> Position {
    let behind = index.erased.values().filter(|at| Place::from(**at).segment >= segment);
    behind.max().copied().unwrap_or_default()
}

fn is_unclean(index: &Index, segment: u64) -> bool {
    let cleaned = index.tallies.get(&segment).map_or(Position(0), |tally| tally.cleaned);
    erased_behind(index, segment) > cleaned
}

impl Reclaiming {
    /// What to drop from a segment, when that is worth a copy.
    fn plan(&self, shared: &Shared, segment: &Segment, marks: Reclaim) -> Option<Plan> {
        let index = shared.index.read();
        let tally = index.tallies.get(&segment.number).copied().unwrap_or_default();
        let erased = is_unclean(&index, segment.number);
        let is_behind = |mark: Position| Place::from(mark).segment > segment.number;
        let (events, tombstones) = (is_behind(marks.seen), is_behind(marks.tombstones_before));
        let all = tally.events + tally.tombstones;
        let mut free = if events { tally.dead } else { 0 };
        if tombstones {
            free += tally.tombstones;
        }
        let nothing_else = all == 0 && segment.sparse.is_none() && events;
        let worth = nothing_else || (free > 0 && (all - free.min(all)) * 100 < all * ALIVE_MAX);
        let tried = self.tried.get(&segment.number) == Some(&(tally, self.rewritten));
        let is_worth_it = worth && !tried;
        let room = shared.free_bytes() >= (all - free.min(all)).saturating_add(shared.options.free_bytes_min);
        ((erased || is_worth_it) && (room || free >= all)).then_some(Plan { events, tombstones, is_worth_it })
    }

    /// Writes a segment anew without what the plan drops, and puts it in place of the old one.
    fn rewrite(
        &mut self,
        shared: &Shared,
        segment: &Arc<Segment>,
        next: &Segment,
        plan: Plan,
        done: &mut Reclaimed,
    ) -> Result<(), JournalError> {
        let before = shared.end().last;
        let cleaned = erased_behind(&shared.index.read(), segment.number);
        let dropped = Judge::new(shared, plan).each(segment, next, |_, _| Ok(()))?;
        let is_due = plan.is_worth_it && (dropped.records > 0 || segment.sparse.is_none());
        if dropped.erased == 0 && !is_due {
            let mut index = shared.index.write();
            let tally = index.tallies.entry(segment.number).or_default();
            tally.cleaned = cleaned.max(tally.cleaned);
            self.tried.insert(segment.number, (*tally, self.rewritten));
            return Ok(());
        }
        let (copy, dropped) = self.copy(shared, segment, next, plan, cleaned, before)?;
        self.swap(shared, segment, copy, dropped, done);
        Ok(())
    }

    /// The copy stands under the segment's name, for good, when this answers.
    fn copy(
        &self,
        shared: &Shared,
        segment: &Segment,
        next: &Segment,
        plan: Plan,
        cleaned: Position,
        before: Position,
    ) -> Result<(Segment, Dropped), JournalError> {
        let io = |error| io_error(TMP, error);
        let files = &shared.files;
        let old = segment.sparse.as_ref();
        let mut copy = Copy::begin(shared, files.create(TMP).map_err(io)?, segment.seed);
        let written = Judge::new(shared, plan).each(segment, next, |found, batch| copy.push(found, batch));
        let finished = written.and_then(|dropped| {
            copy.end_frame();
            copy.write(false).map_err(io)?;
            let sparse = Sparse {
                end_batch: next.first_batch,
                last_crc: next.prev_crc,
                frames: copy.frames,
                freed: match (dropped.missable, old) {
                    (true, _) => shared.freed.load(Ordering::Acquire) + 1,
                    (false, old) => old.map_or(0, |old| old.freed),
                },
                cleaned,
                applied: if plan.events { before } else { old.map_or(Position(0), |old| old.applied) },
                len: copy.at,
                ..Sparse::default()
            };
            let copied = Segment::end_sparse(copy.file.clone(), &shared.store, segment, sparse).map_err(io)?;
            Ok((copied, dropped))
        });
        if finished.is_err() {
            let _best_effort = files.unlink(TMP);
        }
        let finished = finished?;
        files.rename(TMP, &segment.name).map_err(io)?;
        files.sync_dir().map_err(io)?;
        Ok(finished)
    }

    fn swap(&mut self, shared: &Shared, old: &Segment, copy: Segment, dropped: Dropped, done: &mut Reclaimed) {
        done.bytes += old.len.saturating_sub(copy.len);
        done.tombstones += dropped.forgotten.len() as u64;
        self.rewritten += 1;
        let (number, freed) = (copy.number, copy.sparse.as_ref().map_or(0, |sparse| sparse.freed));
        let (cleaned, applied) =
            copy.sparse.as_ref().map_or_else(Default::default, |sparse| (sparse.cleaned, sparse.applied));
        {
            // At once: a feed that sees the copy sees that something was freed.
            let mut segments = shared.segments.write();
            if let Some(place) = segments.iter_mut().find(|segment| segment.number == number) {
                *place = Arc::new(copy);
            }
            shared.freed.fetch_max(freed, Ordering::AcqRel);
        }
        let mut index = shared.index.write();
        for (key, position) in &dropped.forgotten {
            if index.retired.get(key) == Some(position) {
                index.retired.remove(key);
            }
        }
        let tally = index.tallies.entry(number).or_default();
        tally.events = tally.events.saturating_sub(dropped.events);
        tally.dead = tally.dead.saturating_sub(dropped.dead);
        tally.tombstones = tally.tombstones.saturating_sub(dropped.tombstones);
        tally.cleaned = cleaned;
        tally.applied = applied;
        self.tried.insert(number, (*tally, self.rewritten));
    }

    /// Removes the segments at the old end that have nothing left in them.
    fn free_oldest(&mut self, shared: &Shared, done: &mut Reclaimed) -> Result<(), JournalError> {
        let empty: Vec<Arc<Segment>> = {
            let segments = shared.segments.read();
            let empty = |segment: &&Arc<Segment>| segment.sparse.as_ref().is_some_and(|sparse| sparse.frames == 0);
            segments.iter().take_while(empty).cloned().collect()
        };
        let Some(last) = empty.last() else {
            return Ok(());
        };
        let freed = empty.iter().filter_map(|segment| segment.sparse.as_ref()).map(|sparse| sparse.freed);
        self.store.freed = freed.max().unwrap_or(0).max(self.store.freed);
        self.store.oldest_segment = last.number as u32 + 1;
        self.store.newest_segment = shared.segments.read().last().map_or(0, |active| active.number);
        // From here on they are not missed.
        self.store.save(shared.files.as_ref()).map_err(|error| io_error("store", error))?;
        shared.segments.write().drain(..empty.len());
        let mut index = shared.index.write();
        index.tallies.retain(|segment, _| *segment > last.number);
        index.retired.retain(|_, at| Place::from(*at).segment > last.number);
        drop(index);
        for segment in &empty {
            self.tried.remove(&segment.number);
            shared.files.unlink(&segment.name).map_err(|error| io_error(&segment.name, error))?;
            done.bytes += segment.len;
        }
        shared.files.sync_dir().map_err(|error| io_error(".", error))
    }
}

/// Tells what lives.
struct Judge<'a> {
    shared: &'a Shared,
    plan: Plan,
}

impl<'a> Judge<'a> {
    fn new(shared: &'a Shared, plan: Plan) -> Self {
        Self { shared, plan }
    }

    /// Gives everything in a segment that lives to `keep`, with the number of its batch.
    fn each(
        &self,
        segment: &Segment,
        next: &Segment,
        mut keep: impl FnMut(&Found<'_>, u64) -> io::Result<()>,
    ) -> Result<Dropped, JournalError> {
        let mut dropped = Dropped::default();
        scan::each_batch(segment, next.first_batch, |batch| {
            if self.shared.stopping.load(Ordering::Acquire) {
                return Err(JournalError::Closed);
            }
            let walk = batch.walk()?;
            let mut failed = None;
            walk.each(|found| {
                let position = Place { segment: segment.number, offset: found.offset }.into();
                let lives = self.lives(&found, position, &mut dropped)?;
                if lives && let Err(error) = keep(&found, walk.head.batch) {
                    failed.get_or_insert(error);
                }
                Ok(())
            })
            .map_err(|(offset, what)| segment.damaged(offset, what))?;
            failed.map_or(Ok(()), |error| Err(io_error(TMP, error)))
        })?;
        Ok(dropped)
    }

    fn lives(&self, found: &Found<'_>, position: Position, dropped: &mut Dropped) -> Result<bool, &'static str> {
        let index = self.shared.index.read();
        let lives = match found.record.kind {
            Kind::Erase => true,
            Kind::Retire => {
                let stone = Tombstone::decode(found.record.envelope).ok_or("a tombstone is cut short")?;
                let lives = !self.plan.tombstones || !self.may_be_forgotten(&index, &stone, position);
                if !lives {
                    dropped.tombstones += found.bytes.len() as u64;
                    dropped.forgotten.push((stone.key, position));
                }
                lives
            }
            Kind::Event => self.event_lives(&index, found, dropped),
            Kind::Wake => {
                let key = self.shared.keys.of(found.record.address);
                dropped.erased += u64::from(self.is_erased(&index, found));
                // Once the entity has moved on, it says nothing.
                index.entries.get(&key).is_some_and(|entry| entry.version() == found.record.version)
            }
        };
        dropped.records += u64::from(!lives);
        Ok(lives)
    }

    fn event_lives(&self, index: &Index, found: &Found<'_>, dropped: &mut Dropped) -> bool {
        let key = self.shared.keys.of(found.record.address);
        if index.entries.contains_key(&key) {
            return true;
        }
        let is_erased = self.is_erased(index, found);
        if !is_erased && !self.plan.events {
            return true;
        }
        let len = found.bytes.len() as u64;
        dropped.events += len;
        if !is_erased || index.retired.contains_key(&key) {
            dropped.dead += len;
        }
        dropped.missable |= !is_erased;
        dropped.erased += u64::from(is_erased);
        false
    }

    fn is_erased(&self, index: &Index, found: &Found<'_>) -> bool {
        let tenant = || self.shared.keys.of(index::tenant(found.record.address));
        !index.erased.is_empty() && index.erased.contains_key(&tenant())
    }

    /// A tombstone is needed until every event of its entity is gone, and until no saved index
    /// knows of the entity: without it they would come to life again.
    fn may_be_forgotten(&self, index: &Index, stone: &Tombstone, position: Position) -> bool {
        let own = Place::from(position).segment;
        // Of its own segment they go with it.
        let clean = |segment: u64| {
            let tally = index.tallies.get(&segment);
            tally.is_none_or(|tally| tally.dead == 0) || segment == own && self.plan.events
        };
        let others = match stone.is_whole {
            true => stone.parts.iter().all(|(segment, _)| clean(*segment)),
            false => index.tallies.keys().filter(|segment| **segment <= own).all(|segment| clean(*segment)),
        };
        others && self.shared.saved.load(Ordering::Acquire) > position.0
    }
}

/// The copy of a segment, while it is written.
struct Copy<'a> {
    shared: &'a Shared,
    file: Arc<dyn File>,
    seed: u32,
    buffer: Vec<u8>,
    /// Where the frame that is being filled begins in the buffer.
    frame: Option<usize>,
    count: u32,
    batch: u64,
    prev_crc: u32,
    frames: u32,
    /// Where the buffer goes in the file.
    at: u64,
}

impl<'a> Copy<'a> {
    fn begin(shared: &'a Shared, file: Arc<dyn File>, seed: u32) -> Self {
        // The header comes last, over these zeros.
        let buffer = vec![0; segment::HEAD as usize];
        Self { shared, file, seed, buffer, frame: None, count: 0, batch: 0, prev_crc: 0, frames: 0, at: 0 }
    }

    fn push(&mut self, found: &Found<'_>, batch: u64) -> io::Result<()> {
        let full = self.frame.is_some_and(|start| {
            let body = self.buffer.len() - start - frame::HEAD;
            body > 0 && body + OFFSET_LEN + found.bytes.len() > GROUP
        });
        if full {
            self.end_frame();
            self.write(true)?;
        }
        if self.frame.is_none() {
            self.frame = Some(frame::begin(&mut self.buffer));
        }
        self.buffer.extend_from_slice(&(found.offset as u32).to_le_bytes());
        self.buffer.extend_from_slice(found.bytes);
        self.batch = batch;
        self.count += 1;
        Ok(())
    }

    fn end_frame(&mut self) {
        if let Some(start) = self.frame.take() {
            self.prev_crc = frame::end(&mut self.buffer, start, self.seed, self.batch, self.prev_crc, self.count);
            self.frames += 1;
            self.count = 0;
        }
    }

    /// Writes what is ended; when it is a stride or more, or the rest.
    fn write(&mut self, is_more_to_come: bool) -> io::Result<()> {
        if is_more_to_come && self.buffer.len() < STRIDE {
            return Ok(());
        }
        let started = Instant::now();
        write_all(self.file.as_ref(), &self.buffer, self.at)?;
        self.file.fdatasync()?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        if self.shared.options.background && is_more_to_come {
            thread::sleep(started.elapsed().min(PAUSE_MAX));
        }
        Ok(())
    }
}

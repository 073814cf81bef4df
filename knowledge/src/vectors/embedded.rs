//! The store in a folder of its own.

use std::{
    collections::HashSet,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};

use crate::id::ChunkId;

use super::{
    compact,
    draft::Draft,
    error::Error,
    files,
    head::{self, Entry, Head},
    labels::{self, Filter},
    port::{Batch, Hit, Model, Query, VectorStore},
    search::{self, Prepared, Scratch, Wanted},
    segment::{Part, Segment},
    settings::Settings,
    snapshot::Snapshot,
    top::Top,
};

/// Scratch pads that are kept for the next search; more searches at once make their own.
const SCRATCH_MAX: usize = 8;

/// What only the one who writes needs.
#[derive(Debug)]
struct Writer {
    /// The journal's position of the last change.
    applied: u64,
    /// The number of the next segment's file.
    next: u64,
    /// The number of the file that a build writes now.
    building: Option<u64>,
    /// Something is not on disk.
    dirty: bool,
}

/// A store in a folder of its own. Searches wait for nobody; changes, one after the other, for each other.
#[derive(Debug)]
pub struct Embedded {
    folder: PathBuf,
    model: Model,
    settings: Settings,
    now: ArcSwap<Snapshot>,
    writer: Mutex<Writer>,
    building: Mutex<()>,
    cursor: AtomicU64,
    scratch: Mutex<Vec<Scratch>>,
    /// Held for as long as this lives.
    _lock: File,
}

/// What a store is made of at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Chunks.
    pub live: usize,
    /// Rows that are deleted and still there.
    pub dead: usize,
    /// Chunks in graphs.
    pub in_graphs: usize,
    /// Segments, with a graph or without.
    pub segments: usize,
}

impl Embedded {
    /// Opens the store of a folder, or makes one there.
    ///
    /// **Cost**: reads every file once, to check it.
    ///
    /// # Errors
    /// [`Error::Model`] where it holds another model's vectors, [`Error::Damaged`] where only a rebuild helps,
    /// [`Error::Taken`] where another has it open, [`Error::Setting`].
    pub fn open(folder: &Path, model: &Model, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        if model.dimensions == 0 || model.dimensions > 16_384 {
            return Err(Error::Setting(format!("a vector of {} numbers: 1 to 16384 are possible", model.dimensions)));
        }
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let lock = take(folder)?;
        let head = Head::read(folder)?;
        if let Some(head) = head.as_ref().filter(|head| head.model != *model) {
            return Err(Error::Model { held: Box::new(head.model.clone()), asked: Box::new(model.clone()) });
        }
        let head = head.unwrap_or(Head { model: model.clone(), cursor: 0, next: 1, segments: Vec::new() });
        let parts = head.segments.into_iter().map(|entry| load(folder, entry, model.dimensions));
        let parts = parts.collect::<Result<Vec<_>, Error>>()?;
        let store = Self {
            folder: folder.to_owned(),
            model: model.clone(),
            settings,
            now: ArcSwap::from_pointee(Snapshot(parts)),
            writer: Mutex::new(Writer { applied: head.cursor, next: head.next, building: None, dirty: false }),
            building: Mutex::new(()),
            cursor: AtomicU64::new(head.cursor),
            scratch: Mutex::new(Vec::new()),
            _lock: lock,
        };
        store.sweep(None)?;
        Ok(store)
    }

    /// What it is made of.
    pub fn figures(&self) -> Figures {
        let now = self.now.load();
        let graphs = now.0.iter().filter(|part| part.has_graph());
        let rows: usize = now.0.iter().map(|part| part.segment.rows()).sum();
        Figures {
            live: now.live(),
            dead: rows - now.live(),
            in_graphs: graphs.map(|part| part.live).sum(),
            segments: now.0.len(),
        }
    }

    /// Whether [`Embedded::build`] has something to do.
    pub fn build_is_due(&self) -> bool {
        !compact::due(&self.now.load().0, &self.settings).is_empty()
    }

    /// Builds the graph that is due, if one is, and says whether it did. Searches and changes go on meanwhile.
    ///
    /// **Cost**: tens of microseconds a row, on `settings.build_threads` threads of which one is the caller's.
    /// **Cancel safety**: ends soon after `stop` is set, and then nothing has changed.
    ///
    /// # Errors
    /// What the system says; then nothing has changed.
    pub fn build(&self, stop: &AtomicBool) -> Result<bool, Error> {
        let graph_from = self.settings.graph_min.min(self.settings.tail_max);
        self.replace(stop, graph_from, |parts| compact::due(parts, &self.settings))
    }

    /// Makes one segment of everything, with a graph where it is large enough; as [`Embedded::build`] otherwise.
    ///
    /// # Errors
    /// As [`Embedded::build`].
    pub fn compact(&self, stop: &AtomicBool) -> Result<bool, Error> {
        self.replace(stop, self.settings.graph_min, |parts| {
            if parts.len() > 1 { (0..parts.len()).collect() } else { Vec::new() }
        })
    }

    /// As [`VectorStore::search`], with another width than the settings have.
    ///
    /// # Errors
    /// As [`VectorStore::search`].
    pub fn search_wide(&self, query: &Query<'_>, k: usize, filter: &Filter, width: usize) -> Result<Vec<Hit>, Error> {
        self.refuse_other(query.model)?;
        self.refuse_length(query.vector, || "the query".to_owned())?;
        let prepared = Prepared::of(query.vector)?;
        let mut scratch = self.scratch.lock().pop().unwrap_or_default();
        let mut found = Top::of(k);
        for part in &self.now.load_full().0 {
            let wanted = Wanted { k: k.min(part.live), width };
            search::within(part, &prepared, wanted, filter, &self.settings, &mut scratch, &mut found);
        }
        let mut kept = self.scratch.lock();
        if kept.len() < SCRATCH_MAX {
            kept.push(scratch);
        }
        drop(kept);
        Ok(found.best().iter().map(|(score, id)| Hit { id: ChunkId::from_u128(*id), score: *score }).collect())
    }

    fn refuse_other(&self, asked: &Model) -> Result<(), Error> {
        if *asked == self.model {
            return Ok(());
        }
        Err(Error::Model { held: Box::new(self.model.clone()), asked: Box::new(asked.clone()) })
    }

    fn refuse_length(&self, vector: &[f32], of: impl Fn() -> String) -> Result<(), Error> {
        if vector.len() == self.model.dimensions {
            return Ok(());
        }
        let what = format!("has {} numbers, and `{}` makes {}", vector.len(), self.model.name, self.model.dimensions);
        Err(Error::Vector { of: of(), what })
    }

    /// A copy to change.
    fn copy(&self) -> Snapshot {
        Snapshot(self.now.load().0.clone())
    }

    /// Replaces parts by one of their living rows.
    fn replace(
        &self,
        stop: &AtomicBool,
        graph_from: usize,
        choose: impl Fn(&[Part]) -> Vec<usize>,
    ) -> Result<bool, Error> {
        let Some(_building) = self.building.try_lock() else { return Ok(false) };
        let (old, number) = {
            let mut writer = self.writer.lock();
            let mut parts = self.copy();
            let chosen = choose(&parts.0);
            let leaving = |(at, part): (usize, &mut Part)| {
                part.leaving = chosen.contains(&at);
                part.leaving.then(|| part.clone())
            };
            let old: Vec<Part> = parts.0.iter_mut().enumerate().filter_map(leaving).collect();
            if old.is_empty() {
                return Ok(false);
            }
            self.now.store(Arc::new(parts));
            let number = writer.next;
            (writer.next, writer.building) = (number + 1, Some(number));
            (old, number)
        };
        let made = compact::join(&old, self.model.dimensions, graph_from, &self.settings, stop);
        let made = made.filter(|segment| segment.rows() > 0).map(|segment| self.write(&segment, number)).transpose();
        let mut writer = self.writer.lock();
        writer.building = None;
        let mut parts = self.copy();
        match &made {
            Ok(Some(segment)) => {
                let mut part = Part::of(Arc::clone(segment), Some(number));
                let left: Vec<Part> = parts.0.extract_if(.., |part| part.leaving).collect();
                for (before, after) in old.iter().zip(&left) {
                    mourn(before, after, &mut part);
                }
                parts.0.insert(0, part);
                writer.dirty = true;
            }
            _ => parts.0.iter_mut().for_each(|part| part.leaving = false),
        }
        self.now.store(Arc::new(parts));
        made.map(|made| made.is_some())
    }

    /// Writes a segment to its file, and gives it as it lies there.
    fn write(&self, segment: &Segment, number: u64) -> Result<Arc<Segment>, Error> {
        let path = self.folder.join(head::file_of(number));
        files::write(segment, &path)?;
        files::read(&path, self.model.dimensions)
    }

    /// Removes the files of segments that no longer belong to it.
    fn sweep(&self, building: Option<u64>) -> Result<(), Error> {
        let now = self.now.load();
        let held: HashSet<String> =
            now.0.iter().filter_map(|part| part.number).chain(building).map(head::file_of).collect();
        for entry in fs::read_dir(&self.folder).map_err(Error::io(&self.folder))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".tmp") || name.ends_with(".segment") && !held.contains(&name) {
                fs::remove_file(entry.path()).map_err(Error::io(entry.path()))?;
            }
        }
        Ok(())
    }

    /// Puts checked rows in.
    fn put(
        &self,
        batch: &Batch<'_>,
        lengths: &[f64],
        seq: u64,
        writer: &mut MutexGuard<'_, Writer>,
    ) -> Result<(), Error> {
        let (mut parts, mut draft, mut named) = (self.copy(), Draft::default(), HashSet::new());
        for (row, length) in batch.rows.iter().zip(lengths).rev() {
            let id = row.id.as_u128();
            if named.insert(id) && parts.bury(id, seq) {
                draft.push(id, seq, search::normalised(row.vector, *length), row.labels);
            }
        }
        let rows = parts.live() + draft.rows();
        if rows > self.settings.rows_max {
            return Err(Error::Full { rows, max: self.settings.rows_max });
        }
        if draft.rows() > 0 {
            parts.0.push(Part::of(Segment::of(draft, self.model.dimensions, None, &self.settings), None));
            compact::tidy(&mut parts.0, self.model.dimensions, &self.settings, |part| part.number.is_none());
        }
        self.now.store(Arc::new(parts));
        (writer.applied, writer.dirty) = (seq, true);
        Ok(())
    }
}

/// Locks the folder.
fn take(folder: &Path) -> Result<File, Error> {
    let path = folder.join("LOCK");
    let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::io(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Taken(folder.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(Error::io(path)(error)),
    }
}

fn load(folder: &Path, entry: Entry, dimensions: usize) -> Result<Part, Error> {
    let path = folder.join(head::file_of(entry.number));
    let segment = files::read(&path, dimensions)?;
    if segment.rows() != entry.rows {
        return Err(Error::damaged(path, format!("it has {} rows instead of {}", segment.rows(), entry.rows)));
    }
    let live = entry.alive.count();
    Ok(Part { segment, number: Some(entry.number), alive: Arc::new(entry.alive), live, leaving: false })
}

/// Takes out of a new part what was deleted from an old one while the new one was made.
fn mourn(before: &Part, after: &Part, new: &mut Part) {
    let mut died = before.alive.as_ref().clone();
    died.join(after.alive.words(), |before, after| before & !after);
    for row in died.rows() {
        if let Some(row) = new.find(before.segment.id(row)) {
            new.bury(row);
        }
    }
}

impl VectorStore for Embedded {
    fn model(&self) -> &Model {
        &self.model
    }

    fn upsert(&self, batch: &Batch<'_>, seq: u64) -> Result<(), Error> {
        self.refuse_other(batch.model)?;
        let checked = batch.rows.iter().map(|row| {
            let of = || format!("`{}`", row.id);
            self.refuse_length(row.vector, of)?;
            labels::check(row.id, row.labels)?;
            search::length(row.vector, of)
        });
        let lengths = checked.collect::<Result<Vec<_>, Error>>()?;
        let mut writer = self.writer.lock();
        if seq < writer.applied {
            return Ok(());
        }
        self.put(batch, &lengths, seq, &mut writer)
    }

    fn delete(&self, ids: &[ChunkId], seq: u64) -> Result<(), Error> {
        let mut writer = self.writer.lock();
        if seq < writer.applied {
            return Ok(());
        }
        let mut parts = self.copy();
        for id in ids {
            parts.bury(id.as_u128(), seq);
        }
        self.now.store(Arc::new(parts));
        (writer.applied, writer.dirty) = (seq, true);
        Ok(())
    }

    fn search(&self, query: &Query<'_>, k: usize, filter: &Filter) -> Result<Vec<Hit>, Error> {
        self.search_wide(query, k, filter, self.settings.search_width)
    }

    fn count(&self) -> Result<usize, Error> {
        Ok(self.now.load().live())
    }

    fn cursor(&self) -> u64 {
        self.cursor.load(Ordering::Acquire)
    }

    fn flush(&self) -> Result<(), Error> {
        let mut writer = self.writer.lock();
        if !writer.dirty {
            return Ok(());
        }
        let mut parts = self.copy();
        compact::tidy(&mut parts.0, self.model.dimensions, &self.settings, |_| true);
        for part in parts.0.iter_mut().filter(|part| part.number.is_none()) {
            part.segment = self.write(&part.segment, writer.next)?;
            part.number = Some(writer.next);
            writer.next += 1;
        }
        files::sync(&self.folder)?;
        let entry = |part: &Part| {
            let alive = part.alive.as_ref().clone();
            part.number.map(|number| Entry { number, rows: part.segment.rows(), alive })
        };
        let segments = parts.0.iter().filter_map(entry).collect();
        let head = Head { model: self.model.clone(), cursor: writer.applied, next: writer.next, segments };
        head.write(&self.folder)?;
        self.now.store(Arc::new(parts));
        writer.dirty = false;
        self.cursor.store(writer.applied, Ordering::Release);
        self.sweep(writer.building)
    }
}

//! The faulty twin: files in memory that forget, tear and refuse as disks do.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, ErrorKind},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{
    File, Files, Lock, LockError,
    rng::Rng,
    sim_disk::{Node, SECTOR},
};

/// What reads show of data whose flush failed. Linux has done both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailedFlush {
    /// The new bytes, although the disk may lack them.
    New,
    /// The bytes that the disk has.
    Old,
}

/// A simulated folder.
///
/// Clones share it, and are what a process is given: each dies at the next [`SimFiles::crash`] or
/// [`SimFiles::kill`], so that nothing of a process that is gone can write any more. The first one
/// outlives them all. Every operation counts; [`SimFiles::power_off_at`] makes the folder die at
/// one of them.
#[derive(Debug, Default)]
pub struct SimFiles {
    state: Arc<Mutex<State>>,
    life: Option<u64>,
}

impl Clone for SimFiles {
    fn clone(&self) -> Self {
        let life = self.life.unwrap_or_else(|| self.state.lock().life);
        Self { state: self.state.clone(), life: Some(life) }
    }
}

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    pending_names: Vec<NameChange>,
    nodes: HashMap<u64, Node>,
    next_node: u64,
    lock: Option<String>,
    /// Grows with each crash: handles from before are dead.
    life: u64,
    operations: u64,
    flushes: u64,
    off_at: Option<u64>,
    off: bool,
    failing_flush: Option<(u64, AfterFailedFlush, u64)>,
    failing_flushes: bool,
    capacity: Option<u64>,
    short_writes: Option<u64>,
    writes: u64,
}

/// A change of names that may be lost while a later one is kept; but each is about one file, as in a
/// file system, and not about whatever has its name by then.
#[derive(Debug, Clone)]
enum NameChange {
    Create(String, u64),
    Rename(String, String, u64),
    Unlink(String, u64),
}

fn power() -> io::Error {
    io::Error::other("the power is off")
}

fn eio() -> io::Error {
    io::Error::other("input/output error")
}

impl State {
    /// Counts an operation; fails when the power goes at this one, or has gone.
    fn step(&mut self, life: u64) -> io::Result<()> {
        if self.off || life != self.life {
            return Err(power());
        }
        self.operations += 1;
        if self.off_at == Some(self.operations) {
            self.off = true;
            return Err(power());
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|id| self.nodes.get(id)).map(|node| node.live.len() as u64).sum()
    }

    fn node(&mut self, id: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn flush(&mut self, id: u64) -> io::Result<()> {
        self.flushes += 1;
        let failing = self.failing_flush.filter(|(nth, ..)| *nth == self.flushes);
        if let Some((_, after, seed)) = failing {
            self.failing_flush = None;
            self.node(id)?.flush_failed(&mut Rng::new(seed), after == AfterFailedFlush::New);
            return Err(eio());
        }
        if self.failing_flushes {
            return Err(eio());
        }
        self.node(id)?.flush();
        Ok(())
    }

    /// How much of a write is taken: all, some, or none and an error.
    fn room(&mut self, id: u64, len: usize, offset: usize) -> io::Result<usize> {
        self.writes += 1;
        let mut taken = len;
        if let Some(nth) = self.short_writes
            && len > 1
            && self.writes.is_multiple_of(nth.max(1))
        {
            taken = len / 2;
        }
        if let Some(capacity) = self.capacity {
            let free = capacity.saturating_sub(self.used());
            let have = self.node(id)?.live.len();
            let grown = (offset + taken).saturating_sub(have) as u64;
            if grown > free {
                taken = taken.saturating_sub((grown - free) as usize);
            }
            if taken == 0 && len > 0 {
                return Err(ErrorKind::StorageFull.into());
            }
        }
        Ok(taken)
    }

    fn crash(&mut self, seed: u64) {
        let mut rng = Rng::new(seed);
        let mut names = std::mem::take(&mut self.durable_names);
        for change in std::mem::take(&mut self.pending_names) {
            if rng.below(2) == 0 {
                apply(&mut names, &change);
            }
        }
        let mut ids: Vec<u64> = self.nodes.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.crash(&mut rng);
            }
        }
        self.nodes.retain(|id, _| names.values().any(|named| named == id));
        self.durable_names = names.clone();
        self.names = names;
        self.begin_life();
    }

    fn begin_life(&mut self) {
        self.lock = None;
        self.life += 1;
        self.off = false;
        self.off_at = None;
        self.failing_flush = None;
        self.failing_flushes = false;
    }
}

fn apply(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    match change {
        NameChange::Create(name, id) => {
            names.insert(name.clone(), *id);
        }
        NameChange::Rename(from, to, id) => {
            if names.get(from) == Some(id) {
                names.remove(from);
            }
            names.insert(to.clone(), *id);
        }
        NameChange::Unlink(name, id) => {
            if names.get(name) == Some(id) {
                names.remove(name);
            }
        }
    }
}

impl SimFiles {
    /// An empty folder on a disk without bound.
    pub fn new() -> Self {
        Self::default()
    }

    /// The power is gone now: what was not flushed is kept, lost or torn, sector by sector, and
    /// names that were not synced are kept or lost, all as `seed` says. Handles from before are dead.
    pub fn crash(&self, seed: u64) {
        self.state.lock().crash(seed);
    }

    /// The process is gone, the machine is not: everything written is still shown. Handles from
    /// before are dead.
    pub fn kill(&self) {
        self.state.lock().begin_life();
    }

    /// The power goes at the `nth` operation from now (1 is the next); it and all later ones fail.
    pub fn power_off_at(&self, nth: u64) {
        let mut state = self.state.lock();
        state.off_at = Some(state.operations + nth.max(1));
    }

    /// Operations so far, in all lives.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Flushes of files so far, in all lives.
    pub fn flushes(&self) -> u64 {
        self.state.lock().flushes
    }

    /// The `nth` flush from now fails (1 is the next); afterwards the system believes that all is
    /// flushed.
    pub fn fail_flush(&self, nth: u64, after: AfterFailedFlush, seed: u64) {
        let mut state = self.state.lock();
        state.failing_flush = Some((state.flushes + nth.max(1), after, seed));
    }

    /// From now on all flushes fail, or none.
    pub fn fail_all_flushes(&self, failing: bool) {
        self.state.lock().failing_flushes = failing;
    }

    /// The size of the disk. **Units**: bytes; `None` is without bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Every `nth` write takes only half of its bytes.
    pub fn short_writes(&self, nth: Option<u64>) {
        self.state.lock().short_writes = nth;
    }

    /// Flips one bit of a file, on the disk and in what is read. Answers whether there is such a byte.
    pub fn flip(&self, name: &str, offset: usize, bit: u8) -> bool {
        self.damage(name, |plane| plane.get_mut(offset).map(|byte| *byte ^= 1 << (bit % 8)).is_some())
    }

    /// Zeros one sector of 512 bytes. Answers whether there is such a sector.
    pub fn zero_sector(&self, name: &str, sector: usize) -> bool {
        self.damage(name, |plane| {
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(plane.len());
            plane.get_mut(start..end).map(|bytes| bytes.fill(0)).is_some()
        })
    }

    /// Cuts a file to a length.
    pub fn truncate(&self, name: &str, len: usize) -> bool {
        self.damage(name, |plane| {
            plane.truncate(len);
            true
        })
    }

    /// What a read of the whole file would show, when there is such a file.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let id = state.names.get(name)?;
        state.nodes.get(id).map(|node| node.live.clone())
    }

    /// An independent copy of the folder as it is now, without its lock and faults.
    pub fn copy(&self) -> Self {
        let state = self.state.lock();
        let copy = State {
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            pending_names: state.pending_names.clone(),
            nodes: state.nodes.clone(),
            next_node: state.next_node,
            capacity: state.capacity,
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(copy)), life: None }
    }

    /// Counts an operation on the folder itself.
    fn step(&self, state: &mut State) -> io::Result<()> {
        let life = self.life.unwrap_or(state.life);
        state.step(life)
    }

    fn damage(&self, name: &str, change: impl Fn(&mut Vec<u8>) -> bool) -> bool {
        let mut state = self.state.lock();
        let Some(id) = state.names.get(name).copied() else {
            return false;
        };
        let Some(node) = state.nodes.get_mut(&id) else {
            return false;
        };
        change(&mut node.durable);
        change(&mut node.live)
    }

    fn handle(&self, state: &State, id: u64) -> Arc<dyn File> {
        Arc::new(SimFile { state: self.state.clone(), id, life: state.life })
    }

    fn change(&self, change: impl FnOnce(&State) -> Option<NameChange>) -> io::Result<()> {
        let mut state = self.state.lock();
        self.step(&mut state)?;
        let change = change(&state).ok_or(ErrorKind::NotFound)?;
        apply(&mut state.names, &change);
        state.pending_names.push(change);
        Ok(())
    }
}

impl Files for SimFiles {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let id = {
            let mut state = self.state.lock();
            state.next_node += 1;
            let id = state.next_node;
            state.nodes.insert(id, Node::default());
            id
        };
        self.change(|_| Some(NameChange::Create(name.to_owned(), id)))?;
        Ok(self.handle(&self.state.lock(), id))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        self.step(&mut state)?;
        let id = *state.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(self.handle(&state, id))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(|state| Some(NameChange::Rename(from.to_owned(), to.to_owned(), *state.names.get(from)?)))
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        self.change(|state| Some(NameChange::Unlink(name.to_owned(), *state.names.get(name)?)))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        self.step(&mut state)?;
        if state.failing_flushes {
            return Err(eio());
        }
        state.pending_names.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        self.step(&mut state)?;
        Ok(state.names.keys().cloned().collect())
    }

    fn free_space(&self) -> io::Result<u64> {
        let state = self.state.lock();
        Ok(state.capacity.map_or(1 << 40, |capacity| capacity.saturating_sub(state.used())))
    }

    fn lock(&self, _name: &str) -> Result<Box<dyn Lock>, LockError> {
        let mut state = self.state.lock();
        self.step(&mut state)?;
        if let Some(by) = &state.lock {
            return Err(LockError::Held { by: by.clone() });
        }
        state.lock = Some(std::process::id().to_string());
        Ok(Box::new(SimLock { state: self.state.clone(), life: state.life }))
    }
}

struct SimLock {
    state: Arc<Mutex<State>>,
    life: u64,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if state.life == self.life {
            state.lock = None;
        }
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    id: u64,
    life: u64,
}

impl File for SimFile {
    fn pwrite(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut state = self.state.lock();
        let step = state.step(self.life);
        if step.is_err() {
            // The power may go in the middle of a write: its sectors are as good as any other's.
            if state.life == self.life && state.off_at == Some(state.operations) {
                state.off_at = None;
                state.node(self.id)?.write(bytes, offset);
            }
            step?;
        }
        let taken = state.room(self.id, bytes.len(), offset)?;
        state.node(self.id)?.write(bytes.get(..taken).unwrap_or_default(), offset);
        Ok(taken)
    }

    fn pread(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut state = self.state.lock();
        if state.off || state.life != self.life {
            return Err(power());
        }
        Ok(state.node(self.id)?.read(into, offset))
    }

    fn fdatasync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.step(self.life)?;
        state.flush(self.id)
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        if state.off || state.life != self.life {
            return Err(power());
        }
        Ok(state.node(self.id)?.live.len() as u64)
    }
}

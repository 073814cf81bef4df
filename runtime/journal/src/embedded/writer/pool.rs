//! Files of zeros, made ahead of time: the next segment, and the reserve for a full disk.

use std::{
    io::{self, ErrorKind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use mesh_kernel::ports::AppendOutcome;

use crate::{
    embedded::Options,
    files::{Files, is_full, zero_fill},
};

/// Files of zeros that wait to become segments.
pub(super) struct Pool {
    files: Arc<dyn Files>,
    free_bytes_min: u64,
    background: bool,
    spare: Slot,
    reserve: Slot,
    /// Filling ahead failed: the next one is made when it is needed, so that its error is told.
    spare_failed: bool,
    pace: Arc<Pace>,
}

/// How the filling threads go about it.
#[derive(Default)]
struct Pace {
    stopping: AtomicBool,
    /// Someone waits for the file: no pauses.
    hurry: AtomicBool,
}

impl Pace {
    /// Leaves the disk to others for as long as the last part took.
    fn between(&self, took: Duration) -> io::Result<()> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(ErrorKind::Interrupted.into());
        }
        if !self.hurry.load(Ordering::Relaxed) {
            thread::sleep(took.min(PAUSE_MAX));
        }
        Ok(())
    }
}

const PAUSE_MAX: Duration = Duration::from_millis(50);

struct Slot {
    /// Its file is `<name>.zero`, and `<name>.tmp` while it is filled.
    name: &'static str,
    len: u64,
    state: State,
}

enum State {
    Empty,
    Filling(thread::JoinHandle<io::Result<()>>),
    Ready,
}

impl Slot {
    fn find(files: &dyn Files, name: &'static str, len: u64) -> Self {
        let found = files.open(&zero(name)).and_then(|file| file.len()).is_ok_and(|found| found == len && len > 0);
        Self { name, len, state: if found { State::Ready } else { State::Empty } }
    }

    /// Waits for a filling that is under way.
    fn settle(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.state, State::Empty) {
            State::Filling(filling) => {
                let filled =
                    filling.join().unwrap_or_else(|_| Err(io::Error::other("the filling of a segment panicked")));
                if filled.is_ok() {
                    self.state = State::Ready;
                }
                filled
            }
            state => {
                self.state = state;
                Ok(())
            }
        }
    }

    fn is_done(&self) -> bool {
        matches!(&self.state, State::Filling(filling) if filling.is_finished())
    }
}

fn zero(name: &str) -> String {
    format!("{name}.zero")
}

impl Pool {
    pub(super) fn new(files: Arc<dyn Files>, options: &Options) -> Self {
        Self {
            spare: Slot::find(files.as_ref(), "spare", options.segment_bytes),
            reserve: Slot::find(files.as_ref(), "reserve", options.reserve_bytes),
            files,
            free_bytes_min: options.free_bytes_min,
            background: options.background,
            spare_failed: false,
            pace: Arc::default(),
        }
    }

    /// Takes a file of zeros with room for `need` bytes, and answers its name.
    ///
    /// The reserve is given only when the disk has no room for a spare.
    pub(super) fn take(&mut self, need: u64) -> io::Result<String> {
        self.pace.hurry.store(true, Ordering::Relaxed);
        if let Err(error) = self.spare.settle() {
            tracing::warn!(%error, "the next segment could not be filled ahead of time");
        }
        self.spare_failed = false;
        if !matches!(self.spare.state, State::Ready) {
            let made = self.job(&self.spare)();
            match made {
                Ok(()) => {}
                Err(error) if is_full(&error) => return self.take_reserve(need, error),
                Err(error) => return Err(error),
            }
        }
        self.spare.state = State::Empty;
        self.pace.hurry.store(false, Ordering::Relaxed);
        Ok(zero(self.spare.name))
    }

    fn take_reserve(&mut self, need: u64, full: io::Error) -> io::Result<String> {
        let _told_by_low = self.reserve.settle();
        if matches!(self.reserve.state, State::Ready) && self.reserve.len >= need {
            self.reserve.state = State::Empty;
            tracing::error!("the journal's disk is full: only the reserve is left");
            return Ok(zero(self.reserve.name));
        }
        Err(full)
    }

    /// Whether the reserve is used up, or could not be made.
    pub(super) fn is_low(&self) -> bool {
        self.reserve.len > 0 && matches!(self.reserve.state, State::Empty)
    }

    /// The answer to new work while only the reserve is left.
    pub(super) fn only_reserve_left(&self) -> AppendOutcome {
        AppendOutcome::Full {
            free_bytes: self.files.free_space().unwrap_or(0),
            reason: "the disk of the journal is full; running work goes on from a reserve, new work \
                     is refused: free some space on it"
                .to_owned(),
        }
    }

    /// Looks after fillings that ended, and makes the reserve again when there is room.
    pub(super) fn tend(&mut self) {
        if self.reserve.is_done()
            && let Err(error) = self.reserve.settle()
        {
            tracing::warn!(%error, "the journal's reserve could not be made");
        }
        if self.spare.is_done() && self.spare.settle().is_err() {
            self.spare_failed = true;
        }
        if self.is_low() && self.has_room_for(self.reserve.len) {
            self.fill_reserve();
        }
    }

    /// Makes the reserve, in the background when that is allowed.
    pub(super) fn fill_reserve(&mut self) {
        if !self.is_low() {
            return;
        }
        let job = self.job(&self.reserve);
        self.reserve.state = self.begin(job);
    }

    /// Fills the next segment ahead of time, when that is allowed and not done yet.
    pub(super) fn fill_spare(&mut self) {
        let wanted = self.background && !self.spare_failed && matches!(self.spare.state, State::Empty);
        if wanted && self.has_room_for(self.spare.len) {
            let job = self.job(&self.spare);
            self.spare.state = self.begin(job);
        }
    }

    /// Ends fillings that are under way, and waits for them.
    pub(super) fn stop(&mut self) {
        self.pace.stopping.store(true, Ordering::Relaxed);
        let _stopped = (self.spare.settle(), self.reserve.settle());
    }

    fn has_room_for(&self, len: u64) -> bool {
        self.files.free_space().is_ok_and(|free| free >= len.saturating_add(self.free_bytes_min))
    }

    fn begin(&self, job: impl FnOnce() -> io::Result<()> + Send + 'static) -> State {
        if !self.background {
            return if job().is_ok() { State::Ready } else { State::Empty };
        }
        thread::Builder::new().name("journal-fill".to_owned()).spawn(job).map_or(State::Empty, State::Filling)
    }

    fn job(&self, slot: &Slot) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let (files, pace) = (self.files.clone(), self.pace.clone());
        let (name, len, room) = (slot.name, slot.len, self.has_room_for(slot.len));
        move || {
            if !room {
                return Err(ErrorKind::StorageFull.into());
            }
            let tmp = format!("{name}.tmp");
            let filled = files
                .create(&tmp)
                .and_then(|file| zero_fill(file.as_ref(), len, &|took| pace.between(took)))
                .and_then(|()| files.rename(&tmp, &zero(name)));
            if filled.is_err() {
                // Half a file of zeros only takes the room that others need.
                let _best_effort = files.unlink(&tmp);
            }
            filled
        }
    }
}

//! Rotation: the next segment, and the index saved when one is full.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread,
};

use mesh_kernel::ports::{AppendOutcome, Position};

use super::Writer;
use crate::{
    embedded::{
        checkpoint::{self, Point},
        log::{
            Place, frame,
            segment::{self, Segment},
        },
        shared::WriterState,
    },
    files::is_full,
};

impl Writer {
    /// Sees to it that a frame of `len` bytes fits where the next one goes.
    ///
    /// An error is what to answer to everyone; nothing was written then.
    pub(super) fn make_room(&mut self, len: u64) -> Result<(), AppendOutcome> {
        self.pool.tend();
        // The mark has its place kept, so that a full segment can end with one.
        let fits = self.offset + len + frame::MARK_LEN <= self.active.len;
        if !fits || self.must_roll {
            self.roll(len).map_err(|error| self.refusal(&error))?;
        }
        if self.offset > self.active.len / 4 {
            self.pool.fill_spare();
        }
        self.say_how_it_is();
        Ok(())
    }

    /// Begins the next segment. Its header is on the disk and its name in the folder before the
    /// first batch goes in.
    pub(super) fn roll(&mut self, len: u64) -> io::Result<()> {
        let files = self.shared.files.clone();
        let zeros = self.pool.take(segment::HEAD + len + frame::MARK_LEN)?;
        let begun = files.open(&zeros).and_then(|file| {
            let number = self.active.number + 1;
            Segment::begin(file, &self.shared.store, number, self.next_batch, self.prev_crc)
        });
        let next = match begun {
            Ok(next) => Arc::new(next),
            Err(error) => {
                let _best_effort = files.unlink(&zeros);
                return Err(error);
            }
        };
        // From here on the name may be on the disk, whatever is answered: the segment before it
        // would be voided from this batch on.
        self.must_roll = true;
        mesh_kernel::failpoint::pass("journal.roll");
        files.rename(&zeros, &next.name)?;
        files.sync_dir()?;
        mesh_kernel::failpoint::pass("journal.rolled");
        self.shared.segments.write().push(next.clone());
        self.active = next;
        self.offset = segment::HEAD;
        self.must_roll = false;
        self.unmarked = false;
        if self.unsaved >= self.shared.options.checkpoint_bytes {
            self.save_index();
        }
        Ok(())
    }

    fn refusal(&self, error: &io::Error) -> AppendOutcome {
        if is_full(error) {
            let reason = "the disk of the journal is full: free some space on it";
            self.say_limited(reason);
            return AppendOutcome::Full { free_bytes: self.shared.free_bytes(), reason: reason.to_owned() };
        }
        tracing::error!(%error, "the next segment of the journal could not be made");
        self.say_limited("the disk of the journal fails to write");
        AppendOutcome::Unknown {
            reason: format!("the next segment of the journal could not be made ({error}); nothing was written"),
        }
    }

    fn say_how_it_is(&self) {
        if self.pool.is_low() {
            self.say_limited("the disk is full: running work goes on from a reserve, new work is refused");
        } else {
            let mut state = self.shared.state.lock();
            if *state != WriterState::Ready {
                tracing::info!("the journal takes everything again");
                *state = WriterState::Ready;
            }
        }
    }

    /// Saves the index as it is after the last batch, beside the writer when that is allowed.
    fn save_index(&mut self) {
        if self.saving.take_if(|saving| saving.is_finished()).is_none() && self.saving.is_some() {
            // The one before is still being saved: this disk has enough to do.
            return;
        }
        self.unsaved = 0;
        let point = Point {
            place: Place { segment: self.active.number, offset: self.offset },
            next_batch: self.next_batch,
            prev_crc: self.prev_crc,
            last: self.shared.end().last,
        };
        let index = self.shared.index.read().clone();
        let shared = self.shared.clone();
        let save = move || match checkpoint::save(shared.files.as_ref(), &shared.store, point, &index) {
            Ok(()) => {
                shared.saved.store(Position::from(point.place).0, Ordering::Release);
            }
            // It costs only time at the next open.
            Err(error) => tracing::warn!(%error, "the journal's index could not be saved"),
        };
        if self.shared.options.background {
            self.saving = thread::Builder::new().name("journal-index".to_owned()).spawn(save).ok();
        } else {
            save();
        }
    }

    /// A sixteenth of the bound is worth saving when nobody waits.
    pub(super) fn save_at_close(&mut self) {
        if !self.must_roll && self.unsaved >= self.shared.options.checkpoint_bytes / 16 {
            if let Some(saving) = self.saving.take() {
                let _ended = saving.join();
            }
            self.save_index();
        }
    }
}

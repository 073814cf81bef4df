//! Group commit: check, encode, write, flush, publish, answer; in this order.

use std::{io, time::Instant};

use mesh_kernel::ports::{AppendOutcome, Position};

use super::{Request, Writer};
use crate::{
    embedded::{
        log::{Place, frame},
        shared::WriterState,
        tail::Kept,
    },
    files::{is_full, write_all},
};

/// Why a frame is not known to be durable.
#[derive(Debug)]
pub(super) enum WriteError {
    /// The disk took a part of it: it is no frame.
    NoRoom,
    /// It may be on the disk, whole or in part.
    InDoubt(io::Error),
}

impl Writer {
    /// Records what can be recorded of `taken`, with one flush, and answers everyone.
    pub(super) fn commit(&mut self, taken: &mut Vec<Request>) {
        let body: usize = taken.iter().map(|request| request.size).sum();
        if let Err(refusal) = self.make_room(frame::len_of(body)) {
            self.verdicts.clear();
            self.verdicts.extend(taken.iter().map(|_| refusal.clone()));
        } else if self.encode(taken) > 0 {
            match self.write() {
                Ok(()) => {
                    self.publish();
                    self.seal();
                }
                Err(WriteError::NoRoom) => self.write_refused(),
                Err(WriteError::InDoubt(error)) => self.flush_failed(taken, &error),
            }
        }
        for (request, verdict) in taken.drain(..).zip(self.verdicts.drain(..)) {
            self.shared.counters.answered(&verdict);
            // Whoever asked may be gone; what was recorded stays recorded.
            let _gone = request.answer.send(verdict);
        }
    }

    /// Writes the buffer and flushes it.
    pub(super) fn write(&mut self) -> Result<(), WriteError> {
        mesh_kernel::failpoint::pass("journal.write");
        write_all(self.active.file.as_ref(), &self.buffer, self.offset)
            .map_err(|error| if is_full(&error) { WriteError::NoRoom } else { WriteError::InDoubt(error) })?;
        mesh_kernel::failpoint::pass("journal.flush");
        let started = Instant::now();
        self.active.file.fdatasync().map_err(WriteError::InDoubt)?;
        self.shared.flush_took(started.elapsed());
        Ok(())
    }

    /// Moves everything that others see. Only ever called after a flush that succeeded.
    fn publish(&mut self) {
        let kept = self.kept();
        self.advance();
        self.unmarked = true;
        let last = self.publish_index();
        let kept = Kept { last: Some(last), ..kept };
        self.keep(kept.clone());
        self.shared.end.send_modify(|end| {
            end.next_batch = self.next_batch;
            end.last = end.last.max(last);
        });
        self.shared.bells.ring(&kept);
    }

    /// Moves the index to what the buffer says, and answers the newest position in it.
    pub(super) fn publish_index(&mut self) -> Position {
        let last = self.pending.values().map(|entry| entry.last);
        let last =
            last.chain(self.stones.iter().map(|(_, at, _)| *at)).chain(self.ends.iter().map(|(_, at)| *at)).max();
        let mut index = self.shared.index.write();
        index.entries.extend(self.pending.drain());
        if self.event_bytes > 0 {
            index.add_events(self.active.number, std::mem::take(&mut self.event_bytes));
        }
        for (stone, at, len) in self.stones.drain(..) {
            index.retire(&stone, at, len);
        }
        for (tenant, at) in &self.ends {
            index.erase(*tenant, *at);
        }
        drop(index);
        self.hints.drain(..self.hints_encoded);
        self.hints_encoded = 0;
        last.unwrap_or_default()
    }

    /// The end of a tenant ends the segment too: only what is not written to any more can be
    /// cleaned of it. Without room for the next segment it is cleaned later.
    fn seal(&mut self) {
        if !std::mem::take(&mut self.ends).is_empty()
            && let Err(error) = self.roll(0)
        {
            tracing::warn!(%error, "the segment of an erased tenant could not be ended yet");
        }
    }

    /// The batch in the buffer, as followers are told of it.
    pub(super) fn kept(&mut self) -> Kept {
        Kept {
            batch: self.next_batch,
            place: Place { segment: self.active.number, offset: self.offset },
            len: self.buffer.len(),
            events: self.told.drain(..).collect(),
            last: None,
        }
    }

    pub(super) fn keep(&self, kept: Kept) {
        if !self.shared.bells.is_empty() {
            self.shared.tail.lock().push(kept);
        }
    }

    /// Takes the frame in the buffer as written.
    pub(super) fn advance(&mut self) {
        let len = self.buffer.len() as u64;
        self.offset += len;
        self.unsaved += len;
        self.next_batch += 1;
        self.prev_crc = frame::peek(&self.buffer).map_or(0, |head| head.crc);
    }

    /// The disk took only a part of the frame, so it is no frame: nothing was recorded, and the
    /// next batch takes its place.
    fn write_refused(&mut self) {
        const REASON: &str = "the disk of the journal is full: free some space on it";
        self.say_limited(REASON);
        self.answer_accepted(&AppendOutcome::Full { free_bytes: self.shared.free_bytes(), reason: REASON.to_owned() });
    }

    /// Nothing is acknowledged on a flush that failed, and the segment is never written to again.
    /// The batch is written anew into the next segment, so that whoever reads back finds it.
    fn flush_failed(&mut self, taken: &[Request], error: &io::Error) {
        tracing::error!(
            segment = %self.active.name, offset = self.offset, %error,
            "a write or flush of the journal failed; its tail is written anew into a new segment"
        );
        self.must_roll = true;
        let then = if self.write_anew(taken) {
            "read back what was recorded"
        } else {
            self.say_limited("the disk of the journal fails to write");
            "and nothing can be recorded now"
        };
        self.answer_accepted(&AppendOutcome::Unknown { reason: format!("the disk failed to write ({error}); {then}") });
    }

    fn write_anew(&mut self, taken: &[Request]) -> bool {
        let body: usize = taken.iter().map(|request| request.size).sum();
        if self.make_room(frame::len_of(body)).is_err() {
            return false;
        }
        if self.encode(taken) == 0 {
            // Only the reserve is left, which takes none of them; and what failed is void.
            return true;
        }
        match self.write() {
            Ok(()) => {
                self.publish();
                self.seal();
                true
            }
            Err(error) => {
                tracing::error!(segment = %self.active.name, ?error, "the new segment failed as well");
                self.must_roll = true;
                false
            }
        }
    }

    fn answer_accepted(&mut self, outcome: &AppendOutcome) {
        for verdict in &mut self.verdicts {
            // A refusal that was judged against a neighbour in this batch is as uncertain as it.
            if !matches!(verdict, AppendOutcome::Full { .. }) {
                *verdict = outcome.clone();
            }
        }
    }

    pub(super) fn say_limited(&self, reason: &str) {
        let mut state = self.shared.state.lock();
        if !matches!(&*state, WriterState::Limited(said) if said == reason) {
            *state = WriterState::Limited(reason.to_owned());
        }
    }
}

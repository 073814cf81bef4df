//! The one thread that writes.
//!
//! It takes one request, waiting, then all that are there; checks them in the order in which they
//! came; writes and flushes once; and only then moves the index, wakes followers and answers. No
//! timer and no spinning: the window of a batch is the flush before it.

mod commit;
mod judge;
mod mark;
mod pool;
mod queue;
mod roll;

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
};

use mesh_kernel::{
    envelope::Address,
    ports::{AppendOutcome, JournalError, Position, Recorded},
};

pub(super) use self::queue::{Queue, Request, What};
use self::{
    pool::Pool,
    queue::{Limits, Taken},
};
use super::{
    error::io_error,
    hints::Hint,
    index::{ByKey, Entry, Key},
    log::segment::Segment,
    recover::Standing,
    shared::{Shared, WriterState},
    tombstone::Tombstone,
};
use crate::files::Lock;

/// The thread's own state: nobody else touches it.
pub(super) struct Writer {
    shared: Arc<Shared>,
    pool: Pool,
    active: Arc<Segment>,
    /// Where the next frame goes in the active segment.
    offset: u64,
    next_batch: u64,
    prev_crc: u32,
    /// The last batch holds events: damage to it could be taken for a torn tail.
    unmarked: bool,
    /// INVARIANT: when set, nothing is written to the active segment any more: its tail is in
    /// doubt, or a later segment may stand on the disk that voids what would be written here.
    must_roll: bool,
    /// Bytes of log since the index was saved.
    unsaved: u64,
    saving: Option<thread::JoinHandle<()>>,
    // Reused from batch to batch.
    buffer: Vec<u8>,
    pending: ByKey<Entry>,
    /// Tombstones in the buffer, where each lies, and its length.
    stones: Vec<(Tombstone, Position, u64)>,
    /// Ends of tenants in the buffer, and where each lies.
    ends: Vec<(Key, Position)>,
    /// Bytes of events in the buffer.
    event_bytes: u64,
    /// The events in the buffer, for followers.
    told: Vec<Recorded>,
    verdicts: Vec<AppendOutcome>,
    /// Taken and not known to be durable; and how many of them are in the buffer.
    hints: Vec<(Address, Hint)>,
    hints_encoded: usize,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, standing: Standing) -> Self {
        Self {
            pool: Pool::new(shared.files.clone(), &shared.options),
            shared,
            active: standing.active,
            offset: standing.offset,
            next_batch: standing.next_batch,
            prev_crc: standing.prev_crc,
            unmarked: standing.unmarked,
            must_roll: false,
            unsaved: standing.unsaved,
            saving: None,
            buffer: Vec::new(),
            pending: ByKey::default(),
            stones: Vec::new(),
            ends: Vec::new(),
            event_bytes: 0,
            told: Vec::new(),
            verdicts: Vec::new(),
            hints: Vec::new(),
            hints_encoded: 0,
        }
    }

    /// Starts the thread. It holds the folder's lock until it ends.
    pub(super) fn start(
        mut self,
        queue: Arc<Queue>,
        lock: Box<dyn Lock>,
    ) -> Result<thread::JoinHandle<()>, JournalError> {
        self.pool.fill_reserve();
        // A panic in here is a bug; those who wait must hear of it all the same.
        let closing = CloseAtEnd { queue: queue.clone(), shared: self.shared.clone() };
        thread::Builder::new()
            .name("journal-writer".to_owned())
            .spawn(move || {
                let closing = closing;
                self.run(&queue);
                self.pool.stop();
                if let Some(saving) = self.saving.take() {
                    let _ended = saving.join();
                }
                // Nobody else may still change files when the folder is another's.
                self.shared.stopping.store(true, Ordering::Release);
                self.shared.reclaiming.lock().close();
                drop(lock);
                drop(closing);
            })
            .map_err(|error| io_error("journal-writer", error))
    }

    fn run(&mut self, queue: &Queue) {
        let limits =
            Limits { bytes: self.shared.options.batch_bytes_max, events: self.shared.options.batch_events_max };
        let mut taken = Vec::new();
        loop {
            let idle = self.shared.options.mark_after.filter(|_| self.has_loose_ends());
            match queue.take(&mut taken, limits, idle) {
                Taken::Requests => self.commit(&mut taken),
                Taken::Idle => self.mark(),
                // With a hint to write, the wait for idleness begins.
                Taken::Nudged => {}
                Taken::Closed => break,
            }
        }
        self.mark();
        while !self.hints.is_empty() || !self.shared.hints.is_empty() {
            self.mark();
        }
        self.save_at_close();
    }
}

struct CloseAtEnd {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
}

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.queue.close();
        self.queue.clear();
        *self.shared.state.lock() = WriterState::Closed;
        // Feeds that wait hear that there will be nothing more.
        self.shared.end.send_modify(|_| {});
        self.shared.bells.ring_all();
    }
}

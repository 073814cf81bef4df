//! The way to the writer: bounded, first come first served, senders wait.

use std::{collections::VecDeque, time::Duration};

use mesh_kernel::{
    envelope::Address,
    ports::{Append, AppendOutcome},
};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};

use crate::embedded::{index::Key, tombstone::Tombstone};

/// What one permit of the queue's bound stands for. **Units**: bytes.
const UNIT: usize = 1024;

/// Something to be recorded, on its way.
pub(in crate::embedded) struct Request {
    pub(in crate::embedded) what: What,
    /// Bytes of its records.
    pub(in crate::embedded) size: usize,
    pub(in crate::embedded) answer: oneshot::Sender<AppendOutcome>,
}

/// What is to be recorded.
pub(in crate::embedded) enum What {
    /// Events of an entity.
    Append {
        append: Append,
        /// The entity's key in the index.
        entity: Key,
        /// A digest of the command's key.
        repeat: Option<u64>,
    },
    /// The end of an entity.
    Retire { stone: Tombstone, address: Address, version: u64 },
    /// The end of a tenant.
    Erase { tenant: Key },
}

impl Request {
    fn events(&self) -> usize {
        match &self.what {
            What::Append { append, .. } => append.events.len(),
            What::Retire { .. } | What::Erase { .. } => 1,
        }
    }

    fn permits(&self) -> u32 {
        u32::try_from(self.size.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX)
    }
}

/// The most that one batch takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) events: usize,
}

/// What a look into the queue brought.
pub(super) enum Taken {
    /// At least one request.
    Requests,
    /// Nothing came for as long as was asked.
    Idle,
    /// There is something else to look after.
    Nudged,
    /// Nothing is left, and nothing will come.
    Closed,
}

/// The bounded queue before the writer.
pub(in crate::embedded) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    /// One permit for each started KiB of an append: a bound in bytes and in number at once.
    room: Semaphore,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    closed: bool,
    nudged: bool,
}

impl Queue {
    pub(in crate::embedded) fn new(bytes_max: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            room: Semaphore::new((bytes_max / UNIT).clamp(1, Semaphore::MAX_PERMITS)),
        }
    }

    /// Hands a request over, waiting for room. Answers `false` when the journal is closed.
    ///
    /// **Cancel safety**: dropped while it waits, the request was never handed over.
    pub(in crate::embedded) async fn put(&self, request: Request) -> bool {
        let Ok(permits) = self.room.acquire_many(request.permits()).await else {
            return false;
        };
        // They come back when the writer takes the request.
        permits.forget();
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return false;
        }
        waiting.requests.push_back(request);
        drop(waiting);
        self.arrived.notify_one();
        true
    }

    /// Takes everything that is there, within `limits` but at least one; waits when there is
    /// nothing, at most `idle` when that is given.
    pub(super) fn take(&self, into: &mut Vec<Request>, limits: Limits, idle: Option<Duration>) -> Taken {
        let mut waiting = self.waiting.lock();
        while waiting.requests.is_empty() {
            if waiting.closed {
                return Taken::Closed;
            }
            if std::mem::take(&mut waiting.nudged) {
                return Taken::Nudged;
            }
            match idle {
                None => self.arrived.wait(&mut waiting),
                Some(idle) => {
                    let timed_out = self.arrived.wait_for(&mut waiting, idle).timed_out();
                    let quiet = waiting.requests.is_empty() && !waiting.closed;
                    if timed_out && quiet {
                        return Taken::Idle;
                    }
                }
            }
        }
        let (mut bytes, mut events, mut permits) = (0, 0, 0_usize);
        while let Some(next) = waiting.requests.front() {
            bytes += next.size;
            events += next.events();
            if !into.is_empty() && (bytes > limits.bytes || events > limits.events) {
                break;
            }
            permits += next.permits() as usize;
            into.extend(waiting.requests.pop_front());
        }
        drop(waiting);
        self.room.add_permits(permits);
        Taken::Requests
    }

    /// Tells the writer that there is something beside requests to look after.
    pub(in crate::embedded) fn nudge(&self) {
        self.waiting.lock().nudged = true;
        self.arrived.notify_one();
    }

    /// Takes nothing more. What waits is still written.
    pub(in crate::embedded) fn close(&self) {
        self.waiting.lock().closed = true;
        self.room.close();
        self.arrived.notify_all();
    }

    /// Lets go of what waits; each sender hears that nothing is known.
    pub(super) fn clear(&self) {
        self.waiting.lock().requests.clear();
    }
}

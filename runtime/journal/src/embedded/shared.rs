//! What the writer makes and everyone else reads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use mesh_kernel::ports::{Epoch, Position};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::{
    Options,
    bells::Bells,
    figures::Counters,
    hints::Hints,
    index::{Index, Keys},
    log::segment::{Segment, StoreId},
    reclaim::Reclaiming,
    recover::Recovered,
    store::Store,
    tail::Tail,
};
use crate::files::Files;

/// The end of what is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// The number that the next batch will have.
    pub(super) next_batch: u64,
    /// Position of the last event.
    pub(super) last: Position,
}

/// The state that the writer moves, always after the flush, and that everyone else reads.
pub(super) struct Shared {
    pub(super) store: StoreId,
    pub(super) keys: Keys,
    pub(super) epoch: Epoch,
    pub(super) files: Arc<dyn Files>,
    pub(super) options: Options,
    pub(super) index: RwLock<Index>,
    /// In order of their numbers, without gaps; the last one is written to.
    pub(super) segments: RwLock<Vec<Arc<Segment>>>,
    pub(super) end: watch::Sender<End>,
    /// The newest batches, for followers that keep up.
    pub(super) tail: Mutex<Tail>,
    pub(super) bells: Bells,
    pub(super) state: Mutex<WriterState>,
    pub(super) hints: Hints,
    /// When events of retired entities were freed last: a count that grows through the store.
    pub(super) freed: AtomicU32,
    /// Up to where the saved index covers the log.
    pub(super) saved: AtomicU64,
    /// The writer has ended: whoever changes files stops.
    pub(super) stopping: AtomicBool,
    pub(super) reclaiming: Mutex<Reclaiming>,
    pub(super) counters: Counters,
    last_flush_nanos: AtomicU64,
}

/// What the writer says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum WriterState {
    /// It takes everything.
    #[default]
    Ready,
    /// It takes some things or nothing, for this reason.
    Limited(String),
    /// It has stopped.
    Closed,
}

impl Shared {
    pub(super) fn new(store: &Store, files: Arc<dyn Files>, options: Options, recovered: &mut Recovered) -> Self {
        let segments = std::mem::take(&mut recovered.segments);
        let freed = segments.iter().filter_map(|segment| segment.sparse.as_ref()).map(|sparse| sparse.freed);
        let freed = freed.max().unwrap_or(0).max(store.freed);
        Self {
            store: store.id,
            keys: Keys::new(&store.id),
            epoch: store.epoch,
            files,
            tail: Mutex::new(Tail::new(options.tail_bytes_max)),
            options,
            index: RwLock::new(std::mem::take(&mut recovered.index)),
            segments: RwLock::new(segments),
            end: watch::Sender::new(End { next_batch: recovered.standing.next_batch, last: recovered.last }),
            bells: Bells::default(),
            state: Mutex::default(),
            hints: Hints::default(),
            freed: AtomicU32::new(freed),
            saved: AtomicU64::new(recovered.saved.0),
            stopping: AtomicBool::new(false),
            reclaiming: Mutex::new(Reclaiming::new(*store)),
            counters: Counters::default(),
            last_flush_nanos: AtomicU64::new(0),
        }
    }

    /// The segment with this number, when it stands.
    pub(super) fn segment(&self, number: u64) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        let first = segments.first()?.number;
        let index = usize::try_from(number.checked_sub(first)?).ok()?;
        segments.get(index).cloned()
    }

    pub(super) fn end(&self) -> End {
        *self.end.borrow()
    }

    pub(super) fn flush_took(&self, duration: Duration) {
        self.counters.flushed(duration);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.last_flush_nanos.store(nanos, Ordering::Relaxed);
    }

    pub(super) fn last_flush(&self) -> Duration {
        Duration::from_nanos(self.last_flush_nanos.load(Ordering::Relaxed))
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.files.free_space().unwrap_or(0)
    }
}

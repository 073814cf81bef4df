//! The engine itself: the journal port over the log.

use std::{path::Path, sync::Arc, thread};

use mesh_kernel::{
    BoxFuture,
    envelope::{Address, IdempotencyKey, Shard, TenantScope},
    ports::{
        Append, AppendOutcome, Cursor, Epoch, Feed, Health, Journal, JournalError, Position, Recorded, Snapshot, Wake,
    },
};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::{sync::oneshot, task::spawn_blocking};

use super::{
    OpenError, Options, chain,
    follow::{self, LogFeed, Verified},
    hints::Hint,
    log::{numbers::u64_at, record},
    recover,
    shared::{End, Shared, WriterState},
    snapshots::Snapshots,
    store::Store,
    writer::{Queue, Request, Writer},
};
use crate::files::{Files, LockError, OsFiles};

const LOCK: &str = "lock";

/// The journal in one folder, for one process.
///
/// **Cost**: about 200 bytes of memory for each entity that has events; opening reads the log
/// behind the saved index, about 130 MB/s.
pub struct EmbeddedJournal {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    snapshots: Arc<Snapshots>,
    writer: Mutex<Option<thread::JoinHandle<()>>>,
}

impl EmbeddedJournal {
    /// Opens the journal in a folder, making it when it is not there.
    ///
    /// It answers when everything that was acknowledged is read, a torn tail is cut, and what is
    /// left is flushed. Blocks meanwhile.
    ///
    /// # Errors
    /// [`OpenError`] when another process has it, when it is damaged (with file and offset), when
    /// a newer program wrote it, or when the system refuses.
    pub fn open(folder: &Path, options: Options) -> Result<Arc<Self>, OpenError> {
        let files = OsFiles::open(folder).map_err(|error| OpenError::io(&folder.display().to_string(), error))?;
        Self::open_on(Arc::new(files), options)
    }

    /// Opens the journal that lies in these files.
    ///
    /// # Errors
    /// As [`EmbeddedJournal::open`].
    pub fn open_on(files: Arc<dyn Files>, options: Options) -> Result<Arc<Self>, OpenError> {
        options.validate()?;
        let lock = files.lock(LOCK).map_err(|error| match error {
            LockError::Held { by } => OpenError::Locked { pid: by },
            LockError::Io(error) => OpenError::io(LOCK, error),
        })?;
        let mut store = Store::load(files.as_ref())?;
        let recovered = recover::recover(files.as_ref(), &store.id, &options, store.newest_segment)?;
        store.epoch = Epoch(store.epoch.0 + 1);
        store.newest_segment = recovered.standing.active.number;
        store.save(files.as_ref()).map_err(|error| OpenError::io("store", error))?;
        let end = End { next_batch: recovered.standing.next_batch, last: recovered.last };
        let snapshots = Snapshots::open(files.clone(), &store.id, options.snapshot_bytes_max);
        let queue = Arc::new(Queue::new(options.queue_bytes_max));
        let shared =
            Arc::new(Shared::new(store.id, store.epoch, files, options, recovered.index, recovered.segments, end));
        let writer = Writer::new(shared.clone(), recovered.standing).start(queue.clone(), lock)?;
        Ok(Arc::new(Self { shared, queue, snapshots: Arc::new(snapshots), writer: Mutex::new(Some(writer)) }))
    }

    /// Reads the whole log from the disk and checks every byte of it.
    ///
    /// Opening reads only what lies behind the saved index; damage before that is told when it is
    /// read, or here.
    ///
    /// **Cost**: one read of everything, beside whatever else goes on.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] with the first place that is not as it was written.
    pub async fn verify(&self) -> Result<Verified, JournalError> {
        let shared = self.shared.clone();
        spawn_blocking(move || follow::verify(&shared)).await.unwrap_or(Err(JournalError::Closed))
    }

    async fn submit(&self, append: Append, key: Option<u64>) -> AppendOutcome {
        let size = append.events.iter().map(|event| record::len_of(append.address.as_str(), event)).sum();
        if let Some(refusal) = self.refuse(&append, size) {
            return refusal;
        }
        let (answer, outcome) = oneshot::channel();
        let request = Request { append, key, size, answer };
        let closed = || AppendOutcome::Unknown { reason: "the journal is closed".to_owned() };
        if !self.queue.put(request).await {
            return closed();
        }
        outcome.await.unwrap_or_else(|_| closed())
    }

    /// What no state of the log could make right.
    fn refuse(&self, append: &Append, size: usize) -> Option<AppendOutcome> {
        if append.epoch != self.shared.epoch {
            return Some(AppendOutcome::Fenced { current: self.shared.epoch });
        }
        let max = self.shared.options.append_bytes_max;
        let reason = if append.events.is_empty() {
            "an append needs at least one event".to_owned()
        } else if append.events.len() > usize::from(u16::MAX) {
            format!("an append holds at most {} events, not {}", u16::MAX, append.events.len())
        } else if size > max {
            format!("an append holds at most {max} bytes, not {size}: put large bodies into the content store")
        } else {
            return None;
        };
        Some(AppendOutcome::Full { free_bytes: self.shared.free_bytes(), reason })
    }

    /// Whether an append that met another version is one that was recorded before.
    async fn tell_repeat(&self, address: Address, expected: u64, key: u64, actual: u64) -> AppendOutcome {
        let shared = self.shared.clone();
        let told = spawn_blocking(move || chain::first_answer(&shared, &address, expected, key)).await;
        match told {
            Ok(Ok(Some(version))) => AppendOutcome::Duplicate { version },
            Ok(Ok(None)) => AppendOutcome::WrongVersion { actual },
            Ok(Err(error)) => AppendOutcome::Unknown { reason: error.to_string() },
            Err(_) => AppendOutcome::Unknown { reason: "the journal is closed".to_owned() },
        }
    }
}

fn digest(key: &IdempotencyKey) -> u64 {
    u64_at(&Sha256::digest(key.as_str().as_bytes()), 0).unwrap_or_default()
}

impl Journal for EmbeddedJournal {
    fn append(&self, append: Append) -> BoxFuture<'_, AppendOutcome> {
        Box::pin(async move {
            let key = append.key.as_ref().map(digest);
            let (address, expected) = (append.address.clone(), append.expected_version);
            match (self.submit(append, key).await, key) {
                (AppendOutcome::WrongVersion { actual }, Some(key)) if actual > expected => {
                    self.tell_repeat(address, expected, key, actual).await
                }
                (outcome, _) => outcome,
            }
        })
    }

    fn read<'a>(
        &'a self,
        address: &'a Address,
        from_version: u64,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, JournalError>> {
        Box::pin(async move {
            let version = self.version(address).await?;
            if version < from_version.max(1) {
                return Ok(Vec::new());
            }
            let (shared, address) = (self.shared.clone(), address.clone());
            spawn_blocking(move || chain::read(&shared, &address, from_version))
                .await
                .unwrap_or(Err(JournalError::Closed))
        })
    }

    fn version<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<u64, JournalError>> {
        let version = self.shared.index.read().get(address).map_or(0, |entry| entry.version);
        Box::pin(std::future::ready(Ok(version)))
    }

    fn follow(&self, shard: Option<Shard>, from: Option<Cursor>) -> Result<Box<dyn Feed>, JournalError> {
        Ok(Box::new(LogFeed::new(self.shared.clone(), shard, from)?))
    }

    fn settle(&self, address: &Address, version: u64, wake: Wake) {
        if self.shared.hints.put(address, Hint { version, wake }) {
            self.queue.nudge();
        }
    }

    fn durable(&self) -> Position {
        self.shared.end().last
    }

    fn snapshot_put<'a>(&'a self, address: &'a Address, snapshot: Snapshot) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            // On a full disk the room is for events; after the end it is another's.
            if *self.shared.state.lock() != WriterState::Ready {
                return;
            }
            let (snapshots, address) = (self.snapshots.clone(), address.clone());
            let _best_effort = spawn_blocking(move || snapshots.put(&address, &snapshot)).await;
        })
    }

    fn snapshot_get<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Option<Snapshot>> {
        Box::pin(async move {
            let version = self.version(address).await.ok()?;
            let (snapshots, address) = (self.snapshots.clone(), address.clone());
            let found = spawn_blocking(move || snapshots.get(&address)).await.ok()??;
            // A snapshot that knows more than the log is of a log that is no more.
            (found.version <= version).then_some(found)
        })
    }

    fn unfinished(&self) -> BoxFuture<'_, Result<Vec<(Address, Wake)>, JournalError>> {
        let unfinished = self
            .shared
            .index
            .read()
            .iter()
            .filter(|(_, entry)| entry.wake != Wake::Idle)
            .map(|(address, entry)| (address.clone(), entry.wake))
            .collect();
        Box::pin(std::future::ready(Ok(unfinished)))
    }

    fn addresses<'a>(&'a self, scope: &'a TenantScope) -> BoxFuture<'a, Result<Vec<Address>, JournalError>> {
        let index = self.shared.index.read();
        let own = index.keys().filter(|address| scope.covers(address.tenant()));
        let own = own.cloned().collect();
        Box::pin(std::future::ready(Ok(own)))
    }

    fn epoch(&self, _shard: Shard) -> Epoch {
        self.shared.epoch
    }

    fn health(&self) -> Health {
        let used_bytes = self.shared.segments.read().iter().map(|segment| segment.len).sum();
        Health {
            free_bytes: self.shared.free_bytes(),
            durable: self.durable(),
            read_only: match &*self.shared.state.lock() {
                WriterState::Ready => None,
                WriterState::Limited(reason) => Some(reason.clone()),
                WriterState::Closed => Some("the journal is closed".to_owned()),
            },
            used_bytes,
            entities: self.shared.index.read().len() as u64,
            last_flush: self.shared.last_flush(),
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut ends = self.shared.end.subscribe();
            self.queue.close();
            while *self.shared.state.lock() != WriterState::Closed {
                if ends.changed().await.is_err() {
                    break;
                }
            }
        })
    }
}

impl Drop for EmbeddedJournal {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.lock().take() {
            let _ended = writer.join();
        }
    }
}

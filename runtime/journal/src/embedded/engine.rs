//! The engine itself: the journal port over the log.

use std::{path::Path, sync::Arc, thread};

use mesh_kernel::{
    BoxFuture,
    envelope::{Address, IdempotencyKey, Shard, TenantScope},
    ports::{
        Append, AppendOutcome, Cursor, Epoch, Feed, Health, Journal, JournalError, Position, Reclaim, Reclaimed,
        Recorded, Retire, Snapshot, Wake,
    },
};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::{sync::oneshot, task::spawn_blocking};

use super::{
    OpenError, Options, chain,
    follow::LogFeed,
    hints::Hint,
    index::{Entry, Key},
    log::{numbers::u64_at, record},
    reclaim, recover,
    scan::{self, Verified},
    shared::{Shared, WriterState},
    snapshots::Snapshots,
    store::Store,
    tombstone::Tombstone,
    writer::{Queue, Request, What, Writer},
};
use crate::files::{Files, LockError, OsFiles};

const LOCK: &str = "lock";

/// The journal in one folder, for one process.
///
/// **Cost**: 47 to 94 bytes of memory for each entity that has events; opening reads the log
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
        let mut recovered = recover::recover(files.as_ref(), &store, &options)?;
        store.epoch = Epoch(store.epoch.0 + 1);
        store.newest_segment = recovered.standing.active.number;
        store.save(files.as_ref()).map_err(|error| OpenError::io("store", error))?;
        let snapshots = Snapshots::open(files.clone(), &store.id, options.snapshot_bytes_max);
        let queue = Arc::new(Queue::new(options.queue_bytes_max));
        let shared = Arc::new(Shared::new(&store, files, options, &mut recovered));
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
        spawn_blocking(move || scan::verify(&shared)).await.unwrap_or(Err(JournalError::Closed))
    }

    /// As [`EmbeddedJournal::verify`], in the caller's own thread.
    pub(super) fn verify_now(&self) -> Result<Verified, JournalError> {
        scan::verify(&self.shared)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    async fn submit_events(&self, append: Append, repeat: Option<u64>) -> AppendOutcome {
        let size = append.events.iter().map(|event| record::len_of(append.address.as_str(), event.bytes())).sum();
        if let Some(refusal) = self.refuse(&append, size) {
            return refusal;
        }
        let entity = self.shared.keys.of(append.address.as_str());
        self.submit(What::Append { append, entity, repeat }, size).await
    }

    async fn submit(&self, what: What, size: usize) -> AppendOutcome {
        let (answer, outcome) = oneshot::channel();
        let request = Request { what, size, answer };
        let closed = || AppendOutcome::Unknown { reason: "the journal is closed".to_owned() };
        if !self.queue.put(request).await {
            return closed();
        }
        outcome.await.unwrap_or_else(|_| closed())
    }

    /// The addresses of entities, read from their last records; `None` for one that has ended since.
    async fn named(&self, entities: Vec<(Key, Entry)>) -> Result<Vec<Option<Address>>, JournalError> {
        let shared = self.shared.clone();
        let name = move || {
            let name = |(key, entry)| match chain::address_of(&shared, key, entry) {
                Err(_) if !shared.index.read().entries.contains_key(&key) => Ok(None),
                named => named.map(Some),
            };
            entities.into_iter().map(name).collect()
        };
        spawn_blocking(name).await.unwrap_or(Err(JournalError::Closed))
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
            match (self.submit_events(append, key).await, key) {
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
        let key = self.shared.keys.of(address.as_str());
        let version = self.shared.index.read().entries.get(&key).map_or(0, |entry| entry.version());
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
            let is_known = self.version(address).await.is_ok_and(|version| version > 0);
            if !is_known || *self.shared.state.lock() != WriterState::Ready {
                return;
            }
            let (snapshots, address) = (self.snapshots.clone(), address.clone());
            let _best_effort = spawn_blocking(move || snapshots.put(&address, &snapshot)).await;
        })
    }

    fn snapshot_get<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Option<Snapshot>> {
        Box::pin(async move {
            // What was never written has none: no file is looked for at the birth of an entity.
            let version = self.version(address).await.ok().filter(|version| *version > 0)?;
            let (snapshots, address) = (self.snapshots.clone(), address.clone());
            let found = spawn_blocking(move || snapshots.get(&address)).await.ok()??;
            // A snapshot that knows more than the log is of a log that is no more.
            (found.version <= version).then_some(found)
        })
    }

    fn unfinished(&self) -> BoxFuture<'_, Result<Vec<(Address, Wake)>, JournalError>> {
        Box::pin(async move {
            let waiting = self.shared.index.read().unfinished();
            let waking = waiting.iter().map(|(_, entry)| entry.wake()).collect::<Vec<_>>();
            Ok(self
                .named(waiting)
                .await?
                .into_iter()
                .zip(waking)
                .filter_map(|(who, wake)| Some((who?, wake)))
                .collect())
        })
    }

    fn addresses<'a>(&'a self, scope: &'a TenantScope) -> BoxFuture<'a, Result<Vec<Address>, JournalError>> {
        Box::pin(async move {
            let own: Vec<(Key, Entry)> = {
                let index = self.shared.index.read();
                let tenant = index.known_tenant(self.shared.keys.of(scope.tenant().as_str()));
                let own = index.entries.iter().filter(|(_, entry)| Some(entry.tenant) == tenant);
                own.map(|(key, entry)| (*key, *entry)).collect()
            };
            let named = self.named(own).await?.into_iter().flatten();
            Ok(named.filter(|address| scope.covers(address.tenant())).collect())
        })
    }

    fn retire(&self, retire: Retire) -> BoxFuture<'_, AppendOutcome> {
        Box::pin(async move {
            let Retire { address, expected_version, epoch } = retire;
            if epoch != self.shared.epoch {
                return AppendOutcome::Fenced { current: self.shared.epoch };
            }
            let (shared, whose) = (self.shared.clone(), address.clone());
            let parts = match spawn_blocking(move || chain::parts(&shared, &whose)).await {
                Ok(Ok(parts)) => parts,
                Ok(Err(error)) => return AppendOutcome::Unknown { reason: error.to_string() },
                Err(_) => return AppendOutcome::Unknown { reason: "the journal is closed".to_owned() },
            };
            let stone = Tombstone::new(self.shared.keys.of(address.as_str()), parts);
            let (key, size) = (stone.key, record::HEAD + stone.len());
            let what = What::Retire { stone, address, version: expected_version };
            let outcome = self.submit(what, size).await;
            if matches!(outcome, AppendOutcome::Appended { .. } | AppendOutcome::Retired) {
                self.snapshots.forget(key);
            }
            outcome
        })
    }

    fn erase<'a>(&'a self, scope: &'a TenantScope) -> BoxFuture<'a, AppendOutcome> {
        Box::pin(async move {
            let tenant = scope.tenant().clone();
            let key = self.shared.keys.of(tenant.as_str());
            let outcome = self.submit(What::Erase { tenant: key }, record::HEAD + 16).await;
            if !matches!(outcome, AppendOutcome::Appended { .. }) {
                return outcome;
            }
            let snapshots = self.snapshots.clone();
            match spawn_blocking(move || snapshots.erase(tenant.as_str())).await {
                Ok(Ok(())) => outcome,
                // It is to be said again: the entities have ended, their snapshots are still there.
                Ok(Err(error)) => AppendOutcome::Unknown { reason: format!("the snapshots are not gone yet: {error}") },
                Err(_) => AppendOutcome::Unknown { reason: "the journal is closed".to_owned() },
            }
        })
    }

    fn reclaim(&self, marks: Reclaim) -> BoxFuture<'_, Result<Reclaimed, JournalError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            spawn_blocking(move || reclaim::run(&shared, marks)).await.unwrap_or(Err(JournalError::Closed))
        })
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
            entities: self.shared.index.read().entries.len() as u64,
            tombstones: self.shared.index.read().retired.len() as u64,
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

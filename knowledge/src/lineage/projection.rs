//! Lineage as a projection of the journal: one store for each tenant, opened when it is wanted.
//!
//! The cursor is written after the stores it covers are on disk, so what a crash loses is told again, and a fact that
//! comes twice is taken once. A store that is damaged is removed and all of the journal is told again; the other
//! stores pass over what they have.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mesh_kernel::{
    BoxFuture,
    envelope::{TenantId, TenantScope},
    follow::{Freshness, Projection, ProjectionError, Seen},
    ports::{Cursor, Position},
};
use parking_lot::{Mutex, RwLock};

use super::{
    disk::io_at,
    fact::Fact,
    graph::Known,
    mapping,
    store::{Error, Store},
};

/// How many stores are open at once when nothing else is said.
pub const OPEN_MAX: usize = 64;
/// The longest rest after a batch: how far lineage lags behind.
const REST_MAX: Duration = Duration::from_millis(250);
/// After a batch it rests for so many times as long as it took.
const REST_FOR_WORK: u32 = 10;

/// All tenants' lineage. Whoever asks names a tenant by its scope.
pub struct Lineages {
    folder: PathBuf,
    open_max: usize,
    open: Mutex<Open>,
    /// Tenants of which nothing is kept any more; held while something is written.
    gone: RwLock<std::collections::HashSet<TenantId>>,
    position: AtomicU64,
    kept: AtomicU64,
    fresh: Freshness,
}

#[derive(Default)]
struct Open {
    stores: HashMap<TenantId, (Arc<Store>, u64)>,
    /// Counts uses: the store with the smallest number was used longest ago.
    uses: u64,
}

impl Lineages {
    /// Those in a folder, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path, open_max: usize) -> Result<Arc<Self>, Error> {
        fs::create_dir_all(folder).map_err(io_at(folder))?;
        Ok(Arc::new(Self {
            folder: folder.to_owned(),
            open_max: open_max.max(1),
            open: Mutex::default(),
            gone: RwLock::default(),
            position: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            fresh: Freshness::default(),
        }))
    }

    /// A tenant's lineage; an empty one when it has none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub fn of(&self, scope: &TenantScope) -> Result<Arc<Store>, Error> {
        self.store(scope.tenant())
    }

    /// The journal position up to which events are in it.
    pub fn position(&self) -> Position {
        Position(self.position.load(Ordering::Acquire))
    }

    /// Waits until it has all events that are durable now; whether it came so far in time.
    pub async fn fresh(&self, at_most: Duration) -> bool {
        self.fresh.wait(at_most).await
    }

    /// [`Lineages::position`], as far as it is on disk: what the journal frees behind it is not missed.
    pub fn kept(&self) -> Position {
        Position(self.kept.load(Ordering::Acquire))
    }

    /// Removes a tenant's, and takes nothing of it any more.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn erase(&self, scope: &TenantScope) -> Result<(), Error> {
        let tenant = scope.tenant();
        self.gone.write().insert(tenant.clone());
        self.open.lock().stores.remove(tenant);
        remove(&self.folder_of(tenant))
    }

    fn folder_of(&self, tenant: &TenantId) -> PathBuf {
        self.folder.join(tenant.as_str())
    }

    fn cursor_file(&self) -> PathBuf {
        // No tenant is called so: a name begins with a letter.
        self.folder.join("_cursor")
    }

    fn store(&self, tenant: &TenantId) -> Result<Arc<Store>, Error> {
        let mut open = self.open.lock();
        open.uses += 1;
        let now = open.uses;
        if let Some((store, used)) = open.stores.get_mut(tenant) {
            *used = now;
            return Ok(store.clone());
        }
        while open.stores.len() >= self.open_max {
            // One that somebody holds stays: a second one on its folder would not see what the first one writes.
            let idle = open.stores.iter().filter(|(_, (store, _))| Arc::strong_count(store) == 1);
            let oldest = idle.min_by_key(|(_, (_, used))| *used).map(|(tenant, _)| tenant.clone());
            let Some((_, (store, _))) = oldest.and_then(|tenant| open.stores.remove_entry(&tenant)) else { break };
            store.flush()?;
        }
        let store = Arc::new(Store::open(&self.folder_of(tenant))?);
        open.stores.insert(tenant.clone(), (store.clone(), now));
        Ok(store)
    }

    fn flush(&self) -> Result<(), Error> {
        let stores: Vec<_> = self.open.lock().stores.values().map(|(store, _)| store.clone()).collect();
        stores.iter().try_for_each(|store| store.flush())
    }

    /// Whether every store can be read; one that cannot is removed.
    fn look_through(&self) -> Result<bool, Error> {
        let mut is_whole = true;
        for entry in fs::read_dir(&self.folder).map_err(io_at(&self.folder))? {
            let path = entry.map_err(io_at(&self.folder))?.path();
            if !path.is_dir() {
                continue;
            }
            match Store::open(&path) {
                Ok(_) => {}
                Err(error @ Error::Damaged { .. }) => {
                    tracing::warn!(%error, "a tenant's lineage is made anew");
                    remove(&path)?;
                    is_whole = false;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(is_whole)
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_at(path)(error)),
        _ => Ok(()),
    }
}

/// The one writer of all tenants' lineage.
pub struct LineageProjection {
    lineages: Arc<Lineages>,
    cursor: Option<Cursor>,
}

impl LineageProjection {
    /// Goes on where the folder's cursor says, or from the first event when a store is damaged.
    ///
    /// **Cost**: reads every store once.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn new(lineages: Arc<Lineages>) -> Result<Self, Error> {
        let path = lineages.cursor_file();
        let bytes = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io_at(&path)(error)),
        };
        let read = bytes.and_then(|bytes| {
            let (position, cursor) = bytes.split_first_chunk::<8>()?;
            Some((u64::from_le_bytes(*position), Cursor(cursor.to_vec().into())))
        });
        let read = if lineages.look_through()? { read } else { None };
        let position = read.as_ref().map_or(0, |(position, _)| *position);
        lineages.position.store(position, Ordering::Release);
        lineages.kept.store(position, Ordering::Release);
        Ok(Self { lineages, cursor: read.map(|(_, cursor)| cursor) })
    }

    fn take(&self, batch: &[Seen], reflects: Position) -> Result<(), Error> {
        let mut told: BTreeMap<&TenantId, Vec<(Known, Fact)>> = BTreeMap::new();
        for seen in batch {
            let known = Known { position: seen.position.0, at: milliseconds(seen) };
            let facts = mapping::facts(&seen.envelope, seen.version);
            told.entry(&seen.envelope.tenant_id).or_default().extend(facts.into_iter().map(|fact| (known, fact)));
        }
        // Until all is written: then no folder of a tenant comes to be after it was removed.
        let gone = self.lineages.gone.read();
        for (tenant, facts) in told.into_iter().filter(|(tenant, facts)| !facts.is_empty() && !gone.contains(*tenant)) {
            self.lineages.store(tenant)?.apply(facts, reflects.0)?;
        }
        Ok(())
    }

    fn keep(&self, cursor: &Cursor, reflects: Position) -> Result<(), Error> {
        self.lineages.flush()?;
        let path = self.lineages.cursor_file();
        let bytes = [&reflects.0.to_le_bytes(), &*cursor.0].concat();
        let beside = path.with_extension("new");
        fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, &path)).map_err(io_at(&path))?;
        self.lineages.kept.store(reflects.0, Ordering::Release);
        Ok(())
    }
}

fn milliseconds(seen: &Seen) -> u64 {
    seen.envelope.occurred_at.unix_millis()
}

impl Projection for LineageProjection {
    fn name(&self) -> &'static str {
        "lineage"
    }

    fn cursor(&self) -> Option<Cursor> {
        self.cursor.clone()
    }

    fn interests(&self) -> &'static [&'static str] {
        mapping::interests()
    }

    fn apply(&mut self, batch: &[Seen], cursor: &Cursor, reflects: Position) -> Result<(), ProjectionError> {
        let store = |error: Error| ProjectionError::Store(Box::new(error));
        self.take(batch, reflects).map_err(store)?;
        self.keep(cursor, reflects).map_err(store)?;
        self.cursor = Some(cursor.clone());
        self.lineages.position.store(reflects.0, Ordering::Release);
        Ok(())
    }

    fn rest(&self, took: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep((took * REST_FOR_WORK).min(REST_MAX)))
    }

    fn freshness(&self) -> Option<Freshness> {
        Some(self.lineages.fresh.clone())
    }

    fn reset(&mut self) {
        // The stores stay: they may know what the journal has freed since, and what they have is passed over.
        self.cursor = None;
        self.lineages.position.store(0, Ordering::Release);
    }
}

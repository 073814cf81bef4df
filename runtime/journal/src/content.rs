//! The content store: bodies by hash, a folder for each tenant.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use mesh_kernel::{
    BoxFuture,
    envelope::{TenantId, TenantScope},
    ports::{ContentError, ContentStore, Digest},
};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedRwLockReadGuard, RwLock},
    task::spawn_blocking,
};

use crate::files::{File, Files, OsFiles, is_full, read_whole, write_all};

/// Removes a tenant's empty folder.
type RemoveFolder = dyn Fn(&TenantId) -> io::Result<()> + Send + Sync;
/// Opens a tenant's folder.
type OpenFolder = dyn Fn(&TenantId) -> io::Result<Arc<dyn Files>> + Send + Sync;

/// Bodies by hash, each tenant's in a folder of its own.
///
/// A body is written under another name, flushed, renamed, and its name flushed; so it is there
/// whole or not at all, and an event that names it never names a missing one.
pub struct FolderStore {
    inner: Arc<Inner>,
}

/// Lists the tenants that have a folder.
type ListFolders = dyn Fn() -> io::Result<Vec<TenantId>> + Send + Sync;

struct Inner {
    open: Box<OpenFolder>,
    remove: Box<RemoveFolder>,
    tenants: Box<ListFolders>,
    /// Held by whoever needs all bodies to stay; removals wait for it.
    kept: Arc<RwLock<()>>,
    folders: Mutex<HashMap<TenantId, Arc<dyn Files>>>,
    free_bytes_min: u64,
    next_tmp: AtomicU64,
    /// What was stored since somebody last asked: an event that names it may be on its way.
    puts: Mutex<HashSet<(TenantId, Digest)>>,
}

impl FolderStore {
    /// A store in a folder of the file system. Bodies are refused when less than `free_bytes_min`
    /// would be left on the disk.
    pub fn open(folder: &Path, free_bytes_min: u64) -> Self {
        let folder: PathBuf = folder.to_owned();
        let (root, top) = (folder.clone(), folder.clone());
        let tenants = move || tenants_in(&top);
        let remove = move |tenant: &TenantId| match std::fs::remove_dir(root.join(tenant.as_str())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let open =
            move |tenant: &TenantId| Ok(Arc::new(OsFiles::open(&folder.join(tenant.as_str()))?) as Arc<dyn Files>);
        Self::with(Box::new(open), Box::new(remove), Box::new(tenants), free_bytes_min)
    }

    /// A store over folders that `open` opens, one for each tenant.
    pub fn open_on(
        open: impl Fn(&TenantId) -> io::Result<Arc<dyn Files>> + Send + Sync + 'static,
        free_bytes_min: u64,
    ) -> Self {
        Self::with(Box::new(open), Box::new(|_| Ok(())), Box::new(|| Ok(Vec::new())), free_bytes_min)
    }

    fn with(open: Box<OpenFolder>, remove: Box<RemoveFolder>, tenants: Box<ListFolders>, free_bytes_min: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                open,
                remove,
                tenants,
                kept: Arc::default(),
                folders: Mutex::default(),
                free_bytes_min,
                next_tmp: AtomicU64::new(0),
                puts: Mutex::default(),
            }),
        }
    }
}

impl FolderStore {
    /// The same store once more.
    pub(crate) fn share(&self) -> Self {
        Self { inner: self.inner.clone() }
    }

    /// No body is removed until this is dropped.
    pub(crate) async fn keep(&self) -> OwnedRwLockReadGuard<()> {
        self.inner.kept.clone().read_owned().await
    }

    /// All bodies, and their lengths.
    pub(crate) fn all(&self) -> io::Result<Vec<(TenantId, Digest, u64)>> {
        let mut tenants = (self.inner.tenants)()?;
        tenants.extend(self.inner.folders.lock().keys().cloned());
        tenants.sort();
        tenants.dedup();
        let mut all = Vec::new();
        for tenant in tenants {
            let folder = self.inner.folder(&tenant)?;
            for name in folder.list()? {
                if let Ok(digest) = format!("sha256:{name}").parse() {
                    all.push((tenant.clone(), digest, folder.open(&name)?.len()?));
                }
            }
        }
        Ok(all)
    }

    /// All bodies of all tenants, for finding those that nobody names.
    ///
    /// # Errors
    /// What the system says.
    pub fn list(&self) -> io::Result<Vec<(TenantId, Digest)>> {
        Ok(self.all()?.into_iter().map(|(tenant, digest, _)| (tenant, digest)).collect())
    }

    /// A body of any tenant.
    ///
    /// # Errors
    /// As [`ContentStore::get`].
    pub async fn read(&self, tenant: &TenantId, digest: Digest) -> Result<Bytes, ContentError> {
        let (inner, tenant) = (self.inner.clone(), tenant.clone());
        spawn_blocking(move || inner.get(&tenant, digest)).await.unwrap_or_else(|_| Err(stopped()))
    }

    /// What was stored, be it once more, since the last call.
    pub fn take_puts(&self) -> HashSet<(TenantId, Digest)> {
        std::mem::take(&mut self.inner.puts.lock())
    }

    /// Removes a body, unless it was stored since [`FolderStore::take_puts`]; answers whether it did.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub async fn remove_unless_put(&self, tenant: &TenantId, digest: Digest) -> Result<bool, ContentError> {
        let _none_is_kept = self.inner.kept.clone().write_owned().await;
        let (inner, tenant) = (self.inner.clone(), tenant.clone());
        let removing = move || {
            // Held until it is gone: whoever stores it again comes before, or finds that it is not there.
            let puts = inner.puts.lock();
            if puts.contains(&(tenant.clone(), digest)) {
                return Ok(false);
            }
            inner.remove(&tenant, digest).map(|()| true)
        };
        spawn_blocking(removing).await.unwrap_or_else(|_| Err(stopped()))
    }

    /// The file of a body.
    pub(crate) fn file(&self, tenant: &TenantId, digest: Digest) -> io::Result<Arc<dyn File>> {
        self.inner.folder(tenant)?.open(&digest.hex())
    }

    /// As `put`, in the caller's own thread.
    pub(crate) fn store(&self, tenant: &TenantId, body: &[u8]) -> Result<Digest, ContentError> {
        self.inner.put(tenant, body)
    }
}

fn tenants_in(folder: &Path) -> io::Result<Vec<TenantId>> {
    let mut tenants = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(tenants),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Some(name) = entry.file_name().to_str()
        {
            tenants.extend(TenantId::parse(name).ok());
        }
    }
    Ok(tenants)
}

impl Inner {
    /// The tenant's folder; what a crash left half written is removed when it is first used.
    fn folder(&self, tenant: &TenantId) -> io::Result<Arc<dyn Files>> {
        let mut folders = self.folders.lock();
        if let Some(folder) = folders.get(tenant) {
            return Ok(folder.clone());
        }
        let folder = (self.open)(tenant)?;
        for name in folder.list()? {
            if name.ends_with(".tmp") {
                folder.unlink(&name)?;
            }
        }
        folders.insert(tenant.clone(), folder.clone());
        Ok(folder)
    }

    fn put(&self, tenant: &TenantId, body: &[u8]) -> Result<Digest, ContentError> {
        let digest = Digest::of(body);
        let name = digest.hex();
        let fail = |error: io::Error| {
            if is_full(&error) {
                ContentError::Full { bytes: body.len() as u64 }
            } else {
                io_error(tenant, &name, error)
            }
        };
        self.puts.lock().insert((tenant.clone(), digest));
        let folder = self.folder(tenant).map_err(fail)?;
        if let Ok(file) = folder.open(&name)
            && read_whole(file.as_ref()).is_ok_and(|stored| stored == body)
        {
            // It may have been renamed a moment ago by another, who still waits for its flush.
            file.fdatasync().and_then(|()| folder.sync_dir()).map_err(fail)?;
            return Ok(digest);
        }
        let free = folder.free_space().map_err(fail)?;
        if free < (body.len() as u64).saturating_add(self.free_bytes_min) {
            return Err(ContentError::Full { bytes: body.len() as u64 });
        }
        self.write(folder.as_ref(), &name, body).map_err(fail)?;
        Ok(digest)
    }

    fn write(&self, folder: &dyn Files, name: &str, body: &[u8]) -> io::Result<()> {
        let tmp = format!("{}.tmp", self.next_tmp.fetch_add(1, Ordering::Relaxed));
        let written = folder
            .create(&tmp)
            .and_then(|file| {
                write_all(file.as_ref(), body, 0)?;
                file.fdatasync()
            })
            .and_then(|()| folder.rename(&tmp, name));
        if written.is_err() {
            let _best_effort = folder.unlink(&tmp);
        }
        written?;
        folder.sync_dir()
    }

    fn get(&self, tenant: &TenantId, digest: Digest) -> Result<Bytes, ContentError> {
        let name = digest.hex();
        let fail = |error: io::Error| io_error(tenant, &name, error);
        let folder = self.folder(tenant).map_err(fail)?;
        let file = folder.open(&name).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound { ContentError::NotFound(digest) } else { fail(error) }
        })?;
        let body = read_whole(file.as_ref()).map_err(fail)?;
        if Digest::of(&body) == digest { Ok(Bytes::from(body)) } else { Err(ContentError::Damaged(digest)) }
    }
}

impl Inner {
    fn remove(&self, tenant: &TenantId, digest: Digest) -> Result<(), ContentError> {
        let name = digest.hex();
        let fail = |error: io::Error| io_error(tenant, &name, error);
        let folder = self.folder(tenant).map_err(fail)?;
        match folder.unlink(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fail(error)),
            _ => folder.sync_dir().map_err(fail),
        }
    }

    fn erase(&self, tenant: &TenantId) -> Result<(), ContentError> {
        let fail = |error: io::Error| io_error(tenant, ".", error);
        let folder = self.folder(tenant).map_err(fail)?;
        for name in folder.list().map_err(fail)? {
            folder.unlink(&name).map_err(fail)?;
        }
        folder.sync_dir().map_err(fail)?;
        // Its name is a tenant's too.
        self.folders.lock().remove(tenant);
        (self.remove)(tenant).map_err(fail)
    }
}

fn io_error(tenant: &TenantId, name: &str, source: io::Error) -> ContentError {
    ContentError::Io { path: format!("{tenant}/{name}"), source: Arc::new(source) }
}

/// The task that did the work is gone: the runtime is shutting down.
fn stopped() -> ContentError {
    ContentError::Io { path: String::from("."), source: Arc::new(io::Error::other("the node is stopping")) }
}

impl ContentStore for FolderStore {
    fn put<'a>(&'a self, scope: &'a TenantScope, body: Bytes) -> BoxFuture<'a, Result<Digest, ContentError>> {
        let (inner, tenant) = (self.inner.clone(), scope.tenant().clone());
        Box::pin(
            async move { spawn_blocking(move || inner.put(&tenant, &body)).await.unwrap_or_else(|_| Err(stopped())) },
        )
    }

    fn get<'a>(&'a self, scope: &'a TenantScope, digest: Digest) -> BoxFuture<'a, Result<Bytes, ContentError>> {
        let (inner, tenant) = (self.inner.clone(), scope.tenant().clone());
        Box::pin(
            async move { spawn_blocking(move || inner.get(&tenant, digest)).await.unwrap_or_else(|_| Err(stopped())) },
        )
    }

    fn remove<'a>(&'a self, scope: &'a TenantScope, digest: Digest) -> BoxFuture<'a, Result<(), ContentError>> {
        let (inner, tenant) = (self.inner.clone(), scope.tenant().clone());
        Box::pin(async move {
            let _none_is_kept = inner.kept.clone().write_owned().await;
            spawn_blocking(move || inner.remove(&tenant, digest)).await.unwrap_or_else(|_| Err(stopped()))
        })
    }

    fn erase<'a>(&'a self, scope: &'a TenantScope) -> BoxFuture<'a, Result<(), ContentError>> {
        let (inner, tenant) = (self.inner.clone(), scope.tenant().clone());
        Box::pin(async move {
            let _none_is_kept = inner.kept.clone().write_owned().await;
            spawn_blocking(move || inner.erase(&tenant)).await.unwrap_or_else(|_| Err(stopped()))
        })
    }
}

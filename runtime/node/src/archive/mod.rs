//! What is kept of runs whose retention is over: one compact record each, for as long as their tenant.
//!
//! One SQLite file in the data folder, flushed with each transaction: unlike the read models it cannot be
//! made anew, for the events are gone.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mesh_kernel::{
    BoxFuture,
    envelope::{Address, TenantId, TenantScope, Timestamp},
    ports::{Archive, Archived, JournalError},
};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row};
use serde_json::Value;

/// The form of the table. A file of a later form is refused: it holds what stands nowhere else.
const FORM: i64 = 1;

const TABLES: &str = "
    CREATE TABLE runs (
        tenant   TEXT NOT NULL,
        id       TEXT NOT NULL,
        version  INTEGER NOT NULL,
        archived INTEGER NOT NULL,
        view     TEXT NOT NULL,
        PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;";

/// Why the archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// SQLite refused.
    #[error("the archive `{}` cannot be used: {source}; restore a backup, or free some room on its disk", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer program wrote it.
    #[error("the archive `{}` has form {found}, and this program knows form {FORM}: use a newer `mesh`", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: i64,
    },
    /// Somebody still reads what is to be removed.
    #[error("the archive is still read by somebody: it is tried again")]
    Busy,
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
}

/// One archived run.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchivedRun {
    /// Whose it is.
    pub tenant: TenantId,
    /// `run-…`.
    pub id: String,
    /// The version of its last event.
    pub version: u64,
    /// When it was archived.
    pub at: Timestamp,
    /// The run as callers saw it last; `requestDigest` stands for the request that submitted it.
    pub view: Value,
}

/// The archive of one node. Cheap to clone.
#[derive(Clone)]
pub struct RunArchive(Arc<Inner>);

struct Inner {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl RunArchive {
    /// Opens the file, making it when it is not there.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let failed = |source| ArchiveError::Sqlite { path: path.to_owned(), source };
        let connection = connect(path).map_err(failed)?;
        let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        match found {
            0 => connection
                .execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {FORM}; COMMIT"))
                .map_err(failed)?,
            FORM => {}
            found => return Err(ArchiveError::Newer { path: path.to_owned(), found }),
        }
        Ok(Self(Arc::new(Inner { path: path.to_owned(), connection: Mutex::new(connection) })))
    }

    /// Keeps these runs, all or none; durable when it answers. One that is there already is replaced.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is kept then.
    pub async fn put(&self, runs: Vec<ArchivedRun>) -> Result<(), ArchiveError> {
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            for run in &runs {
                transaction.prepare_cached("INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
                    run.tenant.as_str(),
                    &run.id,
                    run.version,
                    run.at.unix_nanos(),
                    run.view.to_string(),
                ))?;
            }
            transaction.commit()
        })
        .await
    }

    /// One run.
    ///
    /// # Errors
    /// [`ArchiveError`] when the file cannot be read.
    pub async fn get(&self, scope: &TenantScope, id: &str) -> Result<Option<ArchivedRun>, ArchiveError> {
        let (tenant, id) = (scope.tenant().clone(), id.to_owned());
        self.with(move |connection| {
            connection
                .prepare_cached("SELECT * FROM runs WHERE tenant = ?1 AND id = ?2")?
                .query_row((tenant.as_str(), &id), read)
                .optional()
        })
        .await
    }

    /// Forgets a run that was not archived after all.
    ///
    /// # Errors
    /// [`ArchiveError`] when the file cannot be written.
    pub async fn remove(&self, scope: &TenantScope, id: &str) -> Result<(), ArchiveError> {
        let (tenant, id) = (scope.tenant().clone(), id.to_owned());
        self.with(move |connection| {
            connection.execute("DELETE FROM runs WHERE tenant = ?1 AND id = ?2", (tenant.as_str(), &id)).map(drop)
        })
        .await
    }

    /// Runs behind this one, of all tenants, in order: for making lists anew and for nothing else.
    ///
    /// # Errors
    /// [`ArchiveError`] when the file cannot be read.
    pub async fn after(&self, last: Option<(TenantId, String)>, most: usize) -> Result<Vec<ArchivedRun>, ArchiveError> {
        self.with(move |connection| {
            let (tenant, id) = last.map_or_else(Default::default, |(tenant, id)| (tenant.as_str().to_owned(), id));
            let sql = "SELECT * FROM runs WHERE (tenant, id) > (?1, ?2) ORDER BY tenant, id LIMIT ?3";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map((tenant, id, most), read)?.collect()
        })
        .await
    }

    /// Removes everything of a tenant, and every byte that was kept of it where no row is any more.
    ///
    /// **Cost**: the file is written anew.
    ///
    /// # Errors
    /// [`ArchiveError`]; it may be repeated.
    pub async fn erase(&self, tenant: &TenantId) -> Result<(), ArchiveError> {
        let tenant = tenant.clone();
        let busy = self.with(move |connection| {
            let removed = connection.execute("DELETE FROM runs WHERE tenant = ?1", [tenant.as_str()])?;
            if removed > 0 {
                connection.execute_batch("VACUUM")?;
            }
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        });
        if busy.await? == 0 { Ok(()) } else { Err(ArchiveError::Busy) }
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let inner = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = inner.connection.lock();
            work(&mut connection).map_err(|source| ArchiveError::Sqlite { path: inner.path.clone(), source })
        });
        done.await.unwrap_or(Err(ArchiveError::Stopping))
    }
}

/// Looks through the whole file without changing it; how many runs it holds.
///
/// **Cost**: every page is read.
///
/// # Errors
/// [`ArchiveError`]; what SQLite says of a damaged page.
pub fn look_through(path: &Path) -> Result<u64, ArchiveError> {
    let failed = |source| ArchiveError::Sqlite { path: path.to_owned(), source };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(30)).map_err(failed)?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    if found > FORM {
        return Err(ArchiveError::Newer { path: path.to_owned(), found });
    }
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if said != "ok" {
        return Err(failed(rusqlite::Error::ToSqlConversionFailure(said.into())));
    }
    connection.query_row("SELECT count(*) FROM runs", [], |row| row.get(0)).map_err(failed)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;")?;
    Ok(connection)
}

fn read(row: &Row<'_>) -> rusqlite::Result<ArchivedRun> {
    let text = |error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error)
    };
    let tenant: String = row.get("tenant")?;
    let view: String = row.get("view")?;
    Ok(ArchivedRun {
        tenant: TenantId::parse(&tenant).map_err(|error| text(Box::new(error)))?,
        id: row.get("id")?,
        version: row.get("version")?,
        at: Timestamp::from_unix_nanos(row.get("archived")?),
        view: serde_json::from_str(&view).map_err(|error| text(Box::new(error)))?,
    })
}

impl Archive for RunArchive {
    fn find<'a>(
        &'a self,
        scope: &'a TenantScope,
        address: &'a Address,
    ) -> BoxFuture<'a, Result<Option<Archived>, JournalError>> {
        Box::pin(async move {
            if !address.is(mesh_workflows::run::KIND) {
                return Ok(None);
            }
            let found = self.get(scope, address.id()).await.map_err(|error| JournalError::Io {
                file: "archive.sqlite".to_owned(),
                source: Arc::new(std::io::Error::other(error)),
            })?;
            Ok(found.map(|run| Archived { version: run.version, view: run.view }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tenant: &str, id: &str) -> ArchivedRun {
        ArchivedRun {
            tenant: TenantId::parse(tenant).unwrap(),
            id: id.to_owned(),
            version: 7,
            at: Timestamp::from_unix_nanos(9),
            view: serde_json::json!({ "state": "Succeeded", "word": format!("word-of-{tenant}") }),
        }
    }

    fn scope(tenant: &str) -> TenantScope {
        TenantScope::unproven(TenantId::parse(tenant).unwrap())
    }

    #[tokio::test]
    async fn a_tenants_runs_are_its_own_and_go_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.sqlite");
        let archive = RunArchive::open(&path).unwrap();
        archive.put(vec![run("acme", "run-1"), run("beta", "run-1"), run("beta", "run-2")]).await.unwrap();
        drop(archive);
        let archive = RunArchive::open(&path).unwrap();
        assert_eq!(archive.get(&scope("acme"), "run-1").await.unwrap(), Some(run("acme", "run-1")));
        assert_eq!(archive.get(&scope("acme"), "run-2").await.unwrap(), None, "another tenant's run was shown");
        let first = archive.after(None, 2).await.unwrap();
        let rest = archive.after(first.last().map(|run| (run.tenant.clone(), run.id.clone())), 2).await.unwrap();
        assert_eq!([first, rest].concat().len(), 3);
        archive.erase(&TenantId::parse("beta").unwrap()).await.unwrap();
        assert!(archive.get(&scope("acme"), "run-1").await.unwrap().is_some());
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("word-of-beta"), "bytes of it are left");
        }
    }

    #[tokio::test]
    async fn a_damaged_archive_is_told_and_a_whole_one_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.sqlite");
        let archive = RunArchive::open(&path).unwrap();
        let runs: Vec<ArchivedRun> = (0..500).map(|n| run("acme", &format!("run-{n}"))).collect();
        archive.put(runs).await.unwrap();
        drop(archive);
        assert_eq!(look_through(&path).unwrap(), 500);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4096..8192].fill(0xAA);
        std::fs::write(&path, bytes).unwrap();
        let error = look_through(&path).unwrap_err().to_string();
        assert!(error.contains("archive.sqlite"), "{error}");
    }

    #[test]
    fn an_archive_of_a_later_form_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.sqlite");
        drop(RunArchive::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
        assert!(matches!(RunArchive::open(&path), Err(ArchiveError::Newer { found: 9, .. })));
    }
}

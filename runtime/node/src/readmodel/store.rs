//! The file: opened, checked, and thrown away when it cannot be trusted.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

/// The form of the tables. Another number in the file means: make it anew.
const FORM: i64 = 5;

/// Why the read model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the read model `{}` cannot be used: {source}; stop the node and delete it: it is made anew", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// Somebody still reads what is to be removed.
    #[error("the read model `{}` is still read by somebody: it is tried again", .0.display())]
    Busy(PathBuf),
    /// The node stops.
    #[error("the node is stopping: it goes on at the next start")]
    Stopping,
    /// A file that is no good cannot be deleted.
    #[error("the old read model `{}` cannot be deleted: {source}; delete it by hand: it is made anew", path.display())]
    Delete {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Opens the file for writing, making it anew when it is damaged or of another form.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Sqlite { path: path.to_owned(), source };
    match usable(path) {
        Ok(Some(connection)) => {
            note(path);
            return Ok(connection);
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the read model is damaged: made anew from the journal");
        }
    }
    delete(path)?;
    let mut connection = connect(path).map_err(failed)?;
    create(&mut connection).map_err(failed)?;
    note(path);
    Ok(connection)
}

/// A connection for reading, which cannot write.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// The file as it is, when it has our form and is whole; `None` when there is none or another form.
fn usable(path: &Path) -> rusqlite::Result<Option<Connection>> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = connect(path)?;
    let form: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if form != FORM {
        return Ok(None);
    }
    // It is not flushed, so a power cut may have torn it, while a killed process tears nothing. To look costs a
    // read of every page, so that is done once in each life of the machine.
    let life = life();
    if life.is_none() || fs::read(looked_at(path)).ok() != life {
        let health: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if health != "ok" {
            return Ok(None);
        }
    }
    let stands = connection.query_row("SELECT 1 FROM standing", [], |_| Ok(())).optional()?.is_some();
    Ok(stands.then_some(connection))
}

/// Beside the file: in which life of the machine it was last found whole.
fn looked_at(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-life");
    name.into()
}

/// What the system draws anew whenever it starts; nothing, where it cannot be told, and then nothing is noted.
fn life() -> Option<Vec<u8>> {
    fs::read("/proc/sys/kernel/random/boot_id").ok()
}

fn note(path: &Path) {
    let noted = life().map(|life| fs::write(looked_at(path), life));
    if let Some(Err(error)) = noted {
        tracing::warn!(%error, "that the read model is whole could not be noted: the next start looks again");
    }
}

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // The journal is the truth and is flushed; what is lost here is made again from it.
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(include_str!("schema.sql"))?;
    transaction.execute("INSERT INTO standing (only, cursor, position) VALUES (1, NULL, 0)", [])?;
    transaction.pragma_update(None, "user_version", FORM)?;
    transaction.commit()
}

/// Empties every table and forgets the cursor; readers that are open keep working.
pub(super) fn empty(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let tables: Vec<String> = transaction
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'standing'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for table in tables {
        transaction.execute_batch(&format!("DELETE FROM \"{table}\""))?;
    }
    transaction.execute("UPDATE standing SET cursor = NULL, position = 0, has_archived = 0", [])?;
    transaction.commit()
}

fn delete(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm", "-life"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::Delete { path: name.into(), source });
            }
            _ => {}
        }
    }
    Ok(())
}

//! The files: one for who may log in, and one for each tenant.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::entity::Table;
use crate::moment::Moment;
use crate::{Error, Product, control, migrate};

/// Most tenants' files that are kept open; the others are opened when needed.
const OPEN_MAX: usize = 64;

/// The data folder of a product.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    tables: Vec<&'static Table>,
    control: Mutex<Connection>,
    open: Mutex<HashMap<String, Arc<Mutex<Connection>>>>,
}

impl Store {
    /// Opens a data folder, which is made when it is missing, and removes what a deletion that was
    /// cut short has left.
    pub fn open(folder: &Path, product: &Product) -> Result<Self, Error> {
        std::fs::create_dir_all(folder.join("tenants"))?;
        let mut connection = connect(&folder.join("control.sqlite"))?;
        control::migrate(&mut connection)?;
        let store = Self {
            folder: folder.to_owned(),
            tables: product.entities.iter().map(|entity| entity.table).collect(),
            control: Mutex::new(connection),
            open: Mutex::new(HashMap::new()),
        };
        store.sweep()?;
        Ok(store)
    }

    /// The control file.
    pub(crate) fn control(&self) -> MutexGuard<'_, Connection> {
        lock(&self.control)
    }

    /// A tenant's file, migrated.
    pub(crate) fn tenant(&self, id: &str, now: Moment) -> Result<Arc<Mutex<Connection>>, Error> {
        let mut open = lock(&self.open);
        if let Some(file) = open.get(id) {
            return Ok(Arc::clone(file));
        }
        if open.len() >= OPEN_MAX {
            open.retain(|_, file| Arc::strong_count(file) > 1);
        }
        let mut connection = connect(&self.path(id))?;
        migrate::run(&mut connection, &self.tables, &now.rfc3339())?;
        let file = Arc::new(Mutex::new(connection));
        open.insert(id.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    /// Removes a tenant's file; whoever still holds it writes into nothing.
    pub(crate) fn remove(&self, id: &str) -> Result<(), Error> {
        lock(&self.open).remove(id);
        let path = self.path(id);
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.clone().into_os_string();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether both the control file and the folder can be written.
    pub(crate) fn ready(&self) -> Result<(), Error> {
        self.control().query_row("SELECT 1", [], |_| Ok(()))?;
        let probe = self.folder.join(".ready");
        std::fs::write(&probe, b"")?;
        Ok(std::fs::remove_file(probe)?)
    }

    fn sweep(&self) -> Result<(), Error> {
        let known = control::tenant_ids(&self.control())?;
        for entry in std::fs::read_dir(self.folder.join("tenants"))? {
            let name = entry?.file_name();
            let id = name.to_string_lossy();
            let id = id.split('.').next().unwrap_or_default();
            if !known.iter().any(|tenant| tenant == id) {
                self.remove(id)?;
            }
        }
        Ok(())
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join("tenants").join(format!("{id}.sqlite"))
    }
}

/// A lock whose holder panicked is still good: every change is a transaction, and an unfinished
/// one was rolled back when it was dropped.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    Ok(connection)
}

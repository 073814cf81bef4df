//! A copy of a node's data folder, taken while the node works, and a data folder made of it.
//!
//! ```text
//! DIR/store         journal and bodies to one point, each byte checked on its way
//! DIR/beside        the archive, the first key, settings, reactors' cursors, dead letters, and of each product its
//!                   repository, its programs and its data
//! DIR/backup.json   last: a folder without it is no backup
//! ```
//!
//! Left out: read models (made anew from the journal), what steps have logged, what products are built
//! in, and settings that lie in another place than the data folder.
//!
//! Two living copies would both send effects, so a restored folder is [paused](pause) until somebody
//! says that the other one is gone.

mod beside;
pub mod pause;

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use mesh_journal::{BackupError, EmbeddedJournal, FolderStore};
use mesh_kernel::{envelope::Timestamp, ports::Digest};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

const STORE: &str = "store";
const BESIDE: &str = "beside";
const LAST: &str = "backup.json";

/// In the data folder: the last backup that was taken of it. No backup holds it.
const NOTED: &str = "last-backup.json";

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The version of the program that took it.
    pub version: String,
    /// When it was taken.
    pub at: Timestamp,
    /// The journal's position up to which everything is in it.
    pub position: u64,
    /// Files in it.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// The last file: what was taken, and what the files beside the store are checked by.
#[derive(Serialize, Deserialize)]
struct Seal {
    taken: Taken,
    beside: Vec<beside::Item>,
    /// Of both.
    check: String,
}

/// A backup, and where it was written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// What was taken.
    pub taken: Taken,
    /// Where to.
    pub folder: PathBuf,
}

/// Why a backup cannot be taken or restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path is relative: the node's own folder is not the caller's.
    #[error("`{}` is no absolute path: name the folder from `/` on", .0.display())]
    Relative(PathBuf),
    /// The folder to write to has something in it.
    #[error("`{}` is not empty: name a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The copy would be copied.
    #[error("`{}` lies in the data folder: name a folder elsewhere, best on another disk", .0.display())]
    Inside(PathBuf),
    /// A backup is being taken already.
    #[error("a backup is being taken already: wait until it has ended")]
    Busy,
    /// The node stops.
    #[error("the node is stopping: take the backup from its folder when it has stopped")]
    Stopping,
    /// It was interrupted, or is something else.
    #[error("`{}` is no whole backup: `{LAST}` is missing, so it was interrupted or is none; use another", .0.display())]
    Incomplete(PathBuf),
    /// A file is not as it was written.
    #[error("`{}` is damaged at byte {offset}: it is not as it was written; use another backup", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The damage lies in the 64 KiB that begin here.
        offset: u64,
    },
    /// The journal or the bodies.
    #[error(transparent)]
    Store(#[from] BackupError),
    /// A product's data cannot be read.
    #[error("`{}` cannot be copied: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The system refused.
    #[error("`{}` cannot be copied: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    |source| Error::Io { path: path.to_owned(), source }
}

/// Takes backups of a node, one at a time.
pub struct BackUps {
    journal: Arc<EmbeddedJournal>,
    bodies: Arc<FolderStore>,
    data: PathBuf,
    one: Mutex<()>,
}

impl BackUps {
    /// Of the stores that lie in this data folder.
    pub fn new(journal: Arc<EmbeddedJournal>, bodies: Arc<FolderStore>, data: PathBuf) -> Self {
        Self { journal, bodies, data, one: Mutex::new(()) }
    }

    /// Whether the node came of a backup, and is paused.
    pub fn is_paused(&self) -> bool {
        pause::is(&self.data)
    }

    /// Copies everything into a new folder, while the node works.
    ///
    /// # Errors
    /// [`Error`]; the folder is no backup then, and may be deleted.
    pub async fn take(&self, to: &Path, now: Timestamp) -> Result<Taken, Error> {
        let _one = self.one.try_lock().map_err(|_| Error::Busy)?;
        if !to.is_absolute() {
            return Err(Error::Relative(to.to_owned()));
        }
        if to.starts_with(std::path::absolute(&self.data).map_err(at(&self.data))?) {
            return Err(Error::Inside(to.to_owned()));
        }
        empty_folder(to)?;
        let (data, copy) = (self.data.clone(), to.join(BESIDE));
        // Cursors before the journal: one that is too early costs repeats, one that is too late would
        // skip what the copy does not have.
        let beside = tokio::task::spawn_blocking(move || beside::take(&data, &copy));
        let mut beside = beside.await.map_err(|_| Error::Stopping)??;
        let store = to.join(STORE);
        folder(&store)?;
        let copied = self.journal.backup(&self.bodies, &store, |_| {}).await?;
        let (data, copy) = (self.data.clone(), to.join(BESIDE));
        let archive = tokio::task::spawn_blocking(move || beside::take_archive(&data, &copy));
        beside.extend(archive.await.map_err(|_| Error::Stopping)??);
        let taken = Taken {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: now,
            position: copied.durable.0,
            files: copied.files + beside.len() as u64,
            bytes: copied.bytes + beside::bytes(&beside),
        };
        let check = check(&taken, &beside);
        write_last(&to.join(LAST), &Seal { taken: taken.clone(), beside, check })?;
        let last = Last { taken: taken.clone(), folder: to.to_owned() };
        if let Err(error) = write_last(&self.data.join(NOTED), &last) {
            tracing::warn!(%error, "a backup was taken, and that it was could not be noted");
        }
        Ok(taken)
    }

    /// The last backup that was taken of this folder.
    pub fn last(&self) -> Option<Last> {
        last(&self.data)
    }
}

/// The last backup that was taken of a data folder, as its node has noted.
pub fn last(data: &Path) -> Option<Last> {
    serde_json::from_slice(&fs::read(data.join(NOTED)).ok()?).ok()
}

/// Makes a data folder of a backup: paused, and every byte checked.
///
/// # Errors
/// [`Error`]; what was written so far may be deleted.
pub fn restore(from: &Path, data: &Path) -> Result<Taken, Error> {
    let Seal { taken, beside, .. } = read_last(from)?;
    empty_folder(data)?;
    // First of all: whatever becomes of the rest, a node that starts here is paused.
    let mark = data.join(pause::FILE);
    fs::write(&mark, "restored from a backup; see `mesh resume-node`\n").map_err(at(&mark))?;
    fs::File::open(&mark).and_then(|mark| mark.sync_all()).map_err(at(&mark))?;
    fs::File::open(data).and_then(|folder| folder.sync_all()).map_err(at(data))?;
    beside::restore(&from.join(BESIDE), &beside, data)?;
    // The journal last: a folder that was half restored has no store, and its node no tenants.
    let (journal, content) = (data.join("journal"), data.join("content"));
    folder(&journal)?;
    folder(&content)?;
    mesh_journal::restore(&from.join(STORE), &journal, &content, |_| {})?;
    Ok(taken)
}

fn check(taken: &Taken, beside: &[beside::Item]) -> String {
    Digest::of(&serde_json::to_vec(&(taken, beside)).unwrap_or_default()).to_string()
}

fn read_last(from: &Path) -> Result<Seal, Error> {
    let file = from.join(LAST);
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::Incomplete(from.to_owned())),
        Err(error) => return Err(at(&file)(error)),
    };
    let last: Option<Seal> = serde_json::from_slice(&text).ok();
    let whole = last.filter(|last| check(&last.taken, &last.beside) == last.check);
    whole.ok_or(Error::Damaged { file, offset: 0 })
}

/// Makes a folder for its owner alone, or takes an empty one.
fn empty_folder(path: &Path) -> Result<(), Error> {
    folder(path)?;
    if fs::read_dir(path).map_err(at(path))?.next().is_some() {
        return Err(Error::NotEmpty(path.to_owned()));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(at(path))
}

fn folder(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

/// Written whole and made to last before it has its name.
fn write_last<T: Serialize>(path: &Path, last: &T) -> Result<(), Error> {
    let fresh = path.with_extension("new");
    let text = serde_json::to_vec(last).map_err(io::Error::other).map_err(at(path))?;
    fs::write(&fresh, text).map_err(at(&fresh))?;
    fs::File::open(&fresh).and_then(|file| file.sync_all()).map_err(at(&fresh))?;
    fs::rename(&fresh, path).map_err(at(path))?;
    let folder = path.parent().unwrap_or(path);
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

//! Backups: a copy of a journal that is in use, and of the bodies that its events name, as both were
//! at one moment.
//!
//! ```text
//! store, seg-*.log            the log, up to the moment; nothing of it is a link to a file in use
//! <tenant>.<digest>.body      the bodies that were there then, and perhaps some that came later
//! manifest                    written last: length and checksums of all of these
//! ```
//!
//! The folder is a backup when its manifest is there. What can be made again (the saved index,
//! snapshots) is left out.

mod manifest;
mod restore;
mod take;

use std::{io, path::Path, sync::Arc};

use mesh_kernel::ports::{JournalError, Position};
use tokio::task::spawn_blocking;

use super::{EmbeddedJournal, OpenError};
use crate::{
    content::FolderStore,
    files::{Files, OsFiles},
};

/// How far a backup or a restore has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were copied.
    pub bytes: u64,
    /// Bytes that there are to copy, as far as is known.
    pub of_bytes: u64,
    /// Files that were copied.
    pub files: u64,
}

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Everything up to here is in it.
    pub durable: Position,
    /// Files in it, the manifest not counted.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Why a backup could not be taken or restored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackupError {
    /// The folder to write to has files in it.
    #[error("the folder has files in it (`{file}`): name one that is new or empty")]
    NotEmpty {
        /// One of them.
        file: String,
    },
    /// There is no manifest: the backup was interrupted, or it is none.
    #[error("no whole backup lies here: `manifest` is missing, so it was interrupted or is none; take another one")]
    Incomplete,
    /// A file of the backup is not as it was written, or one that was to be copied is not.
    #[error("`{file}` is damaged at byte {offset}: {what}; use another backup")]
    Damaged {
        /// Its name.
        file: String,
        /// The damage lies in the 64 KiB that begin here.
        offset: u64,
        /// What was expected there.
        what: String,
    },
    /// The backup was written by a program that is newer than this one.
    #[error("the backup has format {found}, and this program knows format {ours}: use a newer `mesh`")]
    Format {
        /// The format it has.
        found: u32,
        /// The format that this program knows.
        ours: u32,
    },
    /// The system refused.
    #[error("`{file}` could not be copied: {source}")]
    Io {
        /// The file, relative to its folder.
        file: String,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The journal could not be read, or what was restored does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl BackupError {
    fn io(file: &str, source: io::Error) -> Self {
        Self::Io { file: file.to_owned(), source: Arc::new(source) }
    }

    fn damaged(file: &str, offset: u64, what: &str) -> Self {
        Self::Damaged { file: file.to_owned(), offset, what: what.to_owned() }
    }
}

impl From<JournalError> for BackupError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Damaged { file, offset, what } => Self::Damaged { file, offset, what },
            other => Self::Open(other.into()),
        }
    }
}

impl EmbeddedJournal {
    /// Copies the journal and the bodies, while both are in use, into a new folder.
    ///
    /// Everything that was acknowledged before the call is in it. Removals of bodies wait until it
    /// has ended. Every byte is checked on its way. Half of the time is left to others.
    ///
    /// # Errors
    /// [`BackupError`]; the folder is no backup then, and may be deleted.
    pub async fn backup(
        &self,
        bodies: &FolderStore,
        to: &Path,
        progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Copied, BackupError> {
        let files = OsFiles::open(to).map_err(|error| BackupError::io(&to.display().to_string(), error))?;
        self.backup_on(bodies, Arc::new(files), progress).await
    }

    /// As [`EmbeddedJournal::backup`], into these files.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn backup_on(
        &self,
        bodies: &FolderStore,
        to: Arc<dyn Files>,
        mut progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Copied, BackupError> {
        let shared = self.shared().clone();
        let bodies = bodies.share();
        // Until the end: a body that an event of the copy names must not go meanwhile.
        let kept = bodies.keep().await;
        spawn_blocking(move || {
            let _kept = kept;
            take::take(&shared, &bodies, to.as_ref(), &mut progress)
        })
        .await
        .unwrap_or_else(|_| Err(JournalError::Closed.into()))
    }
}

/// Makes a journal and a content store of a backup, in new folders, and checks every byte.
///
/// The restored journal has a much later epoch. It is a second copy of whatever lives on where the
/// backup was taken: the caller sees to it that only one of them sends effects. Blocks meanwhile.
///
/// # Errors
/// [`BackupError`]; what was written so far opens as nothing, and may be deleted.
pub fn restore(
    from: &Path,
    journal: &Path,
    bodies: &Path,
    mut progress: impl FnMut(Progress),
) -> Result<Copied, BackupError> {
    let open = |path: &Path| OsFiles::open(path).map_err(|error| BackupError::io(&path.display().to_string(), error));
    if !from.is_dir() {
        return Err(BackupError::Incomplete);
    }
    let from = open(from)?;
    let files = Arc::new(open(journal)?);
    restore::restore(&from, files, &FolderStore::open(bodies, 0), &mut progress)
}

/// As [`restore`], from and to these files.
///
/// # Errors
/// As [`restore`].
pub fn restore_on(
    from: &dyn Files,
    journal: Arc<dyn Files>,
    bodies: &FolderStore,
    mut progress: impl FnMut(Progress),
) -> Result<Copied, BackupError> {
    restore::restore(from, journal, bodies, &mut progress)
}

/// Fails when files are there already.
fn must_be_empty(files: &dyn Files) -> Result<(), BackupError> {
    let names = files.list().map_err(|error| BackupError::io(".", error))?;
    match names.into_iter().next() {
        Some(file) => Err(BackupError::NotEmpty { file }),
        None => Ok(()),
    }
}

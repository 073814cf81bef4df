//! Why a journal could not be opened.

use std::{io, sync::Arc};

use mesh_kernel::ports::JournalError;

/// Why a journal could not be opened. Nothing was changed that a second try would miss.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the journal is open in another process (pid {pid}): stop that one first, or use another data folder")]
    Locked {
        /// What the other wrote into the lock.
        pid: String,
    },
    /// It was written by a program that is newer than this one.
    #[error(
        "`{file}` has format {found}, which programs of format {min_reader} and later can read; \
         this one knows format {ours}: use a newer `mesh`"
    )]
    Format {
        /// The file, relative to the journal's folder.
        file: String,
        /// The format it has.
        found: u32,
        /// The oldest format that can read it.
        min_reader: u32,
        /// The format that this program knows.
        ours: u32,
    },
    /// An option has a value that cannot work.
    #[error("the journal's option `{option}`: {what}")]
    Option {
        /// Its name.
        option: &'static str,
        /// Which values can work.
        what: &'static str,
    },
    /// A file is damaged, or the system refused.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl OpenError {
    pub(super) fn io(file: &str, source: io::Error) -> Self {
        Self::Journal(io_error(file, source))
    }
}

pub(super) fn io_error(file: &str, source: io::Error) -> JournalError {
    JournalError::Io { file: file.to_owned(), source: Arc::new(source) }
}

pub(super) fn damaged(file: &str, offset: u64, what: &str) -> JournalError {
    JournalError::Damaged { file: file.to_owned(), offset, what: what.to_owned() }
}

//! Why a shelf did not do what it was asked.

use std::path::PathBuf;

use crate::{embed, lexical, vectors};

/// Why a shelf did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has not what its collection says that it has: it was lost, or is another form's or model's.
    #[error("the index of `{collection}` {what}: it is made again")]
    Lost {
        /// The collection.
        collection: String,
        /// What is wrong.
        what: String,
    },
    /// The file with documents and chunks refused.
    #[error("the index of `{collection}`: {source}")]
    Store {
        /// The collection.
        collection: String,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The index of words refused.
    #[error(transparent)]
    Words(#[from] lexical::Error),
    /// The index of vectors refused.
    #[error(transparent)]
    Vectors(#[from] vectors::Error),
    /// No vectors could be made.
    #[error(transparent)]
    Embed(#[from] embed::Error),
    /// The disk refused.
    #[error("the index cannot use `{folder}`: {source}")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The node is stopping.
    #[error("the node is stopping: try again")]
    Stopping,
}

impl Error {
    /// Whether only making the index again helps.
    pub fn wants_rebuild(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Words(error) => matches!(
                error,
                lexical::Error::Damaged { .. } | lexical::Error::Format { .. } | lexical::Error::Lost { .. }
            ),
            Self::Vectors(error) => error.wants_rebuild() || matches!(error, vectors::Error::Model { .. }),
            Self::Store { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
            ),
            Self::Embed(_) | Self::Io { .. } | Self::Stopping => false,
        }
    }

    pub(super) fn store(collection: &str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Store { collection: collection.to_owned(), source }
    }
}

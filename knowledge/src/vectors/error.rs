//! What a store of vectors refuses, and how it fails.

use std::{io, path::PathBuf};

use super::port::Model;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Vectors of two models are never compared.
    #[error(
        "this index holds vectors of `{}` ({}, {} numbers), and was asked with `{}` ({}, {} numbers): embed again \
         with its model, or make an index for the other",
        held.name, held.digest, held.dimensions, asked.name, asked.digest, asked.dimensions
    )]
    Model {
        /// Whose vectors the store holds.
        held: Box<Model>,
        /// Whose it was asked for.
        asked: Box<Model>,
    },
    /// A vector that cannot be compared.
    #[error("the vector of {of} {what}")]
    Vector {
        /// Of a chunk, or of the query.
        of: String,
        /// What is wrong with it.
        what: String,
    },
    /// A label that is too long, or too many of them.
    #[error("the labels of `{of}`: {what}")]
    Labels {
        /// The chunk.
        of: String,
        /// What is wrong with them.
        what: String,
    },
    /// More than was allowed.
    #[error("this index holds {rows} chunks and may hold {max}: remove some, or split the collection")]
    Full {
        /// How many it would be.
        rows: usize,
        /// How many it may be.
        max: usize,
    },
    /// A dimension or a setting that no store can have.
    #[error("{0}")]
    Setting(String),
    /// What lies on disk is not what was written. The journal has everything: remove the folder and replay.
    #[error("`{file}` is damaged ({what}): remove the folder of this index and rebuild it from the journal")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another store has this folder open.
    #[error("`{0}` is in use by another index: close that one first")]
    Taken(PathBuf),
    /// The system refused.
    #[error("`{file}`: {source}")]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The server behind the store refused, or was not reached.
    #[error("the vector database: {0}")]
    Backend(String),
}

impl Error {
    /// Whether only a rebuild from the journal helps.
    pub const fn wants_rebuild(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// Says which file it was.
    pub(super) fn io(file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        move |source| Self::Io { file, source }
    }

    pub(super) fn damaged(file: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Damaged { file: file.into(), what: what.into() }
    }
}

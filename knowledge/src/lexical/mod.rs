//! Finds chunks by their words: one index for each collection of a tenant.
//!
//! The engine is tantivy. What is asked is analysed here, counted, and built into a query here: a person's
//! words never meet a query parser, so no sign in them means anything.
//!
//! The index is a projection. It takes changes, makes them durable with [`Index::flush`] and keeps the
//! journal's position in the same commit; what was staged and not flushed is gone after a crash and comes again
//! from the journal. Replaying changes that are already in changes nothing.
//!
//! INVARIANT: after each commit the index holds as many chunks as it should, or says [`Error::Lost`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::id::ChunkId;

mod analyse;
mod index;
mod query;
mod schema;
mod write;

pub use index::{Index, Options};

/// What is indexed of a chunk. Nothing of it is stored: texts are read where they live.
#[derive(Debug, Clone, Copy, Default)]
pub struct Document<'a> {
    /// Where the document is, as people know it.
    pub path: &'a str,
    /// The document's name, if it has one beside its path.
    pub title: &'a str,
    /// Names defined in the chunk, separated by spaces.
    pub symbols: &'a str,
    /// Headings or names above it.
    pub headings: &'a str,
    /// The chunk's text.
    pub body: &'a str,
    /// Small values that filters ask for, such as `kind=rust`.
    pub labels: &'a [String],
}

/// Which chunks are asked for, by their labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Filter {
    /// Every one of these.
    pub all: Vec<String>,
    /// At least one of these, unless there are none here.
    pub any: Vec<String>,
    /// Not one of these.
    pub none: Vec<String>,
}

/// A chunk that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Which.
    pub id: ChunkId,
    /// BM25, above 0; comparable within one answer only.
    pub score: f32,
}

/// What an index cannot do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder holds something that is no index of ours, or a broken one.
    #[error("the lexical index in `{folder}` is damaged ({why}): remove the folder, and rebuild it from the journal")]
    Damaged {
        /// Where it is.
        folder: PathBuf,
        /// What was found.
        why: String,
    },
    /// The index was made with other rules for words or fields.
    #[error(
        "the lexical index in `{folder}` has format {found}, and {wanted} is read here: rebuild it from the journal"
    )]
    Format {
        /// Where it is.
        folder: PathBuf,
        /// What it has.
        found: u32,
        /// What is read.
        wanted: u32,
    },
    /// Chunks that were committed are not there. Open it again and replay from its cursor.
    #[error(
        "the lexical index in `{folder}` holds {found} chunks after a commit, and {wanted} were expected: open it again and replay from its cursor"
    )]
    Lost {
        /// Where it is.
        folder: PathBuf,
        /// What it holds.
        found: u64,
        /// What it should hold.
        wanted: u64,
    },
    /// Another process or another handle writes to the folder.
    #[error("the lexical index in `{folder}` is written to by somebody else")]
    Busy {
        /// Where it is.
        folder: PathBuf,
    },
    /// More changes than are kept between two flushes.
    #[error("{staged} changes are staged and {limit} are the most: flush first")]
    Full {
        /// What is staged.
        staged: usize,
        /// The bound.
        limit: usize,
    },
    /// A flush would take the index back.
    #[error("the lexical index stands at {cursor}, and cannot be flushed at {asked}")]
    Backwards {
        /// Where it stands.
        cursor: u64,
        /// What was asked.
        asked: u64,
    },
    /// The disk or the engine failed.
    #[error("the lexical index in `{folder}` failed: {why}")]
    Engine {
        /// Where it is.
        folder: PathBuf,
        /// What it said.
        why: String,
    },
}

#[cfg(test)]
mod tests;

//! A shelf: everything that is kept of one collection so that it can be searched.
//!
//! Its folder holds a SQLite file with documents and chunks, an index of words and one of vectors. All three
//! are made of documents' bodies and can be made again. A round of documents is shelved whole: the indexes
//! first, durable, and then the file, which alone says what there is.

mod candidate;
mod error;
mod open;
mod search;
mod store;
mod write;

pub use candidate::Candidate;
pub use error::Error;
pub use open::Shelves;
pub use search::Wanted;
pub use store::{Document, Piece, Shelved};
pub use write::{Incoming, Outcome};

#[cfg(test)]
mod tests;

use crate::{lexical, vectors::Embedded};
use store::Store;

/// How far a collection's entity says that its shelf has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Raised when everything is shelved anew.
    pub generation: u64,
    /// The round behind which this generation began.
    pub began: u64,
    /// The last round that is done.
    pub rounds: u64,
}

/// One collection of one tenant, open.
struct Shelf {
    store: Store,
    words: lexical::Index,
    vectors: Embedded,
}

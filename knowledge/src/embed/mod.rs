//! Turns texts into vectors.
//!
//! There are two ports, since the work is of two kinds: [`Cpu`] keeps a core busy and belongs on the pool for
//! such work; [`Remote`] waits for somebody else and belongs on the runtime. [`Embedder`] is one of them, so
//! that whoever calls has to say what happens in either case.
//!
//! INVARIANT: a vector is of one [`Model`], told by the digest of its weights, and is never compared with a
//! vector of another.

use std::sync::Arc;

use mesh_kernel::BoxFuture;
use serde::{Deserialize, Serialize};

mod pieces;
mod table;

pub use table::{StaticTable, TableError};

/// What makes vectors, and which ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Model {
    /// As people know it.
    pub name: String,
    /// Of the weights and all that decides what a vector is: 64 hexadecimal digits, or what its provider calls
    /// the version.
    pub digest: String,
    /// How many numbers a vector has.
    pub dimensions: usize,
    /// What to expect of it, in a few words for reports.
    pub note: String,
}

/// Why texts have no vectors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The model is elsewhere and did not answer. Trying again may help.
    #[error("the embedder `{model}` did not answer: {why}")]
    Unreachable {
        /// Its name.
        model: String,
        /// What was in the way.
        why: String,
    },
    /// The model refused the texts. Trying again does not help.
    #[error("the embedder `{model}` refused the texts: {why}")]
    Refused {
        /// Its name.
        model: String,
        /// What it said.
        why: String,
    },
    /// What came back is not what was asked for.
    #[error("the embedder `{model}` gave {found} where {wanted} were asked for")]
    Answer {
        /// Its name.
        model: String,
        /// What came back, in words.
        found: String,
        /// What was asked for, in words.
        wanted: String,
    },
}

/// A model that runs here.
pub trait Cpu: Send + Sync {
    /// Which it is.
    fn model(&self) -> &Model;

    /// A vector for each text, of unit length; an empty text has the vector of zeros.
    ///
    /// **Shape** `[texts, dimensions]`. **Cost** grows with the texts; keeps one core busy.
    ///
    /// # Errors
    /// The model cannot be run. All texts have vectors, or none.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error>;
}

/// A model that runs elsewhere.
pub trait Remote: Send + Sync {
    /// Which it is.
    fn model(&self) -> &Model;

    /// A vector for each text, of unit length.
    ///
    /// **Shape** `[texts, dimensions]`. **Cancel safety**: dropping the future gives up the request.
    ///
    /// # Errors
    /// It was not reached, it refused, or it gave something else. All texts have vectors, or none.
    fn embed<'a>(&'a self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, Error>>;
}

/// What makes the vectors of a collection.
#[derive(Clone)]
pub enum Embedder {
    /// Runs here: call it on the pool for CPU-heavy work.
    Cpu(Arc<dyn Cpu>),
    /// Runs elsewhere: await it.
    Remote(Arc<dyn Remote>),
}

impl Embedder {
    /// What works on the first start, without a network.
    ///
    /// # Errors
    /// The table in the binary is damaged.
    pub fn offline() -> Result<Self, TableError> {
        Ok(Self::Cpu(Arc::new(StaticTable::offline()?)))
    }

    /// Which it is.
    pub fn model(&self) -> &Model {
        match self {
            Self::Cpu(here) => here.model(),
            Self::Remote(elsewhere) => elsewhere.model(),
        }
    }
}

impl std::fmt::Debug for Embedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let which = match self {
            Self::Cpu(_) => "Cpu",
            Self::Remote(_) => "Remote",
        };
        f.debug_tuple(which).field(&self.model().name).finish()
    }
}

#[cfg(test)]
mod tests;

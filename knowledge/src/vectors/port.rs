//! The port: what any store of vectors does.

use crate::id::ChunkId;

use super::{error::Error, labels::Filter};

/// The embedding model that made vectors. Vectors of two models are never compared.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Model {
    /// What people call it.
    pub name: String,
    /// The digest of its weights, of how texts are prepared for it and of how its vectors are normalised.
    pub digest: String,
    /// Numbers in a vector.
    pub dimensions: usize,
}

/// A chunk's vector, as it is told to a store.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The chunk.
    pub id: ChunkId,
    /// **Shape**: `[dimensions]`, of any length but zero: it is normalised at the door.
    pub vector: &'a [f32],
    /// Small values that searches filter by, such as `class=Internal` or `lang=rust`.
    pub labels: &'a [&'a str],
}

/// Vectors of one model.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// What made them.
    pub model: &'a Model,
    /// The chunks; where one is named twice, the last counts.
    pub rows: &'a [Row<'a>],
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// What made the vector.
    pub model: &'a Model,
    /// **Shape**: `[dimensions]`, of any length but zero.
    pub vector: &'a [f32],
}

/// A chunk that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The chunk.
    pub id: ChunkId,
    /// The cosine of the angle between the query and the chunk: 1 is the same direction.
    pub score: f32,
}

/// The vectors of one tenant's collection under one model.
///
/// Changes come in the journal's order: a call whose `seq` is below one that was applied is a replay, and does
/// nothing. Under one `seq` a chunk is written once, and a delete spares what the same `seq` wrote.
pub trait VectorStore: Send + Sync {
    /// Whose vectors it holds.
    fn model(&self) -> &Model;

    /// Puts rows in, in place of those of the same chunks. All of a batch is found at once, or none of it.
    ///
    /// # Errors
    /// [`Error::Model`], or one that names the first row which is wrong; then nothing was changed.
    fn upsert(&self, batch: &Batch<'_>, seq: u64) -> Result<(), Error>;

    /// Takes chunks out; those that are not there are no error.
    ///
    /// # Errors
    /// What the backend says.
    fn delete(&self, ids: &[ChunkId], seq: u64) -> Result<(), Error>;

    /// The `k` nearest chunks that the filter lets through, the nearest first.
    ///
    /// **Cost**: runs where it is called, and waits for no writer.
    ///
    /// # Errors
    /// [`Error::Model`] where the query is of another model, [`Error::Vector`] where it is no direction.
    fn search(&self, query: &Query<'_>, k: usize, filter: &Filter) -> Result<Vec<Hit>, Error>;

    /// How many chunks it holds.
    ///
    /// # Errors
    /// What the backend says.
    fn count(&self) -> Result<usize, Error>;

    /// The journal's position that is durable here: whoever opens the store again replays what came after it.
    fn cursor(&self) -> u64;

    /// Makes everything that was told durable, and moves the cursor there.
    ///
    /// # Errors
    /// What the system says; then the cursor has not moved.
    fn flush(&self) -> Result<(), Error>;
}

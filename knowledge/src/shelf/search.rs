//! What a shelf finds: by words and by meaning at once, fused, and then read.

use std::sync::Arc;

use mesh_kernel::envelope::{Classification, TenantScope};

use super::{
    Candidate, Error, Shelf, Shelves, Standing,
    write::{OUTSIDE, blocking, class_label, source_label},
};
use crate::{
    fuse::{self, Fused, Leg, Way},
    id::ChunkId,
    lexical,
    vectors::{self, VectorStore as _},
};

/// How deep each leg looks.
const DEPTH: usize = 200;
/// How much deeper when a path is wanted, which the indexes do not filter by.
const DEEPER: usize = 5;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// In words.
    pub text: String,
    /// At most so many pieces.
    pub count: usize,
    /// Only of these sources; of all when there is none.
    pub sources: Vec<String>,
    /// Only of documents whose path begins so.
    pub path_prefix: String,
    /// Nothing above this.
    pub ceiling: Classification,
    /// Only what was written inside.
    pub inside_only: bool,
}

impl Shelves {
    /// The pieces of a collection that fit best, the best first.
    ///
    /// # Errors
    /// [`Error`]; one that wants a rebuild says that the index is not what the collection says.
    pub async fn search(
        self: &Arc<Self>,
        scope: TenantScope,
        collection: String,
        standing: Standing,
        wanted: Wanted,
    ) -> Result<Vec<Candidate>, Error> {
        let vector = self.embed(vec![wanted.text.clone()]).await?.into_iter().next().unwrap_or_default();
        let shelves = self.clone();
        blocking(move || {
            let shelf = shelves.standing(&scope, &collection, &standing)?;
            shelf.search(&collection, &vector, &wanted, shelves.alpha)
        })
        .await
    }
}

impl Shelf {
    fn search(&self, collection: &str, vector: &[f32], wanted: &Wanted, alpha: f32) -> Result<Vec<Candidate>, Error> {
        let depth = if wanted.path_prefix.is_empty() { DEPTH } else { DEPTH * DEEPER };
        let depth = depth.max(wanted.count);
        // Both legs at once: the slower one is what a search takes.
        let (words, near) = std::thread::scope(|threads| {
            let near = threads.spawn(|| self.near(vector, depth, wanted));
            (self.words(depth, wanted), near.join())
        });
        let words = words?;
        let near = near.map_err(|_| Error::Stopping)??;
        let legs = [Leg { way: Way::Lexical, hits: words }, Leg { way: Way::Vector, hits: near }];
        let fused = fuse::fuse(&legs, &fuse::Options { alpha, ..fuse::Options::default() }).hits;
        let ids: Vec<ChunkId> = fused.iter().map(|one| one.id).collect();
        let mut read = self.store.read(&ids).map_err(Error::store(collection))?;
        let mut found = Vec::with_capacity(wanted.count);
        for one in fused {
            // What only an index knows is of a round that was never done.
            let Some(shelved) = read.remove(&one.id) else { continue };
            if !shelved.document.path.starts_with(&wanted.path_prefix)
                || shelved.document.classification > wanted.ceiling
                || wanted.inside_only && shelved.document.outside
            {
                continue;
            }
            let (lexical_rank, vector_rank) = (rank(&one, Way::Lexical), rank(&one, Way::Vector));
            let score = f64::from(one.score);
            let collection = collection.to_owned();
            found.push(Candidate { collection, shelved, score, lexical_rank, vector_rank });
            if found.len() == wanted.count {
                break;
            }
        }
        Ok(found)
    }

    fn words(&self, depth: usize, wanted: &Wanted) -> Result<Vec<(ChunkId, f32)>, Error> {
        let any = wanted.sources.iter().map(|source| source_label(source)).collect();
        let filter = lexical::Filter { any, none: barred(wanted), ..lexical::Filter::default() };
        let hits = self.words.search(&wanted.text, depth, &filter)?;
        Ok(hits.into_iter().map(|hit| (hit.id, hit.score)).collect())
    }

    /// Nothing when the words have no direction: then the other leg answers alone.
    fn near(&self, vector: &[f32], depth: usize, wanted: &Wanted) -> Result<Vec<(ChunkId, f32)>, Error> {
        if vector.iter().all(|number| *number == 0.0) {
            return Ok(Vec::new());
        }
        let any = wanted.sources.iter().map(|source| source_label(source)).collect();
        let filter = vectors::Filter { any, none: barred(wanted), ..vectors::Filter::default() };
        let query = vectors::Query { model: self.vectors.model(), vector };
        let hits = self.vectors.search(&query, depth, &filter)?;
        Ok(hits.into_iter().map(|hit| (hit.id, hit.score)).collect())
    }
}

/// The labels of what is above the ceiling, and of what is from outside when that is not wanted.
fn barred(wanted: &Wanted) -> Vec<String> {
    use Classification::{Confidential, Internal, Public, Restricted};
    let all = [Public, Internal, Confidential, Restricted];
    let above = all.into_iter().filter(|class| *class > wanted.ceiling).map(class_label);
    above.chain(wanted.inside_only.then(|| OUTSIDE.to_owned())).collect()
}

fn rank(fused: &Fused, way: Way) -> Option<u32> {
    let share = fused.shares.iter().find(|share| share.way == way)?;
    u32::try_from(share.rank).ok()
}

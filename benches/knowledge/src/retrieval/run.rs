//! Each question asked of the words, of the vectors, and of both.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use anyhow::Result;
use mesh_knowledge::{
    embed::{Cpu as _, StaticTable},
    fuse::{self, Leg, Method, Options, Way},
    id::ChunkId,
    lexical::{self, Filter, Index},
};

use super::sets::Set;

/// Hits that each way gives to the fusion.
pub(crate) const DEPTH: usize = 200;
/// The vectors' share, as the knowledge crate has it for the offline default.
pub(crate) const ALPHA: f32 = fuse::STATIC_TABLE_ALPHA;
/// Chunks between two commits.
const BATCH: usize = 1_000;

/// What two ways found for one question.
pub(crate) struct Legs {
    pub(crate) lexical: Leg,
    pub(crate) vector: Leg,
    places: std::sync::Arc<BTreeMap<ChunkId, usize>>,
}

pub(crate) struct Searched {
    pub(crate) legs: Vec<Legs>,
    pub(crate) embedder: String,
    pub(crate) lexical_p50_ms: f64,
}

impl Legs {
    /// A leg as places in the set.
    pub(crate) fn order_of(&self, leg: &Leg) -> Vec<usize> {
        leg.hits.iter().filter_map(|(id, _)| self.places.get(id).copied()).collect()
    }

    pub(crate) fn fused(&self, options: Options) -> Vec<usize> {
        let outcome = fuse::fuse(&[self.lexical.clone(), self.vector.clone()], &options);
        outcome.hits.iter().filter_map(|hit| self.places.get(&hit.id).copied()).collect()
    }
}

pub(crate) fn by_scores() -> Options {
    with_alpha(ALPHA)
}

pub(crate) fn by_ranks() -> Options {
    Options { method: Method::Ranks, ..with_alpha(ALPHA) }
}

pub(crate) fn with_alpha(alpha: f32) -> Options {
    Options { alpha, ..Options::default() }
}

pub(crate) fn search(set: &Set, folder: &Path) -> Result<Searched> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let index = Index::open(folder, lexical::Options::default())?;
    let ids: Vec<ChunkId> = (0..set.documents.len()).map(|place| ChunkId::of(&set.name, "", place)).collect();
    let mut cursor = 0;
    for (documents, ids) in set.documents.chunks(BATCH).zip(ids.chunks(BATCH)) {
        let batch: Vec<_> = documents
            .iter()
            .zip(ids)
            .map(|(each, id)| {
                let path = if each.headings.is_empty() && each.symbols.is_empty() && each.text == each.embedded {
                    ""
                } else {
                    &each.id
                };
                let document = lexical::Document {
                    path,
                    title: &each.title,
                    symbols: &each.symbols,
                    headings: &each.headings,
                    body: &each.text,
                    labels: &[],
                };
                (*id, document)
            })
            .collect();
        index.upsert(&batch)?;
        cursor += batch.len() as u64;
        index.flush(cursor)?;
    }
    let table = StaticTable::offline()?;
    let texts: Vec<&str> = set.documents.iter().map(|each| each.embedded.as_str()).collect();
    let vectors = table.embed(&texts)?;
    let places = std::sync::Arc::new(ids.iter().copied().zip(0..).collect::<BTreeMap<_, _>>());
    let mut legs = Vec::new();
    let mut took = Vec::new();
    for question in &set.questions {
        let begun = Instant::now();
        let found = index.search(&question.text, DEPTH, &Filter::default())?;
        took.push(begun.elapsed().as_secs_f64() * 1_000.0);
        let lexical = Leg { way: Way::Lexical, hits: found.into_iter().map(|hit| (hit.id, hit.score)).collect() };
        let asked = table.embed(&[&question.text])?.pop().unwrap_or_default();
        legs.push(Legs { lexical, vector: nearest(&asked, &ids, &vectors), places: std::sync::Arc::clone(&places) });
    }
    took.sort_by(f64::total_cmp);
    let lexical_p50_ms = took.get(took.len() / 2).copied().unwrap_or_default();
    Ok(Searched { legs, embedder: table.model().name.clone(), lexical_p50_ms })
}

/// Every vector is compared: this bench is about what is found, not how fast.
fn nearest(asked: &[f32], ids: &[ChunkId], vectors: &[Vec<f32>]) -> Leg {
    let cosine = |vector: &Vec<f32>| -> f32 { vector.iter().zip(asked).map(|(a, b)| a * b).sum() };
    let mut hits: Vec<(ChunkId, f32)> = ids.iter().copied().zip(vectors.iter().map(cosine)).collect();
    hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    hits.truncate(DEPTH);
    Leg { way: Way::Vector, hits }
}

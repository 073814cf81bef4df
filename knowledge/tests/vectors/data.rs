//! Vectors and names for tests: the same ones each time.

use mesh_knowledge::{
    id::ChunkId,
    vectors::{Batch, Error, Model, Query, Row, VectorStore},
};

/// A model of so many dimensions.
pub(crate) fn model(dimensions: usize) -> Model {
    Model { name: "test".to_owned(), digest: "sha256:00".to_owned(), dimensions }
}

pub(crate) fn id(number: u64) -> ChunkId {
    ChunkId::of("document", &number.to_string(), 0)
}

/// Numbers that look drawn by lot.
pub(crate) struct Lots(pub(crate) u64);

impl Lots {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// About normal, by the sum of four.
    pub(crate) fn normal(&mut self) -> f32 {
        let bits = self.next();
        let part = |shift: u64| ((bits >> shift) & 0xFFFF) as f32 / 65536.0;
        (part(0) + part(16) + part(32) + part(48) - 2.0) * 1.7
    }

    pub(crate) fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        (0..dimensions).map(|_| self.normal()).collect()
    }
}

/// Vectors in clusters that are longer in some directions than in others.
pub(crate) fn clustered(rows: usize, dimensions: usize, clusters: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut lots = Lots(7);
    let centres: Vec<Vec<f32>> = (0..clusters).map(|_| lots.vector(dimensions)).collect();
    let mut lots = Lots(seed);
    let row = |lots: &mut Lots| {
        let centre = centres.get((lots.next() % clusters as u64) as usize).expect("a cluster");
        let spread = |at: usize| 0.3 + 1.2 * ((at * 31) % 17) as f32 / 17.0;
        centre.iter().enumerate().map(|(at, number)| number + spread(at) * lots.normal()).collect()
    };
    (0..rows).map(|_| row(&mut lots)).collect()
}

/// Puts one chunk in.
pub(crate) fn put(
    store: &dyn VectorStore,
    number: u64,
    vector: &[f32],
    labels: &[&str],
    seq: u64,
) -> Result<(), Error> {
    let model = store.model().clone();
    store.upsert(&Batch { model: &model, rows: &[Row { id: id(number), vector, labels }] }, seq)
}

/// The ids that a search finds.
pub(crate) fn found(
    store: &dyn VectorStore,
    vector: &[f32],
    k: usize,
    filter: &mesh_knowledge::vectors::Filter,
) -> Vec<ChunkId> {
    let model = store.model().clone();
    let hits = store.search(&Query { model: &model, vector }, k, filter).expect("a search");
    hits.iter().map(|hit| hit.id).collect()
}

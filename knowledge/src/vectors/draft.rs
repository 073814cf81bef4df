//! Rows on their way into a segment.

use std::collections::BTreeMap;

/// Rows that no search sees yet.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) ids: Vec<u128>,
    pub(super) seqs: Vec<u64>,
    /// **Shape**: `[n, dimensions]`, normalised.
    pub(super) vectors: Vec<f32>,
    /// The rows of each label, ascending.
    pub(super) labels: BTreeMap<Box<str>, Vec<u32>>,
}

impl Draft {
    pub(super) fn rows(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn push(&mut self, id: u128, seq: u64, vector: impl Iterator<Item = f32>, labels: &[&str]) {
        let row = self.ids.len() as u32;
        self.ids.push(id);
        self.seqs.push(seq);
        self.vectors.extend(vector);
        for label in labels {
            let rows = match self.labels.get_mut(*label) {
                Some(rows) => rows,
                None => self.labels.entry(Box::from(*label)).or_default(),
            };
            if rows.last() != Some(&row) {
                rows.push(row);
            }
        }
    }

    /// Puts the rows into another order: `order` says for each new place which row comes there.
    pub(super) fn reorder(&mut self, order: &[u32], dimensions: usize) {
        let old = |at: &u32| *at as usize;
        self.ids = order.iter().filter_map(|at| self.ids.get(old(at)).copied()).collect();
        self.seqs = order.iter().filter_map(|at| self.seqs.get(old(at)).copied()).collect();
        let mut vectors = Vec::with_capacity(self.vectors.len());
        for at in order {
            let start = old(at) * dimensions;
            vectors.extend_from_slice(self.vectors.get(start..start + dimensions).unwrap_or_default());
        }
        self.vectors = vectors;
        let mut place = vec![0_u32; order.len()];
        for (new, at) in order.iter().enumerate() {
            if let Some(place) = place.get_mut(old(at)) {
                *place = new as u32;
            }
        }
        for rows in self.labels.values_mut() {
            rows.iter_mut().for_each(|row| *row = place.get(*row as usize).copied().unwrap_or_default());
            rows.sort_unstable();
        }
    }
}

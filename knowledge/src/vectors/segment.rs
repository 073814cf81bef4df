//! Rows that do not change any more: vectors, codes, names, labels and perhaps a graph.

use std::sync::Arc;

use crate::sys::map::Column;

use super::{
    bits::Bits,
    codes::{Codes, OneBit},
    draft::Draft,
    graph::Graph,
    labels::Labels,
    settings::Settings,
};

/// Rows that do not change any more. Which of them are alive is told beside it, since that changes.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) dimensions: usize,
    /// **Shape**: `[n, dimensions]`, normalised.
    pub(super) vectors: Column<f32>,
    pub(super) codes: Codes,
    /// Empty in a small segment.
    pub(super) one_bit: OneBit,
    /// The upper and the lower half of each chunk's number.
    pub(super) ids: Column<u64>,
    /// The rows in the order of their ids.
    pub(super) by_id: Column<u32>,
    pub(super) seqs: Column<u64>,
    pub(super) labels: Labels,
    pub(super) graph: Option<Graph>,
}

impl Segment {
    /// Makes a segment in memory; the graph, if there is one, numbers the rows as the draft does.
    pub(super) fn of(draft: Draft, dimensions: usize, graph: Option<Graph>, settings: &Settings) -> Arc<Self> {
        let rows = draft.rows();
        let mut by_id: Vec<u32> = (0..rows as u32).collect();
        by_id.sort_unstable_by_key(|row| draft.ids.get(*row as usize));
        let one_bit = if rows >= settings.bits_min && dimensions >= settings.bits_dimensions_min {
            OneBit::of(&draft.vectors, dimensions)
        } else {
            OneBit::default()
        };
        Arc::new(Self {
            dimensions,
            codes: Codes::of(draft.vectors.chunks_exact(dimensions), dimensions),
            one_bit,
            ids: Column::Owned(draft.ids.iter().flat_map(|id| [(id >> 64) as u64, *id as u64]).collect()),
            by_id: Column::Owned(by_id),
            seqs: Column::Owned(draft.seqs),
            labels: Labels::of(&draft.labels, rows),
            vectors: Column::Owned(draft.vectors),
            graph,
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.seqs.get().len()
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn vector(&self, row: u32) -> &[f32] {
        let start = row as usize * self.dimensions;
        self.vectors.get().get(start..start + self.dimensions).unwrap_or_default()
    }

    pub(super) fn id(&self, row: u32) -> u128 {
        match self.ids.get().get(row as usize * 2..row as usize * 2 + 2) {
            Some([upper, lower]) => u128::from(*upper) << 64 | u128::from(*lower),
            _ => 0,
        }
    }

    pub(super) fn seq(&self, row: u32) -> u64 {
        self.seqs.get().get(row as usize).copied().unwrap_or_default()
    }

    /// The rows that hold a chunk: a dead one may stand beside the living one.
    pub(super) fn rows_of(&self, id: u128) -> impl Iterator<Item = u32> + '_ {
        let by_id = self.by_id.get();
        let first = by_id.partition_point(|row| self.id(*row) < id);
        by_id.iter().skip(first).copied().take_while(move |row| self.id(*row) == id)
    }
}

/// A segment as it stands now.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) segment: Arc<Segment>,
    /// The number of its file, once it has one.
    pub(super) number: Option<u64>,
    pub(super) alive: Arc<Bits>,
    /// How many are.
    pub(super) live: usize,
    /// A build is under way that will replace it.
    pub(super) leaving: bool,
}

impl Part {
    /// All of a segment.
    pub(super) fn of(segment: Arc<Segment>, number: Option<u64>) -> Self {
        let live = segment.rows();
        Self { alive: Arc::new(Bits::all(live)), segment, number, live, leaving: false }
    }

    /// The living row of a chunk.
    pub(super) fn find(&self, id: u128) -> Option<u32> {
        self.segment.rows_of(id).find(|row| self.alive.has(*row))
    }

    /// Takes a living row out; who holds the part as it was still sees it.
    pub(super) fn bury(&mut self, row: u32) {
        Arc::make_mut(&mut self.alive).unset(row);
        self.live -= 1;
    }

    pub(super) fn has_graph(&self) -> bool {
        self.segment.graph.is_some()
    }
}

//! A graph as plain columns and back.

use std::sync::Arc;

use super::{
    column::{CHUNK, Cell},
    graph::{EDGES_A_NODE_MAX, Known, NODE, NODES_MAX, View, Writer},
    kinds::NodeKind,
};

impl View {
    /// Kinds, positions, times, where edges end, and edges: little-endian.
    pub(super) fn columns(&self) -> [Vec<u8>; 5] {
        let nodes = self.len() as usize;
        let byte = |kind: u8| [kind];
        [
            flat(&self.kinds, nodes, byte),
            flat(&self.positions, nodes, u64::to_le_bytes),
            flat(&self.times, nodes, u64::to_le_bytes),
            flat(&self.ends, nodes, u32::to_le_bytes),
            flat(&self.out, self.edges(), u32::to_le_bytes),
        ]
    }
}

fn flat<C: Cell, const N: usize>(table: &[Arc<[C]>], len: usize, bytes: impl Fn(C::Value) -> [u8; N]) -> Vec<u8> {
    let mut flat = Vec::with_capacity(len * N);
    for (at, chunk) in table.iter().enumerate() {
        for cell in chunk.iter().take(len.saturating_sub(at * CHUNK)) {
            flat.extend_from_slice(&bytes(cell.get()));
        }
    }
    flat
}

impl Writer {
    /// The graph that columns hold, looked through once: ends ascend, edges lead to older nodes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn loaded(
        kinds: &[NodeKind],
        known: &[(u64, u64)],
        ends: impl ExactSizeIterator<Item = u32>,
        mut out: impl ExactSizeIterator<Item = u32>,
    ) -> Result<Self, &'static str> {
        if kinds.len() != known.len() || kinds.len() != ends.len() || kinds.len() > NODES_MAX as usize {
            return Err("columns of different lengths");
        }
        let mut writer = Self::new();
        for ((kind, (position, at)), end) in kinds.iter().zip(known).zip(ends) {
            let count = end.checked_sub(writer.edges()).filter(|count| *count as usize <= EDGES_A_NODE_MAX);
            let count = count.ok_or("edges that do not end in order")?;
            let edges = out.by_ref().take(count as usize);
            writer.lay(*kind, Known { position: *position, at: *at }, edges)?;
            if writer.edges() != end {
                return Err("edges are missing");
            }
        }
        if out.next().is_some() {
            return Err("edges of nobody");
        }
        writer.seal();
        writer.publish();
        Ok(writer)
    }

    /// Takes a node whose edges are put into rows later.
    fn lay(&mut self, kind: NodeKind, known: Known, edges: impl Iterator<Item = u32>) -> Result<(), &'static str> {
        let node = self.nodes();
        for packed in edges {
            if packed & NODE >= node {
                return Err("an edge that leads to no older node");
            }
            self.lay_edge(packed);
        }
        self.lay_node(kind, known);
        Ok(())
    }
}

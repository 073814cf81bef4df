//! The graph that all sides hold: preferential attachment, 2.34 edges a node, causes before effects.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::Result;
use serde_json::{Value, json};

use super::STARTS;

/// Of a hundred nodes, how many have at most one edge, two, and so on.
const DEGREES: [u32; 4] = [25, 60, 85, 96];

/// Of a hundred edges, how many lead to what an earlier edge led to; the rest lead to recent nodes. With 60, one in a
/// hundred closures of a million edges has a seventh of all nodes; by degree alone the largest have some hundred nodes,
/// and with 50 most span everything.
const PREFERENTIAL: u32 = 60;

/// How far back a recent node is.
const RECENT: u32 = 2_000;

/// Nodes with their edges to older ones.
pub(super) struct Made {
    /// Where each node's edges end.
    pub(super) ends: Vec<u32>,
    /// Kinds in the upper four bits, targets below.
    pub(super) edges: Vec<(u8, u32)>,
}

/// Numbers by chance, the same in each run.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((self.0 >> 32) * u64::from(limit)) >> 32) as u32
    }
}

impl Made {
    pub(super) fn new(count: usize) -> Self {
        let mut chance = Chance(20_260_701);
        let mut made = Self { ends: vec![0], edges: Vec::with_capacity(count) };
        while made.edges.len() < count {
            let node = made.ends.len() as u32;
            let drawn = chance.below(100);
            let degree = 1 + DEGREES.iter().filter(|below| drawn >= **below).count();
            for _ in 0..degree {
                let copied = chance.below(made.edges.len().max(1) as u32) as usize;
                let target = match made.edges.get(copied) {
                    Some((_, target)) if chance.below(100) < PREFERENTIAL => *target,
                    _ => node - 1 - chance.below(node.min(RECENT)),
                };
                made.edges.push((chance.below(16) as u8, target));
            }
            made.ends.push(made.edges.len() as u32);
        }
        made
    }

    pub(super) fn nodes(&self) -> usize {
        self.ends.len()
    }

    /// Each node with its edges.
    pub(super) fn each(&self) -> impl Iterator<Item = (u32, &[(u8, u32)])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        (0..)
            .zip(starts.zip(&self.ends))
            .map(|(node, (start, end))| (node, self.edges.get(start as usize..*end as usize).unwrap_or_default()))
    }

    /// Whom one asks about: three quarters late nodes, as people ask why of what is new; for impact, nodes of any age.
    pub(super) fn starts(&self) -> (Vec<u32>, Vec<u32>) {
        let mut chance = Chance(7);
        let nodes = self.nodes() as u32;
        let why =
            (0..STARTS).map(|at| if at % 4 == 0 { chance.below(nodes) } else { nodes - 1 - chance.below(nodes / 4) });
        let why = why.collect();
        (why, (0..STARTS).map(|_| chance.below(nodes)).collect())
    }

    /// Writes the edges as pairs of 32-bit numbers, and the starts, for peers in other languages.
    pub(super) fn write(&self, work: &Path) -> Result<Value> {
        std::fs::create_dir_all(work)?;
        let mut file = BufWriter::new(File::create(work.join("edges"))?);
        for (node, edges) in self.each() {
            for (_, target) in edges {
                file.write_all(&node.to_le_bytes())?;
                file.write_all(&target.to_le_bytes())?;
            }
        }
        file.flush()?;
        let (why, impact) = self.starts();
        std::fs::write(work.join("starts.json"), json!({ "why": why, "impact": impact }).to_string())?;
        Ok(json!({ "nodes": self.nodes(), "edges": self.edges.len() }))
    }
}

//! A graph of near neighbours over short codes, in floors that grow thinner (HNSW).
//!
//! **Source**: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical
//! Navigable Small World graphs", arXiv 1603.09320; the walk by two steps under a filter is that of ACORN-1, Patel
//! and others, arXiv 2403.04871.
//!
//! What differs: the walk compares eight-bit codes, a sixth of what vectors would read; rows are numbered so that
//! those of upper floors come first, and a floor is its number of nodes and one flat array of links; within a floor
//! rows lie in the order in which a walk in breadth meets them.

mod build;
mod walk;

pub(super) use build::build;
pub(super) use walk::{Scratch, Walk};

use crate::sys::{map::Column, sums::soon};

/// Stands where a row of links has no more.
const NONE: u32 = u32::MAX;

/// Links between near rows of a segment.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Nodes of each floor, the lowest first: the rows `0..n` of a floor are on it.
    pub(super) floors: Column<u32>,
    /// **Shape**: `[n, 2 * links]`.
    pub(super) low: Column<u32>,
    /// **Shape**: `[nodes, links]` for each floor but the lowest, one after the other.
    pub(super) upper: Column<u32>,
}

/// Where neighbours are read, in a finished graph or in one that grows.
trait Links {
    /// How many floors there are.
    fn floors(&self) -> usize;

    /// Gives the neighbours of a node on a floor.
    fn each(&self, floor: usize, node: u32, take: impl FnMut(u32));

    /// Says that the neighbours of a node on the lowest floor will be asked for soon.
    fn fetch(&self, _node: u32) {}
}

/// A finished graph, for reading.
#[derive(Clone, Copy)]
struct Frozen<'a> {
    floors: &'a [u32],
    low: &'a [u32],
    upper: &'a [u32],
    links: usize,
}

impl Graph {
    fn frozen(&self) -> Frozen<'_> {
        let (floors, low) = (self.floors.get(), self.low.get());
        let rows = floors.first().copied().unwrap_or_default().max(1) as usize;
        Frozen { floors, low, upper: self.upper.get(), links: low.len() / rows / 2 }
    }
}

/// Where the links of a node of an upper floor begin, in links.
fn upper_start(floors: &[u32], floor: usize, node: u32, links: usize) -> usize {
    let below: u64 = floors.iter().take(floor).skip(1).map(|nodes| u64::from(*nodes)).sum();
    (below as usize + node as usize) * links
}

impl Frozen<'_> {
    fn of(&self, floor: usize, node: u32) -> &[u32] {
        let (from, start, links) = match floor {
            0 => (self.low, node as usize * self.links * 2, self.links * 2),
            _ => (self.upper, upper_start(self.floors, floor, node, self.links), self.links),
        };
        from.get(start..start + links).unwrap_or_default()
    }
}

impl Links for Frozen<'_> {
    fn floors(&self) -> usize {
        self.floors.len()
    }

    #[inline]
    fn each(&self, floor: usize, node: u32, take: impl FnMut(u32)) {
        self.of(floor, node).iter().copied().take_while(|node| *node != NONE).for_each(take);
    }

    #[inline]
    fn fetch(&self, node: u32) {
        soon(self.of(0, node));
    }
}

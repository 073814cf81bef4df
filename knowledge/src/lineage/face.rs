//! The graph as petgraph sees it: its algorithms work on a view, and a small part of it can be had as its own graph.
//!
//! An edge is directed as it is stored, from the newer node to the older one.

use petgraph::{
    Direction, Graph,
    visit::{
        GraphBase, GraphProp, IntoNeighbors, IntoNeighborsDirected, IntoNodeIdentifiers, NodeCompactIndexable,
        NodeCount, NodeIndexable, VisitMap, Visitable,
    },
};

use super::{
    graph::View,
    kinds::{EdgeKind, Toward},
    sweep::Reached,
};

/// A part of the graph as petgraph's own: its nodes are ours by number, its edges read as the ontology reads.
pub type Part = Graph<u32, EdgeKind, petgraph::Directed, u32>;

/// The first of some nodes, from the oldest on, and all edges between them.
///
/// **Cost**: bounded by `nodes_max`, whatever was reached.
pub fn subgraph(view: &View, reached: &Reached, nodes_max: usize) -> Part {
    let mut part = Part::with_capacity(reached.len().min(nodes_max), 0);
    let mut places = std::collections::BTreeMap::new();
    for node in reached.oldest_first(None).take(nodes_max) {
        let place = part.add_node(node);
        for (kind, older) in view.edges_of(node, Toward::Older) {
            if let Some(older) = places.get(&older) {
                if kind.reads_forward() {
                    part.add_edge(*older, place, kind);
                } else {
                    part.add_edge(place, *older, kind);
                }
            }
        }
        places.insert(node, place);
    }
    part
}

impl GraphBase for View {
    type EdgeId = (u32, u32);
    type NodeId = u32;
}

impl GraphProp for View {
    type EdgeType = petgraph::Directed;
}

impl IntoNeighbors for &View {
    type Neighbors = std::vec::IntoIter<u32>;

    fn neighbors(self, node: u32) -> Self::Neighbors {
        self.neighbors_directed(node, Direction::Outgoing)
    }
}

impl IntoNeighborsDirected for &View {
    type NeighborsDirected = std::vec::IntoIter<u32>;

    fn neighbors_directed(self, node: u32, direction: Direction) -> Self::NeighborsDirected {
        let toward = match direction {
            Direction::Outgoing => Toward::Older,
            Direction::Incoming => Toward::Newer,
        };
        self.edges_of(node, toward).into_iter().map(|(_, other)| other).collect::<Vec<_>>().into_iter()
    }
}

impl IntoNodeIdentifiers for &View {
    type NodeIdentifiers = std::ops::Range<u32>;

    fn node_identifiers(self) -> Self::NodeIdentifiers {
        self.lowest()..self.len()
    }
}

impl NodeCount for View {
    fn node_count(&self) -> usize {
        (self.len() - self.lowest()) as usize
    }
}

impl NodeIndexable for View {
    fn node_bound(&self) -> usize {
        self.node_count()
    }

    fn to_index(&self, node: u32) -> usize {
        (node - self.lowest()) as usize
    }

    fn from_index(&self, index: usize) -> u32 {
        self.lowest() + u32::try_from(index).unwrap_or(u32::MAX)
    }
}

impl NodeCompactIndexable for View {}

/// What a walk of petgraph's has seen.
#[derive(Debug, Clone, Default)]
pub struct Marks(Vec<u64>);

impl Marks {
    fn word(&mut self, node: u32) -> Option<(&mut u64, u64)> {
        Some((self.0.get_mut(node as usize / 64)?, 1 << (node % 64)))
    }
}

impl VisitMap<u32> for Marks {
    fn visit(&mut self, node: u32) -> bool {
        let Some((word, bit)) = self.word(node) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn is_visited(&self, node: &u32) -> bool {
        self.0.get(*node as usize / 64).is_some_and(|word| word >> (node % 64) & 1 != 0)
    }

    fn unvisit(&mut self, node: u32) -> bool {
        let Some((word, bit)) = self.word(node) else { return false };
        let was = *word & bit != 0;
        *word &= !bit;
        was
    }
}

impl Visitable for View {
    type Map = Marks;

    fn visit_map(&self) -> Marks {
        Marks(vec![0; (self.len() as usize).div_ceil(64)])
    }

    fn reset_map(&self, map: &mut Marks) {
        *map = self.visit_map();
    }
}

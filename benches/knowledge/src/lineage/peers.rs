//! petgraph's sides. A closure is its own breadth-first walk with its own map of what was seen, kept between questions.

use std::{collections::VecDeque, path::Path, time::Instant};

use anyhow::Result;
use petgraph::{
    Direction,
    csr::Csr,
    stable_graph::{NodeIndex, StableGraph},
    visit::{VisitMap, Visitable},
};
use serde_json::{Value, json};

use super::{allocated, asked, made::Made, rate};

type Stable = StableGraph<(), u8, petgraph::Directed, u32>;

pub(super) fn stable(made: &Made, _work: &Path) -> Result<Value> {
    let (why, impact) = made.starts();
    let before = allocated::bytes();
    let began = Instant::now();
    let mut graph = Stable::default();
    for (_, edges) in made.each() {
        let node = graph.add_node(());
        for (kind, to) in edges {
            graph.add_edge(node, NodeIndex::from(*to), *kind);
        }
    }
    let insert = rate(made.edges.len(), began.elapsed());
    graph.shrink_to_fit();
    let bytes = allocated::bytes() - before;
    let mut seen = graph.visit_map();
    let mut queue = VecDeque::new();
    let mut ask = |start: u32, direction| {
        graph.reset_map(&mut seen);
        queue.clear();
        let mut count = 0;
        seen.visit(NodeIndex::from(start));
        queue.push_back(NodeIndex::from(start));
        while let Some(node) = queue.pop_front() {
            count += 1;
            for other in graph.neighbors_directed(node, direction) {
                if seen.visit(other) {
                    queue.push_back(other);
                }
            }
        }
        count
    };
    Ok(json!({
        "insert_m_edges_s": insert, "bytes_per_edge": bytes as f64 / made.edges.len() as f64,
        "why": asked(&why, |start| ask(start, Direction::Outgoing)),
        "impact": asked(&impact, |start| ask(start, Direction::Incoming)),
    }))
}

/// Two of them, one for each direction: `Csr` knows only outgoing edges. It takes no parallel edges, so those are
/// left out.
pub(super) fn csr(made: &Made) -> Value {
    let (why, impact) = made.starts();
    let before = allocated::bytes();
    let began = Instant::now();
    let out = one_way(made.each().flat_map(|(node, edges)| edges.iter().map(move |(kind, to)| (node, *to, *kind))));
    let back = one_way(made.each().flat_map(|(node, edges)| edges.iter().map(move |(kind, to)| (*to, node, *kind))));
    let insert = rate(made.edges.len(), began.elapsed());
    let bytes = allocated::bytes() - before;
    json!({
        "insert_m_edges_s": insert, "bytes_per_edge": bytes as f64 / made.edges.len() as f64,
        "edges_kept": out.edge_count(),
        "why": ask(&out, &why), "impact": ask(&back, &impact),
    })
}

type Rows = Csr<(), u8, petgraph::Directed, u32>;

fn one_way(edges: impl Iterator<Item = (u32, u32, u8)>) -> Rows {
    let mut edges: Vec<_> = edges.collect();
    edges.sort_unstable();
    edges.dedup_by_key(|(from, to, _)| (*from, *to));
    Rows::from_sorted_edges(&edges).unwrap_or_default()
}

fn ask(rows: &Rows, starts: &[u32]) -> Value {
    let mut seen = rows.visit_map();
    let mut queue = VecDeque::new();
    asked(starts, |start| {
        rows.reset_map(&mut seen);
        queue.clear();
        let mut count = 0;
        // The last nodes lead nowhere and are not in the rows of those that are led to.
        if (start as usize) >= rows.node_count() {
            return 1;
        }
        seen.visit(start);
        queue.push_back(start);
        while let Some(node) = queue.pop_front() {
            count += 1;
            for other in rows.neighbors_slice(node) {
                if seen.visit(*other) {
                    queue.push_back(*other);
                }
            }
        }
        count
    })
}

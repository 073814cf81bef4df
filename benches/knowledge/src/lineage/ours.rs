//! Our side.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context as _, Result};
use mesh_knowledge::lineage::{
    EdgeKind, NodeKind, Toward,
    graph::{Graph, Known, View, Writer},
    store::{Fact, Store},
    sweep::{Follow, closure},
};
use serde_json::{Value, json};

use super::{allocated, asked, made::Made, rate};

pub(super) fn measure(made: &Made, work: &Path) -> Result<Value> {
    let (why, impact) = made.starts();
    let alone = insert(made, &Writer::new().graph(), Writer::new())?.1;
    let (before, resident) = (allocated::bytes(), allocated::resident());
    let writer = Writer::new();
    let graph = writer.graph();
    let (writer, beside, reads) = beside_a_reader(made, &graph, writer)?;
    let (bytes, grown) = (allocated::bytes() - before, allocated::resident().saturating_sub(resident));
    let view = graph.view();
    let counted = writer.bytes();
    let edges = made.edges.len();
    let told = json!({
        "nodes": made.nodes(), "edges": edges,
        "insert_m_edges_s": alone, "insert_beside_reader_m_edges_s": beside, "closures_read_meanwhile": reads,
        "bytes_per_edge": (counted.out + counted.sealed + counted.tail) as f64 / edges as f64,
        "bytes_per_edge_with_kinds_positions_times": bytes as f64 / edges as f64,
        "resident_bytes_per_edge": grown as f64 / edges as f64,
        "why": asked(&why, |start| reach(&view, start, Toward::Older)),
        "impact": asked(&impact, |start| reach(&view, start, Toward::Newer)),
        "why_sweep_of_all_us": sweep_of_all(&view),
        "store": survive(made, work)?,
    });
    Ok(told)
}

fn reach(view: &View, start: u32, toward: Toward) -> usize {
    closure(view, &[start], Follow::all(toward)).len()
}

/// Everything from the last hundred nodes, the floor of which is reading each edge once.
fn sweep_of_all(view: &View) -> f64 {
    let starts: Vec<u32> = (view.len().saturating_sub(2_000)..view.len()).collect();
    let began = Instant::now();
    closure(view, &starts, Follow::all(Toward::Older));
    began.elapsed().as_secs_f64() * 1e6
}

fn insert(made: &Made, _graph: &Arc<Graph>, mut writer: Writer) -> Result<(Writer, f64)> {
    let began = Instant::now();
    let mut own = Vec::new();
    for (node, edges) in made.each() {
        own.clear();
        own.extend(edges.iter().filter_map(|(kind, to)| Some((EdgeKind::from_number(*kind)?, *to))));
        let known = Known { position: u64::from(node), at: u64::from(node) };
        writer.push(NodeKind::Artifact, known, &own)?;
        writer.publish();
    }
    let rate = rate(made.edges.len(), began.elapsed());
    Ok((writer, rate))
}

/// One writer, published node by node, and a reader that asks for closures of the newest node without a pause.
fn beside_a_reader(made: &Made, graph: &Arc<Graph>, writer: Writer) -> Result<(Writer, f64, u64)> {
    let (is_done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                let view = graph.view();
                if let Some(last) = view.len().checked_sub(1) {
                    closure(&view, &[last], Follow::all(Toward::Older));
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let inserted = insert(made, graph, writer);
        is_done.store(true, Ordering::Relaxed);
        let (writer, rate) = inserted?;
        Ok((writer, rate, reads.load(Ordering::Relaxed)))
    })
}

/// The same with names, through the log and a snapshot, as the projection does it.
fn survive(made: &Made, work: &Path) -> Result<Value> {
    let folder = work.join("store");
    let _none_there = std::fs::remove_dir_all(&folder);
    let store = Store::open(&folder)?;
    let began = Instant::now();
    let mut batch = Vec::new();
    for (node, edges) in made.each() {
        let fact =
            edges.iter().fold(Fact::new(NodeKind::Artifact, format!("artifact/{node:08x}")), |fact, (kind, to)| {
                let kind = EdgeKind::from_number(*kind).unwrap_or(EdgeKind::Used);
                fact.edge(kind, NodeKind::Artifact, format!("artifact/{to:08x}"))
            });
        batch.push((Known { position: u64::from(node), at: u64::from(node) }, fact));
        if batch.len() == 2_048 {
            store.apply(std::mem::take(&mut batch), u64::from(node))?;
            store.flush()?;
        }
    }
    store.apply(batch, made.nodes() as u64)?;
    let filled = rate(made.edges.len(), began.elapsed());
    let began = Instant::now();
    store.snapshot()?;
    let snapshot = began.elapsed().as_secs_f64();
    let (sums, names) = (store.sums(), store.bytes().1);
    drop(store);
    let file = std::fs::metadata(folder.join("graph")).context("the snapshot")?.len();
    let began = Instant::now();
    let again = Store::open(&folder)?;
    let restore = began.elapsed().as_secs_f64();
    anyhow::ensure!(again.sums() == sums, "what was read back is not what was written");
    std::fs::remove_dir_all(&folder)?;
    Ok(json!({
        "facts_m_edges_s": filled, "snapshot_s": snapshot, "restore_s": restore,
        "file_bytes_per_edge": file as f64 / made.edges.len() as f64,
        "names_bytes_per_node": names as f64 / made.nodes() as f64,
    }))
}

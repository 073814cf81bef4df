//! How many of the truly nearest each path finds: a gate.

use std::{collections::HashSet, sync::atomic::AtomicBool};

use mesh_knowledge::{
    id::ChunkId,
    vectors::{Batch, Embedded, Filter, Query, Row, Settings, VectorStore},
};

use crate::data::{clustered, id, model};

const ROWS: usize = 20_000;
const DIMENSIONS: usize = 128;
const QUERIES: usize = 60;
const K: usize = 10;
/// One row in so many has the label of that name.
const SHARES: [(&str, usize); 4] = [("0.1%", 1000), ("1%", 100), ("10%", 10), ("50%", 2)];

/// Labels lie across the clusters, and do not repeat with them.
fn has(row: usize, share: usize) -> bool {
    (row.wrapping_mul(0x9E37_79B1) >> 7).is_multiple_of(share)
}

fn labels_of(row: usize) -> Vec<&'static str> {
    SHARES.iter().filter(|(_, share)| has(row, *share)).map(|(name, _)| *name).collect()
}

fn normalised(vectors: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let length = |vector: &[f32]| vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    vectors.into_iter().map(|vector| vector.iter().map(|number| number / length(&vector)).collect()).collect()
}

struct Truth {
    queries: Vec<Vec<f32>>,
    /// For each filter, the open one first, the nearest to each query.
    nearest: Vec<Vec<Vec<ChunkId>>>,
}

fn truth(vectors: &[Vec<f32>], queries: Vec<Vec<f32>>) -> Truth {
    let mut nearest = vec![Vec::new(); SHARES.len() + 1];
    for query in &queries {
        let dot = |vector: &[f32]| vector.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
        let mut all: Vec<(f32, usize)> = vectors.iter().enumerate().map(|(row, vector)| (dot(vector), row)).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let shares = std::iter::once(1).chain(SHARES.iter().map(|(_, share)| *share));
        for (found, share) in nearest.iter_mut().zip(shares) {
            let of = all.iter().filter(|(_, row)| has(*row, share)).take(K);
            found.push(of.map(|(_, row)| id(*row as u64)).collect());
        }
    }
    Truth { queries, nearest }
}

/// Which part of the nearest is found, for each filter.
fn recall(store: &Embedded, truth: &Truth, width: usize) -> Vec<f64> {
    let model = model(DIMENSIONS);
    let filters = std::iter::once(Filter::default())
        .chain(SHARES.iter().map(|(name, _)| Filter { all: vec![(*name).to_owned()], ..Filter::default() }));
    let of = |(filter, nearest): (Filter, &Vec<Vec<ChunkId>>)| {
        let mut hit = 0;
        for (vector, nearest) in truth.queries.iter().zip(nearest) {
            let found = store.search_wide(&Query { model: &model, vector }, K, &filter, width).expect("a search");
            let nearest: HashSet<ChunkId> = nearest.iter().copied().collect();
            hit += found.iter().filter(|hit| nearest.contains(&hit.id)).count();
        }
        hit as f64 / nearest.iter().map(Vec::len).sum::<usize>() as f64
    };
    filters.zip(&truth.nearest).map(of).collect()
}

fn put(store: &Embedded, vectors: &[Vec<f32>], rows: impl Iterator<Item = usize>, seq: u64) {
    let model = model(DIMENSIONS);
    let rows: Vec<usize> = rows.collect();
    for (part, rows) in rows.chunks(1000).enumerate() {
        let labels: Vec<Vec<&str>> = rows.iter().map(|row| labels_of(*row)).collect();
        let row = |(row, labels): (&usize, &'_ Vec<&'static str>)| {
            (id(*row as u64), vectors.get(*row).expect("a row"), labels.clone())
        };
        let held: Vec<_> = rows.iter().zip(&labels).map(row).collect();
        let rows: Vec<Row<'_>> = held.iter().map(|(id, vector, labels)| Row { id: *id, vector, labels }).collect();
        store.upsert(&Batch { model: &model, rows: &rows }, seq + part as u64).expect("put");
    }
}

#[test]
fn every_path_finds_the_nearest_under_every_filter_and_after_deletes() {
    let vectors = normalised(clustered(ROWS, DIMENSIONS, 200, 1));
    let truth = truth(&vectors, normalised(clustered(QUERIES, DIMENSIONS, 200, 2)));
    let none = usize::MAX;
    let paths = [
        ("codes of eight bits", Settings { bits_min: none, graph_min: none, tail_max: none, ..Settings::default() }),
        (
            "one bit first",
            Settings { bits_min: 64, bits_dimensions_min: 1, graph_min: none, tail_max: none, ..Settings::default() },
        ),
        ("graph", Settings { graph_min: 1000, matches_scanned_max: 50, build_threads: 2, ..Settings::default() }),
        ("graph, few scanned", Settings { graph_min: 1000, build_threads: 2, ..Settings::default() }),
    ];
    for (name, settings) in paths {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Embedded::open(folder.path(), &model(DIMENSIONS), settings).expect("a store");
        let graph = name.starts_with("graph");
        put(&store, &vectors, 0..ROWS, 1);
        store.build(&AtomicBool::new(false)).expect("a build");
        assert_eq!(store.figures().in_graphs, if graph { ROWS } else { 0 }, "{name}");
        let fresh = recall(&store, &truth, 96);
        let third = (0..ROWS).filter(|row| row % 10 < 3);
        store.delete(&third.clone().map(|row| id(row as u64)).collect::<Vec<_>>(), 100).expect("a delete");
        put(&store, &vectors, third, 101);
        let worn = recall(&store, &truth, 96);
        while store.build(&AtomicBool::new(false)).expect("a build") {}
        store.flush().expect("a flush");
        let (rebuilt, wide) = (recall(&store, &truth, 96), recall(&store, &truth, 400));
        println!("{name}: fresh {fresh:.3?}, worn {worn:.3?}, rebuilt {rebuilt:.3?}, wide {wide:.3?}");
        let least = if graph { 0.95 } else { 0.99 };
        for seen in [&fresh, &worn, &rebuilt] {
            assert!(seen.iter().all(|recall| *recall >= least), "{name}: {seen:?}");
        }
        assert!(wide.iter().all(|recall| *recall >= 0.99), "{name}: {wide:?}");
    }
}

//! Histories by lot, beside a map and an exact search.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::AtomicBool,
};

use mesh_knowledge::{
    id::ChunkId,
    vectors::{Batch, Embedded, Filter, Query, Row, Settings, VectorStore},
};
use proptest::prelude::*;

use crate::data::{Lots, id, model};

const DIMENSIONS: usize = 24;
const NAMES: [&str; 4] = ["a", "b", "c", "rare"];

#[derive(Debug, Clone)]
enum Act {
    Upsert { from: u64, count: u64, seed: u64 },
    Delete { from: u64, count: u64 },
    Search { seed: u64, k: usize, all: usize, any: usize, none: usize },
    Flush,
    Reopen,
    Build,
    Compact,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0_u64..400, 1_u64..80, any::<u64>()).prop_map(|(from, count, seed)| Act::Upsert { from, count, seed }),
        3 => (0_u64..400, 1_u64..60).prop_map(|(from, count)| Act::Delete { from, count }),
        6 => (any::<u64>(), 1_usize..15, 0_usize..8, 0_usize..8, 0_usize..8)
            .prop_map(|(seed, k, all, any, none)| Act::Search { seed, k, all, any, none }),
        2 => Just(Act::Flush),
        1 => Just(Act::Reopen),
        2 => Just(Act::Build),
        1 => Just(Act::Compact),
    ];
    prop::collection::vec(act, 1..40)
}

fn settings() -> Settings {
    Settings {
        graph_min: 100,
        tail_max: 64,
        bits_min: 64,
        bits_dimensions_min: 1,
        matches_scanned_max: 20,
        ..Settings::default()
    }
}

type Held = BTreeMap<ChunkId, (Vec<f32>, BTreeSet<&'static str>)>;

fn labels_of(lots: &mut Lots) -> Vec<&'static str> {
    let bits = lots.next();
    let shares = [2, 3, 5, 40];
    NAMES
        .into_iter()
        .zip(shares)
        .enumerate()
        .filter(|(at, (_, share))| (bits >> (at * 12)).is_multiple_of(*share))
        .map(|(_, (name, _))| name)
        .collect()
}

fn named(at: usize) -> Vec<String> {
    NAMES.get(at).map(|name| (*name).to_owned()).into_iter().collect()
}

fn search(store: &Embedded, held: &Held, seed: u64, k: usize, filter: &Filter) -> Result<(), TestCaseError> {
    let vector = Lots(seed).vector(DIMENSIONS);
    let length = |vector: &[f32]| vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    let cosine = |other: &[f32]| {
        vector.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
            / length(&vector)
            / length(other)
    };
    let has = |labels: &BTreeSet<&str>, label: &String| labels.contains(label.as_str());
    let passes = |labels: &BTreeSet<&str>| {
        filter.all.iter().all(|label| has(labels, label))
            && (filter.any.is_empty() || filter.any.iter().any(|label| has(labels, label)))
            && !filter.none.iter().any(|label| has(labels, label))
    };
    let matching = held.values().filter(|(_, labels)| passes(labels));
    let mut exact: Vec<f64> = matching.map(|(vector, _)| cosine(vector)).collect();
    exact.sort_by(|a, b| b.total_cmp(a));
    exact.truncate(k);
    let model = model(DIMENSIONS);
    let hits = store.search(&Query { model: &model, vector: &vector }, k, filter).expect("a search");
    prop_assert_eq!(hits.len(), exact.len());
    let distinct: BTreeSet<ChunkId> = hits.iter().map(|hit| hit.id).collect();
    prop_assert_eq!(distinct.len(), hits.len(), "nothing is found twice");
    for hit in &hits {
        let (vector, labels) = held.get(&hit.id).expect("only what is held is found");
        prop_assert!(passes(labels));
        prop_assert!((f64::from(hit.score) - cosine(vector)).abs() < 1e-4);
    }
    prop_assert!(hits.windows(2).all(|two| two.first().map(|hit| hit.score) >= two.last().map(|hit| hit.score)));
    let (got, best) = (hits.iter().map(|hit| f64::from(hit.score)).sum::<f64>(), exact.iter().sum::<f64>());
    prop_assert!(got > best - 0.05, "the nearest are found: {got} of {best}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_finds_what_a_map_holds_whatever_happened_to_it(acts in acts()) {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Embedded::open(folder.path(), &model(DIMENSIONS), settings()).expect("a store");
        let (mut store, mut held, mut flushed, mut seq) = (open(), Held::new(), (Held::new(), 0), 0);
        for act in acts {
            seq += 1;
            match act {
                Act::Upsert { from, count, seed } => {
                    let mut lots = Lots(seed);
                    let rows: Vec<_> = (from..from + count).map(|at| (id(at), lots.vector(DIMENSIONS), labels_of(&mut lots))).collect();
                    let of = |(id, vector, labels): &'_ (ChunkId, Vec<f32>, Vec<&'static str>)| (*id, (vector.clone(), labels.iter().copied().collect()));
                    held.extend(rows.iter().map(of));
                    let model = model(DIMENSIONS);
                    let rows: Vec<Row<'_>> = rows.iter().map(|(id, vector, labels)| Row { id: *id, vector, labels }).collect();
                    store.upsert(&Batch { model: &model, rows: &rows }, seq).expect("put");
                }
                Act::Delete { from, count } => {
                    let ids: Vec<ChunkId> = (from..from + count).map(id).collect();
                    held.retain(|id, _| !ids.contains(id));
                    store.delete(&ids, seq).expect("a delete");
                }
                Act::Search { seed, k, all, any, none } => {
                    search(&store, &held, seed, k, &Filter { all: named(all), any: named(any), none: named(none) })?;
                }
                Act::Flush => {
                    store.flush().expect("a flush");
                    flushed = (held.clone(), store.cursor());
                }
                Act::Reopen => {
                    drop(store);
                    store = open();
                    held = flushed.0.clone();
                    prop_assert_eq!(store.cursor(), flushed.1);
                }
                Act::Build => drop(store.build(&AtomicBool::new(false)).expect("a build")),
                Act::Compact => drop(store.compact(&AtomicBool::new(false)).expect("a build")),
            }
            prop_assert_eq!(store.count().expect("a count"), held.len());
        }
        search(&store, &held, 5, 10, &Filter::default())?;
    }
}

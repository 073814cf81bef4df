//! Searches beside changes and builds.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use mesh_knowledge::vectors::{Embedded, Filter, Query, Settings, VectorStore};

use crate::data::{Lots, id, model, put};

#[test]
fn a_chunk_that_is_written_anew_is_found_by_every_search_meanwhile_and_a_deleted_one_by_none_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings =
        Settings { graph_min: 200, tail_max: 100, bits_min: 64, bits_dimensions_min: 1, ..Settings::default() };
    let store = Embedded::open(folder.path(), &model(16), settings).expect("a store");
    let mut lots = Lots(1);
    for number in 0..300 {
        put(&store, number, &lots.vector(16), &[], number + 1).expect("put");
    }
    let fixed = Filter { all: vec!["fixed".to_owned()], ..Filter::default() };
    let vector = lots.vector(16);
    for number in 1000..1005 {
        put(&store, number, &vector, &["fixed"], 400).expect("put");
    }
    let (stop, searches) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                store.build(&AtomicBool::new(false)).expect("a build");
                store.flush().expect("a flush");
            }
        });
        for filter in [Filter::default(), fixed] {
            let (stop, searches, store, vector) = (&stop, &searches, &store, &vector);
            scope.spawn(move || {
                let model = model(16);
                while !stop.load(Ordering::Relaxed) {
                    let hits = store.search(&Query { model: &model, vector }, 5, &filter).expect("a search");
                    let mut ids: Vec<_> = hits.iter().map(|hit| hit.id).collect();
                    let mut all: Vec<_> = (1000..1005).map(id).collect();
                    ids.sort();
                    all.sort();
                    assert_eq!(ids, all, "all five, whichever of them is being written");
                    searches.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for seq in 500..1500_u64 {
            put(&store, 1000 + seq % 5, &vector, &["fixed"], seq).expect("put");
            if seq % 7 == 0 {
                store.delete(&[id(seq % 300)], seq).expect("a delete");
            } else if seq % 3 == 0 {
                put(&store, seq % 300, &lots.vector(16), &[], seq).expect("put");
            }
        }
        while searches.load(Ordering::Relaxed) < 20 {
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
    store.delete(&(1000..1005).map(id).collect::<Vec<_>>(), 2000).expect("a delete");
    store.build(&AtomicBool::new(false)).expect("a build");
    let hits = store.search(&Query { model: &model(16), vector: &vector }, 5, &Filter::default()).expect("a search");
    assert!(hits.iter().all(|hit| hit.score < 0.999), "{hits:?}");
}

#[test]
fn a_build_that_is_told_to_stop_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { graph_min: 1000, tail_max: 1000, ..Settings::default() };
    let store = Embedded::open(folder.path(), &model(16), settings).expect("a store");
    let mut lots = Lots(1);
    for number in 0..1200 {
        put(&store, number, &lots.vector(16), &[], number + 1).expect("put");
    }
    let before = store.figures();
    assert!(store.build_is_due() && !store.build(&AtomicBool::new(true)).expect("stopped"));
    assert_eq!(store.figures(), before);
    assert!(store.build(&AtomicBool::new(false)).expect("a build") && !store.build_is_due());
    assert_eq!((store.figures().in_graphs, store.figures().segments), (1200, 1));
}

//! What every store does, whatever is behind it.

use mesh_knowledge::vectors::{Batch, Embedded, Error, Filter, Query, Row, Settings, VectorStore};

use crate::data::{found, id, model, put};

fn all(labels: &[&str]) -> Filter {
    Filter { all: labels.iter().map(|label| (*label).to_owned()).collect(), ..Filter::default() }
}

/// Tries one store, which is empty, of four dimensions, and asked again by `again` after a flush.
pub(crate) fn conforms<S: VectorStore>(store: S, again: impl Fn(S) -> S) {
    nearest_first(&store);
    filters(&store);
    refusals(&store);
    replays(&store);
    let (count, before) =
        (store.count().expect("a count"), found(&store, &[1.0, 0.2, 0.1, 0.0], 9, &Filter::default()));
    store.flush().expect("a flush");
    assert_eq!(store.cursor(), 22, "what was told last is durable");
    let store = again(store);
    assert_eq!((store.cursor(), store.count().expect("a count")), (22, count));
    assert_eq!(found(&store, &[1.0, 0.2, 0.1, 0.0], 9, &Filter::default()), before);
    put(&store, 1, &[0.0, 0.0, 0.0, 1.0], &[], 21).expect("a replay");
    assert_eq!(found(&store, &[1.0, 0.2, 0.1, 0.0], 9, &Filter::default()), before, "a replay changes nothing");
}

fn nearest_first(store: &dyn VectorStore) {
    assert!(found(store, &[1.0, 0.0, 0.0, 0.0], 5, &Filter::default()).is_empty(), "nothing is in it");
    put(store, 1, &[10.0, 0.0, 0.0, 0.0], &["class=Public", "lang=rust"], 1).expect("put");
    put(store, 2, &[1.0, 1.0, 0.0, 0.0], &["class=Internal", "lang=rust"], 2).expect("put");
    put(store, 3, &[0.0, 0.0, 0.1, 0.0], &["class=Internal", "lang=python"], 3).expect("put");
    put(store, 4, &[-1.0, 0.0, 0.0, 0.0], &[], 4).expect("put");
    let model = store.model().clone();
    let query = Query { model: &model, vector: &[0.5, 0.0, 0.0, 0.0] };
    let hits = store.search(&query, 9, &Filter::default()).expect("a search");
    assert_eq!(hits.iter().map(|hit| hit.id).collect::<Vec<_>>(), [id(1), id(2), id(3), id(4)]);
    for (hit, score) in hits.iter().zip([1.0, 0.5_f32.sqrt(), 0.0, -1.0]) {
        assert!((hit.score - score).abs() < 1e-5, "the cosine, whatever the lengths: {hit:?}, {score}");
    }
    assert_eq!(found(store, query.vector, 2, &Filter::default()), [id(1), id(2)]);
    assert!(found(store, query.vector, 0, &Filter::default()).is_empty());
    assert_eq!(store.count().expect("a count"), 4);
}

fn filters(store: &dyn VectorStore) {
    let of = |filter: &Filter| found(store, &[1.0, 0.0, 0.0, 0.0], 9, filter);
    assert_eq!(of(&all(&["class=Internal"])), [id(2), id(3)]);
    assert_eq!(of(&all(&["class=Internal", "lang=rust"])), [id(2)]);
    assert_eq!(of(&all(&["class=Secret"])), []);
    let texts = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
    let any = texts(&["lang=rust", "lang=python"]);
    assert_eq!(of(&Filter { any: any.clone(), ..Filter::default() }), [id(1), id(2), id(3)]);
    assert_eq!(of(&Filter { none: texts(&["lang=rust"]), ..Filter::default() }), [id(3), id(4)]);
    assert_eq!(of(&Filter { any, none: texts(&["class=Public"]), all: texts(&["lang=rust"]) }), [id(2)]);
}

fn refusals(store: &dyn VectorStore) {
    let good = [0.0, 1.0, 0.0, 0.0];
    for (vector, word) in [
        (&[0.0, 0.0, 0.0, 0.0][..], "zero"),
        (&[0.0, f32::NAN, 0.0, 0.0], "at 1"),
        (&[0.0, 0.0, f32::INFINITY, 0.0], "at 2"),
        (&[1.0, 0.0], "2 numbers"),
    ] {
        let model = store.model().clone();
        let rows = [Row { id: id(8), vector: &good, labels: &[] }, Row { id: id(9), vector, labels: &[] }];
        let error = store.upsert(&Batch { model: &model, rows: &rows }, 5).expect_err("refused").to_string();
        assert!(error.contains(&id(9).to_string()) && error.contains(word), "{error}");
        let error = store.search(&Query { model: &model, vector }, 1, &Filter::default()).expect_err("refused");
        assert!(error.to_string().contains("query") && error.to_string().contains(word), "{error}");
    }
    let long = "x".repeat(300);
    assert!(matches!(put(store, 9, &good, &[&long], 5), Err(Error::Labels { .. })));
    let mut other = store.model().clone();
    other.digest = "sha256:11".to_owned();
    let refused = store.search(&Query { model: &other, vector: &good }, 1, &Filter::default());
    assert!(matches!(refused, Err(Error::Model { .. })));
    let rows = [Row { id: id(9), vector: &good, labels: &[] }];
    assert!(matches!(store.upsert(&Batch { model: &other, rows: &rows }, 5), Err(Error::Model { .. })));
    assert_eq!(store.count().expect("a count"), 4, "what is refused leaves nothing behind");
}

fn replays(store: &dyn VectorStore) {
    let (east, west) = ([1.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0]);
    let first = |vector: &[f32]| found(store, vector, 1, &Filter::default());
    put(store, 1, &[-3.0, 0.1, 0.0, 0.0], &["moved"], 20).expect("put");
    assert_eq!((first(&east), found(store, &west, 2, &Filter::default())), (vec![id(2)], vec![id(4), id(1)]));
    assert_eq!(found(store, &east, 9, &all(&["class=Public"])), [], "its labels went with its vector");
    store.delete(&[id(4), id(77)], 21).expect("a delete");
    assert_eq!((store.count().expect("a count"), first(&west)), (3, vec![id(1)]));
    put(store, 4, &west, &[], 19).expect("a replay");
    store.delete(&[id(2)], 20).expect("a replay");
    assert_eq!(store.count().expect("a count"), 3, "what came before is not done again");
    put(store, 5, &[0.0, 0.0, 0.0, 1.0], &[], 22).expect("put");
    put(store, 5, &[0.0, 0.0, 0.0, -1.0], &[], 22).expect("a replay");
    store.delete(&[id(5)], 22).expect("a replay");
    assert_eq!(first(&[0.0, 0.0, 0.0, 1.0]), [id(5)], "the same position writes a chunk once");
    let (model, twice) = (store.model().clone(), [east, west].map(|vector| (id(6), vector)));
    let rows = twice.each_ref().map(|(id, vector)| Row { id: *id, vector, labels: &["twice", "twice"] });
    store.upsert(&Batch { model: &model, rows: &rows }, 22).expect("put");
    assert_eq!(found(store, &west, 1, &all(&["twice"])), [id(6)], "the last of a batch counts");
    assert_eq!(store.count().expect("a count"), 5);
}

#[test]
fn the_embedded_store_does_what_every_store_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let small = Settings { graph_min: 64, tail_max: 64, bits_min: 64, bits_dimensions_min: 1, ..Settings::default() };
    for (name, settings) in [("default", Settings::default()), ("small", small)] {
        let path = folder.path().join(name);
        let open = || Embedded::open(&path, &model(4), settings.clone()).expect("a store");
        conforms(open(), |store| {
            assert!(matches!(Embedded::open(&path, &model(4), settings.clone()), Err(Error::Taken(_))));
            drop(store);
            open()
        });
        let mut other = model(4);
        other.name = "another".to_owned();
        let error = Embedded::open(&path, &other, settings.clone()).expect_err("refused").to_string();
        assert!(error.contains("`test`") && error.contains("`another`"), "{error}");
    }
}

#[test]
fn a_store_takes_no_more_than_it_may_and_refuses_settings_that_cannot_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |settings: Settings| Embedded::open(folder.path(), &model(4), settings);
    let error = open(Settings { links: 1, ..Settings::default() }).expect_err("refused").to_string();
    assert!(error.contains("`links` is 1"), "{error}");
    let store = open(Settings { rows_max: 2, ..Settings::default() }).expect("a store");
    put(&store, 1, &[1.0; 4], &[], 1).expect("put");
    put(&store, 2, &[1.0; 4], &[], 2).expect("put");
    put(&store, 2, &[2.0; 4], &[], 3).expect("one in place of another");
    assert!(matches!(put(&store, 3, &[1.0; 4], &[], 4), Err(Error::Full { rows: 3, max: 2 })));
    assert_eq!(store.count().expect("a count"), 2);
}

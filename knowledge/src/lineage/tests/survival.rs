//! What survives, and what is found to be damaged.

use std::{fs, path::Path};

use crate::lineage::{
    EdgeKind, NodeKind, Toward,
    graph::Known,
    names::Spent,
    store::{Error, Fact, Store},
    sweep::{Follow, closure},
};

fn batch(from: u64, count: u64) -> Vec<(Known, Fact)> {
    (from..from + count)
        .map(|at| {
            let fact = Fact::new(NodeKind::Step, format!("step/{at}"))
                .labelled(format!("the step {at}"))
                .costing(Spent { tokens: at % 3, cost: 0, took_ms: at })
                .edge(EdgeKind::PartOf, NodeKind::Run, format!("run/{}", at / 10))
                .edge(EdgeKind::Used, NodeKind::Step, format!("step/{}", at.saturating_sub(7)));
            (Known { position: at, at: at * 1_000 }, fact)
        })
        .collect()
}

fn filled(folder: &Path) -> Store {
    let store = Store::open(folder).expect("an empty one");
    for from in (0..300).step_by(50) {
        store.apply(batch(from, 50), from + 50).expect("taken");
    }
    store.flush().expect("written");
    store
}

#[test]
fn a_graph_that_is_read_back_is_the_one_that_was_written_from_log_and_from_snapshot() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path());
    let sums = store.sums();
    drop(store);
    let store = Store::open(folder.path()).expect("from the log");
    assert_eq!((store.sums(), store.reflects()), (sums.clone(), 300));
    store.snapshot().expect("written");
    drop(store);
    assert_eq!(fs::metadata(folder.path().join("log")).expect("a log").len(), 0);
    let store = Store::open(folder.path()).expect("from the snapshot");
    assert_eq!((store.sums(), store.reflects()), (sums, 300));
    store.apply(batch(300, 20), 320).expect("taken");
    store.flush().expect("written");
    let sums = store.sums();
    drop(store);
    let store = Store::open(folder.path()).expect("from both");
    assert_eq!((store.sums(), store.reflects()), (sums, 320));
    let node = store.names().find("step/319", u32::MAX).expect("known");
    assert_eq!(store.names().label(node), "the step 319");
    assert!(closure(&store.view(), &[node], Follow::all(Toward::Older)).len() > 40);
}

#[test]
fn the_same_batch_twice_is_taken_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path());
    let sums = store.sums();
    store.apply(batch(0, 300), 300).expect("passed over");
    assert_eq!(store.sums(), sums);
    let other = tempfile::tempdir().expect("a folder");
    let anew = Store::open(other.path()).expect("an empty one");
    anew.apply(batch(0, 300), 300).expect("taken");
    assert_eq!(anew.sums(), sums, "made anew in one batch, it is the same");
}

#[test]
fn a_torn_frame_is_cut_and_a_flipped_byte_of_a_snapshot_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(filled(folder.path()));
    let log = folder.path().join("log");
    let bytes = fs::read(&log).expect("the log");
    fs::write(&log, bytes.get(..bytes.len() - 5).expect("shorter")).expect("torn");
    let store = Store::open(folder.path()).expect("without the last batch");
    assert_eq!(store.reflects(), 250);
    store.apply(batch(250, 50), 300).expect("taken again");
    store.snapshot().expect("written");
    drop(store);
    let graph = folder.path().join("graph");
    let whole = fs::read(&graph).expect("the snapshot");
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        *bytes.get_mut(at).expect("a byte") ^= 0x20;
        fs::write(&graph, bytes).expect("flipped");
        assert!(matches!(Store::open(folder.path()), Err(Error::Damaged { .. })), "byte {at}");
    }
    for len in [0, 7, 100, whole.len() - 1] {
        fs::write(&graph, whole.get(..len).expect("shorter")).expect("cut");
        assert!(matches!(Store::open(folder.path()), Err(Error::Damaged { .. })), "cut at {len}");
    }
    fs::write(&graph, whole).expect("mended");
    assert_eq!(Store::open(folder.path()).expect("whole").reflects(), 300);
}

#[test]
fn what_is_told_of_a_node_after_others_led_to_it_supersedes_the_bare_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("an empty one");
    let early = Fact::new(NodeKind::Step, "step/1").edge(EdgeKind::PartOf, NodeKind::Run, "run/1");
    let late =
        Fact::new(NodeKind::Run, "run/1").labelled("a run").edge(EdgeKind::Used, NodeKind::Workflow, "workflow/w@1");
    for _twice in 0..2 {
        store.apply(vec![(Known::default(), early.clone()), (Known::default(), late.clone())], 1).expect("taken");
    }
    let names = store.names();
    let (bare, told) = (names.find("run/1", 9).expect("bare"), names.find("run/1~told", 9).expect("told"));
    assert!(store.view().edges_of(told, Toward::Older).contains(&(EdgeKind::Supersedes, bare)));
    assert_eq!(store.view().len(), 4);
}

#[test]
fn what_a_lineage_cost_is_counted_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path());
    let node = store.names().find("step/14", u32::MAX).expect("known");
    let reached = closure(&store.view(), &[node], Follow::all(Toward::Older));
    // Steps 14, 7, 0: two ways lead to none of them twice.
    assert_eq!(store.names().spent_by(&reached), Spent { tokens: 2 + 1, cost: 0, took_ms: 21 });
}

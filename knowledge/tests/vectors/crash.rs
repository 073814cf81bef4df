//! SIGKILL at any moment leaves a store that opens, and holds what it says.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
    thread,
    time::Duration,
};

use mesh_knowledge::vectors::{Embedded, Filter, Settings, VectorStore};

use crate::data::{Lots, found, id, model, put};

const FOLDER: &str = "MESH_VECTORS_CRASH_FOLDER";
/// How often the child is killed; more by this variable.
const CRASHES: &str = "MESH_VECTORS_CRASHES";

fn open(folder: &Path) -> Embedded {
    let settings =
        Settings { graph_min: 150, tail_max: 100, bits_min: 64, bits_dimensions_min: 1, ..Settings::default() };
    Embedded::open(folder, &model(16), settings).expect("a store that was killed opens")
}

fn vector(seq: u64) -> Vec<f32> {
    Lots(seq).vector(16)
}

/// What happens at a position: some chunks are written, and some of an earlier one deleted.
fn happens(seq: u64) -> (Vec<u64>, Vec<u64>) {
    (
        (0..3).map(|at| (seq * 3 + at) % 700).collect(),
        if seq.is_multiple_of(4) { vec![seq % 700, (seq * 7) % 700] } else { Vec::new() },
    )
}

fn tell(store: &Embedded, seq: u64) {
    let (written, deleted) = happens(seq);
    for number in written {
        put(store, number, &vector(seq * 1000 + number), &["a"], seq).expect("put");
    }
    store.delete(&deleted.into_iter().map(id).collect::<Vec<_>>(), seq).expect("a delete");
}

/// Which position last wrote each chunk.
fn expected(cursor: u64) -> BTreeMap<u64, u64> {
    let mut held = BTreeMap::new();
    for seq in 1..=cursor {
        let (written, deleted) = happens(seq);
        held.extend(written.iter().map(|number| (*number, seq)));
        held.retain(|number, _| written.contains(number) || !deleted.contains(number));
    }
    held
}

/// Not a test by itself: what is killed. It follows a journal without end, flushes and builds.
#[test]
fn the_child_of_the_crash_test() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = open(Path::new(&folder));
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                if !store.build(&AtomicBool::new(false)).expect("a build") {
                    thread::yield_now();
                }
            }
        });
        for seq in store.cursor() + 1.. {
            tell(&store, seq);
            if seq % 9 == 0 {
                store.flush().expect("a flush");
                println!("durable {}", store.cursor());
            }
        }
    });
}

#[test]
fn a_store_that_was_killed_opens_and_holds_exactly_what_its_cursor_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let crashes = std::env::var(CRASHES).ok().and_then(|count| count.parse().ok()).unwrap_or(6);
    let mut lots = Lots(std::process::id().into());
    for crash in 0..crashes {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "crash::the_child_of_the_crash_test", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut lines = BufReader::new(child.stdout.take().expect("what it says")).lines();
        let mut durable = 0;
        for _ in 0..lots.next() % 25 + 1 {
            let line =
                lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("durable ")?.parse().ok());
            durable = line.expect("it flushes");
        }
        thread::sleep(Duration::from_micros(lots.next() % 30_000));
        child.kill().expect("killed");
        child.wait().expect("dead");
        let store = open(folder.path());
        let (cursor, held) = (store.cursor(), expected(store.cursor()));
        assert!(cursor >= durable, "crash {crash}: {cursor} is what it holds, and {durable} was told to be durable");
        assert_eq!(store.count().expect("a count"), held.len(), "crash {crash} at {cursor}");
        for (number, seq) in held {
            let first = found(&store, &vector(seq * 1000 + number), 1, &Filter::default());
            assert_eq!(first, [id(number)], "crash {crash} at {cursor}: chunk {number} as {seq} wrote it");
        }
    }
}

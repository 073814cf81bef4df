//! What lies on disk is checked before it is believed.

use std::{fs, path::Path, sync::atomic::AtomicBool};

use mesh_knowledge::vectors::{Embedded, Error, Settings, VectorStore};

use crate::data::{Lots, model, put};

fn settings() -> Settings {
    Settings { graph_min: 100, tail_max: 100, bits_min: 64, bits_dimensions_min: 1, ..Settings::default() }
}

fn refused(folder: &Path, what: &str) {
    let error = Embedded::open(folder, &model(16), settings()).expect_err(what);
    assert!(error.wants_rebuild(), "{what}: {error}");
    assert!(error.to_string().contains("rebuild it from the journal"), "{error}");
}

#[test]
fn a_changed_or_cut_file_is_told_with_its_name_and_never_searched() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Embedded::open(folder.path(), &model(16), settings()).expect("a store");
    let mut lots = Lots(1);
    for number in 0..150 {
        put(&store, number, &lots.vector(16), &["a", if number % 70 == 0 { "b" } else { "c" }], number + 1)
            .expect("put");
    }
    assert!(store.build(&AtomicBool::new(false)).expect("a build"));
    put(&store, 500, &lots.vector(16), &["a"], 500).expect("put");
    store.flush().expect("a flush");
    drop(store);
    let files: Vec<_> =
        fs::read_dir(folder.path()).expect("files").map(|entry| entry.expect("a file").path()).collect();
    let files: Vec<_> = files.into_iter().filter(|path| !path.ends_with("LOCK")).collect();
    assert_eq!(files.len(), 3, "a head, a segment with a graph and one without: {files:?}");
    for path in files {
        let good = fs::read(&path).expect("a file");
        let ends = [0, 9, 17, 30, good.len() / 3, good.len() - 1];
        for at in ends.into_iter().chain((good.len().saturating_sub(4096)..good.len()).step_by(97)) {
            let mut bad = good.clone();
            *bad.get_mut(at).expect("a byte") ^= 0x20;
            fs::write(&path, &bad).expect("written");
            refused(folder.path(), &format!("{}: byte {at} of {}", path.display(), good.len()));
        }
        for len in [0, 5, 100, good.len() / 2, good.len() - 1] {
            fs::write(&path, good.get(..len).expect("a part")).expect("written");
            refused(folder.path(), &format!("{}: cut to {len}", path.display()));
        }
        fs::write(&path, &good).expect("written");
    }
    let store = Embedded::open(folder.path(), &model(16), settings()).expect("all is well again");
    assert_eq!(store.count().expect("a count"), 151);
    drop(store);
    let mut files = fs::read_dir(folder.path()).expect("files").map(|entry| entry.expect("a file").path());
    let segment = files.find(|path| path.to_string_lossy().ends_with(".segment"));
    fs::remove_file(segment.expect("a segment")).expect("gone");
    refused(folder.path(), "a segment that is gone");
    assert!(matches!(Embedded::open(folder.path(), &model(8), settings()), Err(Error::Model { .. })));
}

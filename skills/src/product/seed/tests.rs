//! Seeds of a tiny project.

use super::{keep::prune, *};

struct Tiny;

impl SeedProject for Tiny {
    fn digest(&self) -> Result<String, Failure> {
        Ok("tiny".into())
    }

    fn write(&self, into: &Path) -> Result<(), Failure> {
        fs::create_dir_all(into.join("src")).unwrap();
        fs::write(into.join("Cargo.toml"), "[package]\nname = \"tiny\"\nedition = \"2021\"\n[workspace]\n").unwrap();
        fs::write(into.join("Cargo.lock"), "version = 3\n\n[[package]]\nname = \"tiny\"\nversion = \"0.0.0\"\n")
            .unwrap();
        fs::write(into.join("src/main.rs"), "fn main() {}\n").unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn a_seed_is_made_once_and_read_only_and_everyone_gets_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let seeds =
        || Seeds::new(folder.path().to_owned(), Toolchain::of_this_process(), Arc::new(Tiny), Limits::default());
    // Two processes of one machine: the second waits for the first.
    let (one, two) = (seeds(), seeds());
    one.start_early();
    let log = LogWriter::silent();
    let (first, second) = tokio::join!(one.ensure(&log), two.ensure(&log));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first, second);
    let program = first.target().join("debug/tiny");
    assert!(fs::metadata(&program).unwrap().permissions().readonly());
    let made = fs::metadata(&program).unwrap().modified().unwrap();
    let third = seeds().ensure(&log).await.unwrap();
    assert_eq!(fs::metadata(third.target().join("debug/tiny")).unwrap().modified().unwrap(), made);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 3, "only the seed and its two locks: {left:?}");
}

/// A seed as another process left it, used last at this second.
fn old(root: &Path, digest: &str, used: u64) {
    fs::create_dir_all(root.join(digest).join("target")).unwrap();
    fs::write(root.join(digest).join("seed"), LAYOUT).unwrap();
    tree::make_read_only(&root.join(digest).join("target")).unwrap();
    let lock = File::create(root.join(format!("{digest}.lock"))).unwrap();
    lock.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(used)).unwrap();
}

#[tokio::test]
async fn old_seeds_are_removed_but_never_one_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (digest, used) in [("in-use", 1), ("oldest", 2), ("old", 3), ("newer", 4), ("newest", 5)] {
        old(root, digest, used);
    }
    fs::create_dir(root.join("old.new")).unwrap();
    let user = File::create(root.join("in-use.used")).unwrap();
    user.lock_shared().unwrap();
    let seeds = Seeds::new(root.to_owned(), Toolchain::of_this_process(), Arc::new(Tiny), Limits::default());
    let mine = seeds.ensure(&LogWriter::silent()).await.unwrap();
    let there = |digest: &str| root.join(digest).exists();
    assert!(done(&mine.folder) && there("in-use") && there("newer") && there("newest"));
    assert!(!there("oldest") && !there("old") && !there("old.new"));
    // What this process uses stays, however many others come.
    for (digest, used) in [("a", 1 << 40), ("b", 1 << 40), ("c", 1 << 40)] {
        old(root, digest, used);
    }
    prune(root).unwrap();
    assert!(done(&mine.folder) && there("in-use") && !there("newer"));
    drop((seeds, user));
    prune(root).unwrap();
    assert!(!there("in-use"), "nobody uses it any more");
}

#[tokio::test]
async fn a_copy_of_a_seed_compiles_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let toolchain = Toolchain::of_this_process();
    let seeds = Seeds::new(folder.path().join("seeds"), toolchain.clone(), Arc::new(Tiny), Limits::default());
    let log = LogWriter::silent();
    let seed = seeds.ensure(&log).await.unwrap();
    let build = folder.path().join("build");
    let cancelled = CancellationToken::new();
    tree::copy(&seed.folder, &build, &cancelled).unwrap();
    let (source, target, home) = (build.join("source"), build.join("target"), build.join("home"));
    let cargo =
        Cargo { toolchain: &toolchain, home: &home, source: &source, target: &target, limits: Limits::default() };
    let ran = cargo.must(&["build", "--offline", "--locked"], Reach::Nothing, &log, &cancelled).await.unwrap();
    assert_eq!(ran.compiled, 0);
}

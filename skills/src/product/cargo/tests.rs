//! Cargo for real, on a package of ten lines without dependencies.

use std::{fs, time::Duration};

use super::*;
use crate::contract::FailureClass;

struct Place {
    folder: tempfile::TempDir,
    toolchain: Toolchain,
}

impl Place {
    fn new(source: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("src")).unwrap();
        fs::write(
            folder.path().join("Cargo.toml"),
            "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
        )
        .unwrap();
        fs::write(
            folder.path().join("Cargo.lock"),
            "version = 3\n\n[[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\n",
        )
        .unwrap();
        fs::write(folder.path().join("src/main.rs"), source).unwrap();
        Self { folder, toolchain: Toolchain::of_this_process() }
    }

    async fn run(&self, args: &[&str]) -> Result<Ended, Failure> {
        let path = self.folder.path();
        let (home, target) = (path.join("home"), path.join("target"));
        let cargo = Cargo {
            toolchain: &self.toolchain,
            home: &home,
            source: path,
            target: &target,
            limits: Limits { time: Duration::from_secs(120), ..Limits::default() },
        };
        cargo.run(args, Reach::Nothing, &LogWriter::silent(), &CancellationToken::new()).await
    }
}

#[tokio::test]
async fn a_build_and_its_tests_are_read() {
    let place =
        Place::new("fn main() {}\n#[test] fn a_true_thing() {}\n#[test] fn a_false_thing() { panic!(\"not so\") }\n");
    let built = place.run(&["build", "--offline", "--locked"]).await.unwrap();
    assert!(built.success, "{}", built.errors);
    assert_eq!(built.ran.compiled, 1);
    let tested = place.run(&["test", "--offline", "--locked"]).await.unwrap();
    assert!(!tested.success);
    let tests = tested.ran.tests;
    assert_eq!((tests.passed, tests.failed), (1, 1));
    assert!(tests.broken[0].said.contains("not so"), "{tests:?}");
}

#[tokio::test]
async fn the_errors_of_a_broken_source_are_told() {
    let place = Place::new("fn main() { let x: u8 = \"text\"; }\n");
    let ended = place.run(&["build", "--offline", "--locked"]).await.unwrap();
    assert!(!ended.success);
    assert!(ended.errors.starts_with("error[E0308]"), "{}", ended.errors);
    assert!(ended.errors.contains("src/main.rs"), "{}", ended.errors);
}

#[test]
fn a_failure_knows_whose_fault_it_is() {
    for (errors, class) in [
        ("error[E0308]: mismatched types", FailureClass::Validation),
        ("error: failed to download `serde v1.0.0`", FailureClass::External),
        ("error: could not write: No space left on device (os error 28)", FailureClass::Resource),
        ("process didn't exit successfully: `rustc` (signal: 9, SIGKILL: kill)", FailureClass::Resource),
    ] {
        assert_eq!(failed("build", errors).class, class, "{errors}");
    }
}

//! Real git in a folder of its own.

use super::*;
use crate::contract::FailureClass;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn repository(&self) -> Repository {
        let at = |name: &str| self.folder.path().join(name);
        Repository::at(at("repository.git"), at("home"), Toolchain::of_this_process())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let files = self.folder.path().join("files");
        let path = files.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        files
    }
}

fn message(run: &str) -> Message<'_> {
    Message {
        subject: "helpdesk: first\nline",
        body: "made of a blueprint",
        trailers: vec![(OURS, run.to_owned()), ("Mesh-Trace-Id", "trace-1".to_owned())],
        at: Timestamp::from_unix_nanos(1_700_000_000_000_000_000),
    }
}

#[tokio::test]
async fn the_same_content_by_the_same_run_is_one_commit() {
    let place = Place::new();
    let repository = place.repository();
    place.write(".gitignore", "ignored\n");
    let files = place.write("ignored", "but rendered");
    let first = repository.commit(&files, &message("run-1")).await.unwrap();
    assert!(first.new);
    let again = repository.commit(&files, &message("run-1")).await.unwrap();
    assert_eq!(again, Committed { new: false, ..first.clone() });
    let head = repository.head().await.unwrap().unwrap();
    assert_eq!(head.commit, first.commit);
    assert_eq!(head.trailer("Mesh-Trace-Id"), Some("trace-1"));
    assert_eq!(repository.show("ignored").await.unwrap().as_deref(), Some("but rendered"));
    assert_eq!(repository.show("none").await.unwrap(), None);

    // Another run's ids stand in the history too, and changed content is the next commit.
    let other = repository.commit(&files, &message("run-2")).await.unwrap();
    assert!(other.new && other.tree == first.tree && other.commit != first.commit);
    place.write("more", "x");
    let next = repository.commit(&files, &message("run-2")).await.unwrap();
    assert!(next.new && next.tree != first.tree);
    let count = repository.git(&["rev-list", "--count", BRANCH], &[]).await.unwrap();
    assert_eq!(count, "3");
}

#[tokio::test]
async fn a_commit_that_is_not_ours_is_refused_with_its_reason() {
    let place = Place::new();
    let repository = place.repository();
    let files = place.write("a", "1");
    let ours = repository.commit(&files, &message("run-1")).await.unwrap();
    let foreign = Message { trailers: vec![], ..message("") };
    let id = repository.write_commit(&ours.tree, Some(&ours.commit), &foreign).await.unwrap();
    repository.git(&["update-ref", "refs/heads/main", &id], &[]).await.unwrap();
    let failure = repository.commit(&files, &message("run-1")).await.unwrap_err();
    assert_eq!((failure.class, failure.code.as_str()), (FailureClass::Validation, "repository.foreign-commit"));
    assert!(failure.message.contains(&id), "{failure}");
}

#[tokio::test]
async fn a_commit_is_checked_out_whole_and_a_stock_git_clones_it() {
    let place = Place::new();
    let repository = place.repository();
    let files = place.write("d/a.txt", "1");
    let commit = repository.commit(&files, &message("run-1")).await.unwrap().commit;
    let out = place.folder.path().join("out");
    fs::create_dir_all(out.join("stale")).unwrap();
    repository.check_out(&commit, &out).await.unwrap();
    assert_eq!(fs::read_to_string(out.join("d/a.txt")).unwrap(), "1");
    assert!(!out.join("stale").exists());
    for bad in ["main", "--all", &"0".repeat(40), ""] {
        let failure = repository.check_out(bad, &out).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Validation, "`{bad}`: {failure}");
    }
    let clone = place.folder.path().join("clone");
    let status = std::process::Command::new("git")
        .args(["clone", "--quiet"])
        .args([repository.path(), &clone])
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(fs::read_to_string(clone.join("d/a.txt")).unwrap(), "1");
    // Nothing of ours is left in the repository.
    let strays = fs::read_dir(repository.path()).unwrap().flatten();
    assert_eq!(strays.filter(|e| e.file_name().to_string_lossy().starts_with("mesh-")).count(), 0);
}

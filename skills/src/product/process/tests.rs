//! Real processes: a shell script stands in for a product.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use super::*;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn spec(&self, commit: &str, script: &str) -> WorkloadSpec {
        let program = self.folder.path().join(format!("product-{commit}"));
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        WorkloadSpec {
            name: "p".into(),
            program,
            args: vec![],
            folder: self.folder.path().to_owned(),
            env: [("GREETING".to_owned(), "hello".to_owned())].into(),
            state: self.state(),
            commit: commit.into(),
            ready_within: Duration::from_secs(10),
            memory_max: None,
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("run")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(process) = identity::holder_of(&Folder(&self.state()).lock_path()) {
            process.kill_group();
        }
    }
}

const READY: &str = "echo '{\"url\": \"http://127.0.0.1:1\"}'; exec sleep 600";

#[tokio::test]
async fn a_process_is_started_once_and_adopted_by_everyone_after() {
    let place = Place::new();
    let spec = place.spec("c1", READY);
    let first = ensure(&spec, None).await.unwrap();
    assert_eq!((first.url.as_str(), first.adopted), ("http://127.0.0.1:1", false));
    // Whoever comes later, with or without a record, finds the same process.
    let second = ensure(&spec, None).await.unwrap();
    assert_eq!((&second.process, second.adopted), (&first.process, true));
    assert!(matches!(spawn(&spec, None).await, Err(ProcessError::Running(_))), "a second one was started");
    fs::remove_file(place.state().join("process.json")).unwrap();
    let found = adopt(&place.state(), Duration::from_secs(10)).await.unwrap().unwrap();
    assert_eq!(found.process, first.process);
    stop(&first.process, Duration::from_secs(5)).await.unwrap();
    assert!(!is_same_process(&first.process));
    assert_eq!(adopt(&place.state(), Duration::from_secs(1)).await.unwrap(), None);
}

#[tokio::test]
async fn another_commit_replaces_the_process() {
    let place = Place::new();
    let first = ensure(&place.spec("c1", READY), None).await.unwrap();
    let second = ensure(&place.spec("c2", READY), None).await.unwrap();
    assert_ne!(first.process, second.process);
    assert!(!is_same_process(&first.process));
    stop_in(&place.state(), Duration::from_secs(5)).await.unwrap();
    assert!(!is_same_process(&second.process));
    stop_in(&place.state(), Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn one_that_dies_is_told_with_its_last_words() {
    let place = Place::new();
    let error = ensure(&place.spec("c1", "echo no database >&2; exit 3"), None).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no database") && text.contains('3'), "{text}");
    let mut mute = place.spec("c1", "echo waiting >&2; exec sleep 600");
    mute.ready_within = Duration::from_millis(300);
    let error = ensure(&mute, None).await.unwrap_err();
    assert!(matches!(&error, ProcessError::NotReady { tail, .. } if tail == "waiting"), "{error}");
    let left = adopt(&place.state(), Duration::from_secs(1)).await.unwrap();
    assert_eq!(left, None, "it was left running");
    let missing = WorkloadSpec { program: "/no/such/program".into(), ..mute };
    assert!(matches!(ensure(&missing, None).await, Err(ProcessError::Start { .. })));
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_with_its_children() {
    let place = Place::new();
    let script = "trap '' TERM; sleep 600 </dev/null & echo $! > child; echo '{\"url\":\"x\"}'; while :; do wait; done";
    let running = ensure(&place.spec("c1", script), None).await.unwrap();
    let child: u32 = fs::read_to_string(place.folder.path().join("child")).unwrap().trim().parse().unwrap();
    let child = ProcessId::of(child).unwrap();
    stop(&running.process, Duration::from_millis(100)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), child.ended()).await.unwrap();
    assert!(!is_same_process(&running.process) && !is_same_process(&child));
}

#[tokio::test]
async fn what_a_dead_process_left_behind_is_not_taken_for_it() {
    let place = Place::new();
    let script = "exec 3<&0; sleep 600 <&3 & echo $! > holds; sleep 600 & echo $! > talks; \
                  echo '{\"url\":\"x\"}'; exec 3<&-; wait";
    let running = ensure(&place.spec("c1", script), None).await.unwrap();
    let child = |name: &str| {
        let pid = fs::read_to_string(place.folder.path().join(name)).unwrap();
        ProcessId::of(pid.trim().parse().unwrap()).unwrap()
    };
    let children = [child("holds"), child("talks")];
    // The process alone dies; one child still holds the lock, the other its output.
    let pid = rustix::process::Pid::from_raw(i32::try_from(running.process.pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    running.process.ended().await;
    let again = ensure(&place.spec("c1", READY), None).await.unwrap();
    assert!(!again.adopted);
    for child in children {
        tokio::time::timeout(Duration::from_secs(10), child.ended()).await.unwrap();
    }
    stop_in(&place.state(), Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn it_sees_the_environment_of_its_spec_and_nothing_of_ours() {
    let place = Place::new();
    let script = format!("env > seen; {READY}");
    let mut spec = place.spec("c1", &script);
    spec.memory_max = Some(64 << 20);
    ensure(&spec, None).await.unwrap();
    let seen = fs::read_to_string(place.folder.path().join("seen")).unwrap();
    assert!(seen.contains("GREETING=hello"));
    assert!(!seen.contains("CARGO"), "{seen}");
    stop_in(&place.state(), Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn it_listens_where_it_did_before_unless_somebody_else_does() {
    let place = Place::new();
    let script = "echo \"{\\\"url\\\": \\\"http://$1\\\"}\"; exec sleep 600";
    let spec = WorkloadSpec { args: vec![ANY_PORT.into()], ..place.spec("c1", script) };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (before, expected) in [(None, 0), (Some(port), 0)] {
        let running = ensure(&spec, before).await.unwrap();
        assert_eq!(running.url, format!("http://127.0.0.1:{expected}"));
        stop_in(&place.state(), Duration::from_secs(5)).await.unwrap();
    }
    drop(taken);
    let running = ensure(&spec, Some(port)).await.unwrap();
    assert_eq!(running.url, format!("http://127.0.0.1:{port}"));
    // The same process is found by the same specification, wherever it listens.
    assert!(ensure(&spec, None).await.unwrap().adopted);
    stop_in(&place.state(), Duration::from_secs(5)).await.unwrap();
}

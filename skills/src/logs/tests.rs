//! Logs as their users see them.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::contract::testing::{Still, scope};

fn id(step: &str, attempt: u32) -> LogId {
    LogId { run: "run-1".into(), step: step.into(), item: None, attempt }
}

fn store(folder: &tempfile::TempDir) -> Arc<LogStore> {
    LogStore::open(folder.path(), Arc::new(Still)).unwrap()
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn a_tenant_never_reads_another_tenants_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    store.writer(&scope("a"), &id("build", 1)).unwrap().note("secret of a");
    assert_eq!(store.read(&scope("a"), &id("build", 1), 0, 1000).unwrap().lines.len(), 1);
    assert_eq!(store.read(&scope("b"), &id("build", 1), 0, 1000).unwrap().lines, []);
    assert_eq!(store.list(&scope("b"), "run-1").unwrap(), []);
    assert_eq!(store.list(&scope("b"), "../a/run-1").unwrap(), []);
}

#[test]
fn a_log_ends_at_its_bound_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let writer = store.writer(&scope("a"), &id("build", 1)).unwrap();
    let long = "x".repeat(2 * TEXT_BYTES_MAX);
    for _ in 0..300 {
        writer.note(&long);
    }
    let so_far = writer.so_far();
    assert!(so_far.truncated && so_far.bytes <= LOG_BYTES_MAX, "{so_far:?}");
    let mut from = 0;
    let mut last = String::new();
    loop {
        let page = store.read(&scope("a"), &id("build", 1), from, 100_000).unwrap();
        if let Some(line) = page.lines.last() {
            last.clone_from(&line.text);
        }
        from = page.next;
        if !page.more {
            break;
        }
    }
    assert_eq!(from, so_far.bytes);
    assert!(last.starts_with("the log was cut here"), "{last}");
    // An attempt that is asked for again after a crash does not get a second megabyte.
    drop(writer);
    let again = store.writer(&scope("a"), &id("build", 1)).unwrap();
    again.note("more");
    assert_eq!(again.so_far().bytes, so_far.bytes);
}

#[test]
fn a_line_that_a_crash_tore_swallows_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let writer = store.writer(&scope("a"), &id("build", 1)).unwrap();
    writer.note("whole");
    drop(writer);
    let path = folder.path().join("a/run-1/build/_-1.ndjson");
    let mut text = std::fs::read(&path).unwrap();
    text.extend_from_slice(b"{\"at\":\"2026-");
    std::fs::write(&path, &text).unwrap();
    store.writer(&scope("a"), &id("build", 1)).unwrap().note("after");
    let lines = store.read(&scope("a"), &id("build", 1), 0, 1000).unwrap().lines;
    let texts = texts(&lines);
    assert_eq!(texts.first(), Some(&"whole"));
    assert!(texts[1].contains("torn by a crash"), "{texts:?}");
    assert_eq!(texts.last(), Some(&"after"));
}

#[test]
fn a_terminal_is_not_steered_by_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let writer = store.writer(&scope("a"), &id("build", 1)).unwrap();
    writer.line(LineKind::Out, "\u{1b}[2Jred\nfake line\tok\r\n");
    let lines = store.read(&scope("a"), &id("build", 1), 0, 1000).unwrap().lines;
    assert_eq!(texts(&lines), ["\u{fffd}[2Jred\u{fffd}fake line\tok"]);
}

#[tokio::test]
async fn a_follower_sees_every_line_once_whether_it_was_there_or_comes() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let early = store.writer(&scope("a"), &id("first", 1)).unwrap();
    early.note("1");
    let mut follower = store.follow(&scope("a"), "run-1", None);
    let chunks = follower.next().await.unwrap();
    assert_eq!((chunks.len(), texts(&chunks[0].lines)), (1, vec!["1"]));
    assert_eq!(follower.poll().unwrap(), []);

    early.note("2");
    let late = store.writer(&scope("a"), &id("second", 1)).unwrap();
    late.progress("compiling", 3, 7);
    store.writer(&scope("b"), &id("first", 1)).unwrap().note("of another tenant");
    let chunks = follower.next().await.unwrap();
    assert_eq!(texts(&chunks[0].lines), ["2"]);
    assert_eq!(chunks[1].lines[0].progress, Some(Progress { done: 3, total: 7 }));

    // A follower that waits is woken by the next line and by nothing of another run.
    let waiting = mesh_kernel::task::spawn("follower", async move { follower.next().await });
    tokio::task::yield_now().await;
    late.note("done");
    let chunks = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap().unwrap();
    assert_eq!((chunks.len(), texts(&chunks[0].lines)), (1, vec!["done"]));
}

#[tokio::test]
async fn a_long_log_is_followed_to_its_end_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let writer = store.writer(&scope("a"), &id("long", 1)).unwrap();
    for number in 0..8000 {
        writer.note(format!("line {number:060}"));
    }
    let mut follower = store.follow(&scope("a"), "run-1", Some("long"));
    let mut seen = 0;
    while seen < 8000 {
        let chunks = tokio::time::timeout(Duration::from_secs(10), follower.next()).await.unwrap().unwrap();
        seen += chunks.iter().map(|chunk| chunk.lines.len()).sum::<usize>();
    }
    assert_eq!(seen, 8000);
    assert_eq!(store.follow(&scope("a"), "run-1", Some("other")).poll().unwrap(), []);
}

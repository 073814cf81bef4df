//! Flushes that fail, disks that are full, writes that are short, folders that are taken.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests, and what they share")]

mod support;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mesh_journal::{
    EmbeddedJournal, OpenError, Options,
    files::{AfterFailedFlush, SimFiles},
};
use mesh_kernel::ports::{AppendOutcome, Journal, JournalError, Snapshot};
use support::{Known, address, everything, open, open_with};

fn appended(outcome: &AppendOutcome) -> bool {
    matches!(outcome, AppendOutcome::Appended { .. })
}

fn unknown(outcome: &AppendOutcome) -> bool {
    matches!(outcome, AppendOutcome::Unknown { .. })
}

fn full(outcome: &AppendOutcome) -> bool {
    matches!(outcome, AppendOutcome::Full { .. })
}

#[tokio::test]
async fn a_failed_flush_acknowledges_nothing() {
    for after in [AfterFailedFlush::New, AfterFailedFlush::Old] {
        for seed in 0..40 {
            let context = format!("{after:?}, seed {seed}");
            let files = SimFiles::new();
            let journal = open(&files).unwrap();
            let mut known = Known { len: 900, ..Known::default() };
            let (one, two) = (address("one"), address("two"));
            assert!(appended(&known.append(journal.as_ref(), &one, 2).await));
            files.fail_flush(1, after, seed);
            let outcome = known.append(journal.as_ref(), &one, 3).await;
            assert!(unknown(&outcome), "{context}: {outcome:?}");
            // Whoever reads back finds it whole or absent, and what is found stays.
            known.check(journal.as_ref(), &context).await;
            assert_eq!(journal.health().read_only, None, "{context}");
            assert!(appended(&known.append(journal.as_ref(), &two, 1).await), "{context}");
            files.crash(seed);
            drop(journal);
            let journal = open(&files).unwrap_or_else(|error| panic!("{context}: {error}"));
            known.check(journal.as_ref(), &context).await;
        }
    }
}

#[tokio::test]
async fn a_disk_that_fails_every_flush_acknowledges_nothing_and_is_told() {
    for seed in 0..20 {
        let context = format!("seed {seed}");
        let files = SimFiles::new();
        let journal = open(&files).unwrap();
        let mut known = Known { len: 300, ..Known::default() };
        let (one, two) = (address("one"), address("two"));
        assert!(appended(&known.append(journal.as_ref(), &one, 1).await));
        files.fail_all_flushes(true);
        assert!(unknown(&known.append(journal.as_ref(), &one, 1).await), "{context}");
        assert!(journal.health().read_only.is_some(), "{context}: it does not say so");
        known.check(journal.as_ref(), &context).await;
        assert!(!appended(&known.append(journal.as_ref(), &two, 1).await), "{context}");
        files.fail_all_flushes(false);
        assert!(appended(&known.append(journal.as_ref(), &two, 1).await), "{context}");
        assert_eq!(journal.health().read_only, None, "{context}");
        files.crash(seed);
        drop(journal);
        let journal = open(&files).unwrap_or_else(|error| panic!("{context}: {error}"));
        known.check(journal.as_ref(), &context).await;
    }
}

#[tokio::test]
async fn a_tail_whose_flush_failed_is_written_again_before_it_is_served() {
    // The flush failed, the process died of it, and the page cache shows bytes that the disk lacks,
    // which the system believes to be clean. Once the next process has shown them, they must stay.
    for seed in 0..60 {
        let context = format!("seed {seed}");
        let files = SimFiles::new();
        let mut known = Known { len: 1500, ..Known::default() };
        let journal = open(&files).unwrap();
        let one = address("one");
        assert!(appended(&known.append(journal.as_ref(), &one, 1).await));
        files.fail_flush(1, AfterFailedFlush::New, seed);
        files.power_off_at(3);
        assert!(unknown(&known.append(journal.as_ref(), &one, 2).await), "{context}");
        files.kill();
        drop(journal);
        let journal = open(&files).unwrap_or_else(|error| panic!("{context}: {error}"));
        known.check(journal.as_ref(), &context).await;
        files.crash(seed + 1);
        drop(journal);
        let journal = open(&files).unwrap_or_else(|error| panic!("{context}: {error}"));
        known.check(journal.as_ref(), &context).await;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let files = SimFiles::new();
    files.set_capacity(Some(64 * 1024));
    let journal = open(&files).unwrap();
    let mut known = Known { len: 1000, ..Known::default() };
    let old = address("old");
    assert!(appended(&known.append(journal.as_ref(), &old, 1).await));
    // New work until it is refused.
    let mut fresh = 0;
    let refused = loop {
        let outcome = known.append(journal.as_ref(), &address(&format!("new-{fresh}")), 1).await;
        if !appended(&outcome) {
            break outcome;
        }
        fresh += 1;
        assert!(fresh < 1000, "64 KiB took 1,000 events of 1 KB");
    };
    let AppendOutcome::Full { reason, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("free some space"), "{reason}");
    assert!(journal.health().read_only.is_some());
    // What runs already goes on from the reserve, until that is used up too.
    let mut outcomes = 0;
    while appended(&known.append(journal.as_ref(), &old, 1).await) {
        outcomes += 1;
        assert!(outcomes < 1000, "the reserve has no end");
    }
    assert!(outcomes >= 3, "only {outcomes} outcomes fitted into the reserve");
    assert!(full(&known.append(journal.as_ref(), &old, 1).await));
    // Reads go on, and so does everything after a restart.
    known.check(journal.as_ref(), "full").await;
    journal.close().await;
    let journal = open(&files).unwrap();
    known.check(journal.as_ref(), "full, reopened").await;
    assert!(full(&known.append(journal.as_ref(), &address("too-new"), 1).await));
    // There is room again.
    files.set_capacity(Some(256 * 1024));
    assert!(appended(&known.append(journal.as_ref(), &address("too-new"), 1).await));
    assert!(appended(&known.append(journal.as_ref(), &old, 1).await));
    assert_eq!(journal.health().read_only, None);
    known.check(journal.as_ref(), "room again").await;
    files.crash(1);
    drop(journal);
    let journal = open(&files).unwrap();
    known.check(journal.as_ref(), "room again, after a crash").await;
}

#[tokio::test]
async fn an_append_that_no_segment_can_hold_is_refused() {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = Known { len: 7000, ..Known::default() };
    let outcome = known.append(journal.as_ref(), &address("one"), 1).await;
    let AppendOutcome::Full { reason, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(reason.contains("content store"), "{reason}");
    let refused = open_with(&SimFiles::new(), Options { append_bytes_max: 16 * 1024, ..Options::simulation() });
    assert!(matches!(refused, Err(OpenError::Option { option: "append_bytes_max", .. })));
}

#[tokio::test]
async fn short_writes_lose_nothing() {
    let files = SimFiles::new();
    files.short_writes(Some(2));
    let mut known = Known { len: 500, ..Known::default() };
    for round in 0..4 {
        let journal = open(&files).unwrap();
        for n in 0..10 {
            assert!(appended(&known.append(journal.as_ref(), &address(&format!("e-{n}")), 2).await));
        }
        files.crash(round);
        drop(journal);
        let journal = open(&files).unwrap();
        known.check(journal.as_ref(), "short writes").await;
        journal.close().await;
    }
}

#[tokio::test]
async fn a_bad_snapshot_costs_only_time() {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = Known { len: 10, ..Known::default() };
    let entities: Vec<_> = (0..5).map(|n| address(&format!("e-{n}"))).collect();
    let state = |n: usize| Bytes::from(vec![n as u8; 200]);
    for (n, entity) in entities.iter().enumerate() {
        known.append(journal.as_ref(), entity, 3).await;
        let bytes = state(n);
        journal.snapshot_put(entity, Snapshot { version: 3, bytes }).await;
    }
    journal.close().await;
    let name = "snap-0000000001.log";
    let len = files.contents(name).unwrap().len();
    let mut lost = 0;
    for at in (0..len).step_by(5) {
        let files = files.copy();
        files.flip(name, at, (at % 8) as u8);
        let journal = open(&files).unwrap();
        for (n, entity) in entities.iter().enumerate() {
            match journal.snapshot_get(entity).await {
                Some(found) => assert_eq!((found.version, found.bytes), (3, state(n)), "byte {at}"),
                None => lost += 1,
            }
        }
        known.clone().check(journal.as_ref(), "a bad snapshot").await;
        // The place is used again.
        let again = Snapshot { version: 3, bytes: state(0) };
        journal.snapshot_put(&entities[0], again.clone()).await;
        assert_eq!(journal.snapshot_get(&entities[0]).await, Some(again), "byte {at}");
    }
    assert!(lost > 0, "no damage was noticed");
}

#[tokio::test]
async fn a_second_opener_is_told_who_the_first_is() {
    let folder = tempfile::tempdir().unwrap();
    let first = EmbeddedJournal::open(folder.path(), Options::default()).unwrap();
    let refused = EmbeddedJournal::open(folder.path(), Options::default());
    let Err(OpenError::Locked { pid }) = refused else {
        panic!("a second opener was let in");
    };
    assert_eq!(pid, std::process::id().to_string());
    first.close().await;
    EmbeddedJournal::open(folder.path(), Options::default()).unwrap();
}

#[tokio::test]
async fn followers_that_lag_and_followers_that_keep_up_see_the_same() {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = Known { len: 300, ..Known::default() };
    let mut live = journal.follow(None, None).unwrap();
    let mut seen = Vec::new();
    for round in 0..60_u64 {
        known.append(journal.as_ref(), &address(&format!("e-{}", round % 7)), 1 + round % 3).await;
        seen.extend(live.next().await.unwrap().records);
    }
    let (read, _) = everything(journal.as_ref(), None).await;
    assert_eq!(seen, read);
    assert!(files.contents("seg-0000000002.log").is_some(), "only one segment was followed");
}

#[tokio::test]
async fn a_waiting_follower_is_told_when_the_journal_closes() {
    let journal = open(&SimFiles::new()).unwrap();
    let mut feed = journal.follow(None, None).unwrap();
    let closing: Arc<dyn Journal> = journal;
    let (told, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(10), feed.next()), closing.close());
    assert!(told.unwrap().is_err());
}

#[tokio::test]
async fn a_follower_never_sees_what_a_failed_flush_left_behind() {
    // The frame whose flush failed may lie whole in its segment; what counts is in the next one.
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = Known { len: 100, ..Known::default() };
    assert!(appended(&known.append(journal.as_ref(), &address("one"), 1).await));
    files.fail_all_flushes(true);
    assert!(unknown(&known.append(journal.as_ref(), &address("void"), 1).await));
    files.fail_all_flushes(false);
    assert!(appended(&known.append(journal.as_ref(), &address("two"), 1).await));
    let (fed, _) = everything(journal.as_ref(), None).await;
    let ids: Vec<&str> = fed.iter().map(|event| event.address.id()).collect();
    assert_eq!(ids, ["one", "two"]);
}

#[tokio::test]
async fn new_work_whose_flush_failed_is_not_written_anew_into_the_reserve() {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = Known { len: 100, ..Known::default() };
    assert!(appended(&known.append(journal.as_ref(), &address("old"), 1).await));
    files.set_capacity(Some(26 * 1024));
    files.fail_flush(1, AfterFailedFlush::New, 3);
    let outcome = known.append(journal.as_ref(), &address("new"), 1).await;
    assert!(full(&outcome), "{outcome:?}");
    known.check(journal.as_ref(), "refused").await;
    assert!(appended(&known.append(journal.as_ref(), &address("old"), 2).await));
    known.check(journal.as_ref(), "the reserve").await;
    journal.close().await;
    let journal = open(&files).unwrap();
    known.check(journal.as_ref(), "reopened").await;
}

#[tokio::test]
async fn a_cursor_from_ahead_of_a_restored_copy_is_refused() {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = Known { len: 100, ..Known::default() };
    known.append(journal.as_ref(), &address("one"), 1).await;
    journal.close().await;
    let copy = files.copy();
    let journal = open(&files).unwrap();
    known.append(journal.as_ref(), &address("one"), 1).await;
    let (_, ahead) = everything(journal.as_ref(), None).await;
    let restored = open(&copy).unwrap();
    assert!(matches!(restored.follow(None, Some(ahead)), Err(JournalError::BadCursor)));
}

//! The power goes at every operation of a short history, and during the recovery from that.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests, and what they share")]

mod support;

use mesh_journal::files::{Files, SimFiles};
use mesh_kernel::ports::{AppendOutcome, Journal, Recorded, Wake};
use support::{Known, address, everything, open};

/// Opens a store and fills more than one segment; stops when the power is gone.
async fn history(files: &SimFiles, known: &mut Known) {
    let Ok(journal) = open(files) else { return };
    for round in 0..5 {
        let crowd: Vec<_> = (0..4).map(|n| (address(&format!("e-{n}")), 1 + (round + n) % 3)).collect();
        let outcomes = known.append_all(journal.as_ref(), &crowd).await;
        if outcomes.iter().any(|outcome| matches!(outcome, AppendOutcome::Unknown { .. })) {
            return;
        }
        // Hints ride along, and change nothing that is checked.
        for (entity, _) in &crowd {
            journal.settle(entity, known.version(entity), Wake::Now);
        }
    }
    journal.close().await;
}

fn known() -> Known {
    Known { len: 700, ..Known::default() }
}

/// How many operations the history takes when nothing happens.
async fn operations() -> u64 {
    let files = SimFiles::new();
    history(&files, &mut known()).await;
    assert!(files.contents("seg-0000000002.log").is_some(), "the history has only one segment");
    files.operations()
}

#[tokio::test]
async fn an_unacknowledged_append_is_whole_or_absent() {
    for nth in 1..=operations().await + 5 {
        for seed in 0..6 {
            let context = format!("power off at {nth}, seed {seed}");
            let files = SimFiles::new();
            let mut known = known();
            files.power_off_at(nth);
            history(&files, &mut known).await;
            files.crash(seed);
            let journal = open(&files).unwrap_or_else(|error| panic!("{context}: {error}"));
            known.check(journal.as_ref(), &context).await;
            // And it goes on.
            let outcome = known.append(journal.as_ref(), &address("e-0"), 2).await;
            assert!(matches!(outcome, AppendOutcome::Appended { .. }), "{context}: {outcome:?}");
            known.check(journal.as_ref(), &context).await;
        }
    }
}

#[tokio::test]
async fn crash_before_write() {
    let files = SimFiles::new();
    let mut known = known();
    let journal = open(&files).unwrap();
    known.append(journal.as_ref(), &address("e-0"), 1).await;
    files.crash(1);
    let outcome = known.append(journal.as_ref(), &address("e-0"), 1).await;
    assert!(matches!(outcome, AppendOutcome::Unknown { .. }), "{outcome:?}");
    drop(journal);
    let journal = open(&files).unwrap();
    assert_eq!(journal.version(&address("e-0")).await.unwrap(), 1, "it never happened");
    known.check(journal.as_ref(), "before the write").await;
}

#[tokio::test]
async fn an_acknowledged_event_reaches_every_follower() {
    let files = SimFiles::new();
    let mut known = known();
    // Each follower keeps its cursor with what it made of the events, and dies with the node.
    let mut followers = vec![(None, Vec::new()); 3];
    for life in 0..12 {
        let journal = open(&files).unwrap();
        for n in 0..3 {
            known.append(journal.as_ref(), &address(&format!("e-{n}")), 1 + (life + n) % 3).await;
            if life % 3 == n {
                let (cursor, seen) = &mut followers[n as usize];
                let (records, next): (Vec<Recorded>, _) = everything(journal.as_ref(), cursor.take()).await;
                seen.extend(records);
                *cursor = Some(next);
            }
        }
        files.crash(life);
    }
    let journal = open(&files).unwrap();
    known.check(journal.as_ref(), "at the end").await;
    let (all, _) = everything(journal.as_ref(), None).await;
    for (cursor, mut seen) in followers {
        seen.extend(everything(journal.as_ref(), cursor).await.0);
        assert!(seen == all, "a follower saw {} of {} events", seen.len(), all.len());
    }
}

#[tokio::test]
async fn recovery_may_die_anywhere() {
    let all = operations().await;
    for nth in (1..=all).step_by(3) {
        let files = SimFiles::new();
        let mut known = known();
        files.power_off_at(nth);
        history(&files, &mut known).await;
        files.crash(nth);
        for during in 1..=12 {
            let context = format!("power off at {nth}, and at {during} of the recovery");
            let files = files.copy();
            let mut known = known.clone();
            files.power_off_at(during);
            if let Ok(journal) = open(&files) {
                drop(journal);
            }
            files.crash(during * 7);
            let journal = open(&files).unwrap_or_else(|error| panic!("{context}: {error}"));
            known.check(journal.as_ref(), &context).await;
        }
    }
}

#[tokio::test]
async fn what_a_killed_process_wrote_is_flushed_before_it_is_served() {
    // Written and not flushed when the process is killed: the page cache shows it to the next one.
    // If that one serves it, no later loss of power may take it away.
    for nth in 1..=operations().await {
        for seed in 0..3 {
            let context = format!("killed at {nth}, seed {seed}");
            let files = SimFiles::new();
            let mut known = known();
            files.power_off_at(nth);
            history(&files, &mut known).await;
            files.kill();
            let journal = open(&files).unwrap_or_else(|error| panic!("{context}: {error}"));
            known.check(journal.as_ref(), &context).await;
            files.crash(seed);
            drop(journal);
            let journal = open(&files).unwrap_or_else(|error| panic!("{context}: {error}"));
            known.check(journal.as_ref(), &context).await;
        }
    }
}

#[tokio::test]
async fn the_epoch_grows_with_every_start_however_the_last_one_ended() {
    let files = SimFiles::new();
    let shard = address("e-0").shard();
    let mut before = 0;
    for seed in 0..20 {
        let journal = open(&files).unwrap();
        let epoch = journal.epoch(shard).0;
        assert!(epoch > before, "epoch {epoch} after {before}");
        before = epoch;
        if seed % 2 == 0 {
            files.crash(seed);
        }
        drop(journal);
    }
}

#[tokio::test]
async fn nothing_lies_behind_the_end_after_a_recovery() {
    let files = SimFiles::new();
    let mut known = known();
    let journal = open(&files).unwrap();
    known.append(journal.as_ref(), &address("e-0"), 1).await;
    files.kill();
    drop(journal);
    let name = "seg-0000000001.log";
    let end = files.contents(name).unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1;
    // A batch that was torn by the last crash: its head is there, and some of its middle.
    let file = files.open(name).unwrap();
    for (at, len) in [(end as u64, 100), (end as u64 + 2000, 700)] {
        assert_eq!(file.pwrite(&vec![0x77; len], at).unwrap(), len);
    }
    let journal = open(&files).unwrap();
    known.check(journal.as_ref(), "a torn tail").await;
    let behind = &files.contents(name).unwrap()[end..];
    assert!(behind.iter().all(|byte| *byte == 0), "remains of a torn batch");
}

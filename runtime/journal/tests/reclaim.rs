//! Entities end, tenants end, and the disk gets its room back; whatever happens meanwhile.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests, and what they share")]

mod support;

use bytes::Bytes;
use mesh_journal::{
    OpenError,
    files::{Files, SimFiles},
};
use mesh_kernel::{
    envelope::{Address, TenantId, TenantScope},
    ports::{AppendOutcome, Journal, JournalError, Position, Reclaim, Reclaimed, Retire, Snapshot, Wake},
};
use support::{Known, address, everything, open, request};

const LEN: usize = 500;

fn known() -> Known {
    Known { len: LEN, ..Known::default() }
}

fn recorded(outcome: &AppendOutcome) -> bool {
    matches!(outcome, AppendOutcome::Appended { .. })
}

fn crowd(count: usize) -> Vec<Address> {
    (0..count).map(|n| address(&format!("e-{n}"))).collect()
}

async fn fill(journal: &dyn Journal, known: &mut Known, crowd: &[Address], rounds: u64) {
    for _ in 0..rounds {
        for entity in crowd {
            assert!(recorded(&known.append(journal, entity, 2).await));
        }
    }
}

async fn reclaim(journal: &dyn Journal) -> Result<Reclaimed, JournalError> {
    journal.reclaim(Reclaim { seen: journal.durable(), tombstones_before: Position(0) }).await
}

fn segments(files: &SimFiles) -> Vec<String> {
    files.list().unwrap().into_iter().filter(|name| name.starts_with("seg-")).collect()
}

#[tokio::test]
async fn what_nobody_needs_is_given_back_to_the_disk() {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = known();
    let crowd = crowd(20);
    fill(journal.as_ref(), &mut known, &crowd, 5).await;
    let before = journal.health().used_bytes;
    assert!(segments(&files).len() >= 5);
    // Nothing has ended: nothing is freed.
    assert_eq!(reclaim(journal.as_ref()).await.unwrap(), Reclaimed::default());
    for entity in &crowd[1..] {
        assert!(recorded(&known.retire(journal.as_ref(), entity).await));
    }
    // Nobody has seen anything: nothing is freed.
    assert_eq!(journal.reclaim(Reclaim::default()).await.unwrap(), Reclaimed::default());
    let freed = reclaim(journal.as_ref()).await.unwrap();
    let after = journal.health().used_bytes;
    assert_eq!(freed.bytes, before - after);
    assert!(after < before / 2, "{before} bytes before, {after} after");
    known.check(journal.as_ref(), "freed").await;
    assert!(recorded(&known.retire(journal.as_ref(), &crowd[0]).await));
    fill(journal.as_ref(), &mut known, &[address("last")], 20).await;
    reclaim(journal.as_ref()).await.unwrap();
    known.check(journal.as_ref(), "all of the crowd is gone").await;
    assert_eq!(journal.health().entities, 1);
    assert_eq!(journal.health().tombstones, 20);
    journal.close().await;
    for saved_index in [true, false] {
        let files = files.copy();
        if !saved_index {
            files.unlink("index.ckpt").unwrap();
        }
        let journal = open(&files).unwrap();
        known.check(journal.as_ref(), "reopened").await;
        let health = journal.health();
        assert_eq!((health.entities, health.tombstones), (1, 20), "saved index: {saved_index}");
    }
}

#[tokio::test]
async fn old_tombstones_are_forgotten_and_nothing_comes_back() {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = known();
    let crowd = crowd(12);
    fill(journal.as_ref(), &mut known, &crowd, 4).await;
    for entity in &crowd {
        assert!(recorded(&known.retire(journal.as_ref(), entity).await));
    }
    fill(journal.as_ref(), &mut known, &[address("live")], 60).await;
    let everything_old = Reclaim { seen: journal.durable(), tombstones_before: journal.durable() };
    let mut forgotten = 0;
    for _ in 0..3 {
        forgotten += journal.reclaim(everything_old).await.unwrap().tombstones;
    }
    assert_eq!(forgotten, 12);
    assert_eq!(journal.health().tombstones, 0);
    assert!(!segments(&files).contains(&"seg-0000000001.log".to_owned()), "an empty segment is left");
    // A name that nobody remembers is a new one, and lives a new life.
    let mut again = support::Known { len: LEN, ..Known::default() };
    assert!(recorded(&again.append(journal.as_ref(), &crowd[3], 1).await));
    journal.close().await;
    for saved_index in [true, false] {
        let files = files.copy();
        if !saved_index {
            files.unlink("index.ckpt").unwrap();
        }
        let journal = open(&files).unwrap();
        for (n, entity) in crowd.iter().enumerate() {
            let version = u64::from(n == 3);
            assert_eq!(journal.version(entity).await.unwrap(), version, "{entity}, saved index: {saved_index}");
            assert_eq!(journal.read(entity, 1).await.unwrap().len() as u64, version, "{entity}");
        }
        assert_eq!(journal.read(&address("live"), 1).await.unwrap().len(), 120);
        let all_old = Reclaim { seen: journal.durable(), tombstones_before: journal.durable() };
        journal.reclaim(all_old).await.unwrap();
        assert_eq!(journal.read(&crowd[3], 1).await.unwrap().len(), 1, "its second life was freed");
    }
}

fn globex() -> TenantScope {
    TenantScope::unproven(TenantId::parse("globex").unwrap())
}

/// Whether a file holds these bytes anywhere.
fn holds(files: &SimFiles, what: &str) -> Vec<String> {
    let has = |name: &String| {
        let bytes = files.contents(name).unwrap();
        bytes.windows(what.len()).any(|window| window == what.as_bytes())
    };
    files.list().unwrap().into_iter().filter(has).collect()
}

/// An erasure that dies anywhere is said again, and then nothing is left.
#[tokio::test]
async fn an_erasure_may_die_anywhere_and_be_said_again() {
    let theirs: Address = "globex/suite/thing/secret".parse().unwrap();
    for nth in 1..40 {
        let files = SimFiles::new();
        let mut known = known();
        let journal = open(&files).unwrap();
        fill(journal.as_ref(), &mut known, &crowd(3), 1).await;
        assert!(recorded(&journal.append(request(journal.as_ref(), &theirs, 0, 2, LEN)).await));
        files.power_off_at(nth);
        let _died = journal.erase(&globex()).await;
        let _died = journal.reclaim(Reclaim::default()).await;
        drop(journal);
        files.crash(nth);
        let journal = open(&files).unwrap();
        assert!(recorded(&journal.erase(&globex()).await), "{nth}");
        assert_eq!(journal.reclaim(Reclaim::default()).await.unwrap().erasing, 0, "{nth}");
        assert_eq!(holds(&files, "globex"), Vec::<String>::new(), "{nth}");
        known.check(journal.as_ref(), "erased").await;
    }
}

#[tokio::test]
async fn of_an_erased_tenant_no_byte_is_left() {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = known();
    let ours = crowd(6);
    let theirs: Address = "globex/suite/thing/secret".parse().unwrap();
    for round in 0..10 {
        fill(journal.as_ref(), &mut known, &ours, 1).await;
        assert!(recorded(&journal.append(request(journal.as_ref(), &theirs, round * 2, 2, LEN)).await));
        journal.settle(&theirs, round * 2 + 2, Wake::Now);
    }
    journal.snapshot_put(&theirs, Snapshot { version: 20, bytes: Bytes::from_static(b"globex's state") }).await;
    journal.snapshot_put(&ours[0], Snapshot { version: 20, bytes: Bytes::from_static(b"our state") }).await;
    // One of theirs was retired before.
    let gone: Address = "globex/suite/thing/gone".parse().unwrap();
    assert!(recorded(&journal.append(request(journal.as_ref(), &gone, 0, 1, LEN)).await));
    let epoch = journal.epoch(gone.shard());
    assert!(recorded(&journal.retire(Retire { address: gone, expected_version: 1, epoch }).await));
    assert!(holds(&files, "globex").len() > 2);
    assert!(recorded(&journal.erase(&globex()).await));
    // No follower has seen anything: what was erased is not for them to see.
    let freed = journal.reclaim(Reclaim::default()).await.unwrap();
    assert_eq!(freed.erasing, 0);
    assert!(freed.bytes > 0);
    assert_eq!(holds(&files, "globex"), Vec::<String>::new());
    known.check(journal.as_ref(), "erased").await;
    assert!(journal.snapshot_get(&ours[0]).await.is_some(), "a neighbour's snapshot went too");
    let outcome = journal.append(request(journal.as_ref(), &theirs, 0, 1, LEN)).await;
    assert_eq!(outcome, AppendOutcome::Retired);
    journal.close().await;
    for saved_index in [true, false] {
        let files = files.copy();
        if !saved_index {
            files.unlink("index.ckpt").unwrap();
        }
        let journal = open(&files).unwrap();
        known.check(journal.as_ref(), "erased, reopened").await;
        let outcome = journal.append(request(journal.as_ref(), &theirs, 0, 1, LEN)).await;
        assert_eq!(outcome, AppendOutcome::Retired, "saved index: {saved_index}");
        assert_eq!(journal.reclaim(Reclaim::default()).await.unwrap(), Reclaimed::default(), "it is clean already");
    }
}

#[tokio::test]
async fn a_follower_in_the_middle_of_what_is_freed_is_told_and_one_behind_it_goes_on() {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = known();
    let crowd = crowd(20);
    fill(journal.as_ref(), &mut known, &crowd, 2).await;
    let mut middle = journal.follow(None, None).unwrap();
    let cursor = middle.next().await.unwrap().cursor;
    let (_, behind) = everything(journal.as_ref(), None).await;
    fill(journal.as_ref(), &mut known, &crowd, 4).await;
    for entity in &crowd {
        known.retire(journal.as_ref(), entity).await;
    }
    fill(journal.as_ref(), &mut known, &[address("live")], 10).await;
    assert!(journal.follow(None, Some(cursor.clone())).is_ok());
    reclaim(journal.as_ref()).await.unwrap();
    assert!(matches!(middle.next().await, Err(JournalError::Freed)), "a feed that was open");
    for from in [cursor, behind] {
        assert!(matches!(journal.follow(None, Some(from)), Err(JournalError::Freed)));
    }
    // A new one sees what is left, and is told nothing when it goes on after a restart.
    let (all, end) = everything(journal.as_ref(), None).await;
    assert!(all.iter().any(|record| record.address.id() == "live"));
    journal.close().await;
    let journal = open(&files).unwrap();
    assert!(everything(journal.as_ref(), Some(end)).await.0.is_empty());
}

/// Segments with a few living records in each, beside the dead.
async fn sparse_store() -> (SimFiles, Known) {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = known();
    let crowd = crowd(20);
    fill(journal.as_ref(), &mut known, &crowd, 4).await;
    for entity in &crowd[4..] {
        assert!(recorded(&known.retire(journal.as_ref(), entity).await));
    }
    fill(journal.as_ref(), &mut known, &crowd[..2], 2).await;
    assert!(reclaim(journal.as_ref()).await.unwrap().bytes > 0);
    journal.close().await;
    (files, known)
}

#[tokio::test]
async fn a_sparse_segment_is_followed_from_every_place_in_it() {
    let (files, mut known) = sparse_store().await;
    let journal = open(&files).unwrap();
    known.check(journal.as_ref(), "sparse").await;
    let (all, _) = everything(journal.as_ref(), None).await;
    let mut cursor = None;
    let mut seen = Vec::new();
    loop {
        let mut feed = journal.follow(None, cursor.take()).unwrap();
        let followed = feed.poll().await.unwrap();
        if followed.records.is_empty() {
            break;
        }
        // Freed again behind it: it has seen that.
        seen.extend(followed.records);
        cursor = Some(followed.cursor);
    }
    assert_eq!(seen, all);
    let found = journal.verify().await.unwrap();
    assert_eq!(found.events, all.len() as u64);
}

#[tokio::test]
async fn a_segment_is_freed_again_when_more_of_it_has_ended() {
    let (files, mut known) = sparse_store().await;
    let journal = open(&files).unwrap();
    let before = journal.health().used_bytes;
    let survivors: Vec<Address> = known.acknowledged.keys().cloned().collect();
    assert_eq!(survivors.len(), 4);
    for entity in &survivors[1..] {
        assert!(recorded(&known.retire(journal.as_ref(), entity).await));
    }
    reclaim(journal.as_ref()).await.unwrap();
    assert!(journal.health().used_bytes < before);
    known.check(journal.as_ref(), "freed again").await;
    journal.close().await;
    files.unlink("index.ckpt").ok();
    known.check(open(&files).unwrap().as_ref(), "freed again, the whole log read").await;
}

#[tokio::test]
async fn a_flipped_byte_in_a_sparse_segment_is_told() {
    let (files, known) = sparse_store().await;
    files.unlink("index.ckpt").ok();
    let mut told = 0;
    for name in segments(&files) {
        let contents = files.contents(&name).unwrap();
        if contents[52] != 1 {
            continue;
        }
        for at in (0..120).chain((4096..contents.len()).step_by(7)) {
            let files = files.copy();
            assert!(files.flip(&name, at, (at % 8) as u8));
            match open(&files) {
                Err(OpenError::Journal(JournalError::Damaged { file, .. })) => {
                    assert_eq!(file, name, "byte {at}");
                    told += 1;
                }
                Err(OpenError::Format { .. }) => told += 1,
                Err(error) => panic!("byte {at} of {name}: {error}"),
                Ok(_) => panic!("byte {at} of {name} went unseen"),
            }
        }
        let files = files.copy();
        assert!(files.truncate(&name, contents.len() - 1));
        assert!(open(&files).is_err(), "{name} was cut, and nothing told");
    }
    assert!(told > 300, "{told} were told");
    known.clone().check(open(&files).unwrap().as_ref(), "undamaged").await;
}

/// A history with ends in it; stops when the power is gone.
async fn history(files: &SimFiles, known: &mut Known) -> bool {
    let Ok(journal) = open(files) else { return false };
    let journal = journal.as_ref();
    let crowd = crowd(8);
    for round in 0..3 {
        for entity in &crowd {
            let outcome = known.append(journal, entity, 2).await;
            if !recorded(&outcome) {
                return false;
            }
        }
        for n in [round * 2, round * 2 + 1] {
            if !recorded(&known.retire(journal, &crowd[n]).await) {
                return false;
            }
        }
        let marks = Reclaim { seen: journal.durable(), tombstones_before: Position(0) };
        if journal.reclaim(marks).await.is_err() {
            return false;
        }
        for n in [round * 2, round * 2 + 1] {
            assert_eq!(journal.append(request(journal, &crowd[n], 0, 1, LEN)).await, AppendOutcome::Retired);
        }
        if round == 1 {
            // Those that ended are asked again: they answer as before.
            assert_eq!(known.retire(journal, &crowd[0]).await, AppendOutcome::Retired);
        }
        if round < 2 {
            let alive: Vec<Address> = crowd[round * 2 + 2..].to_vec();
            for entity in &alive {
                if !recorded(&known.append(journal, entity, 1).await) {
                    return false;
                }
            }
        }
    }
    journal.close().await;
    true
}

#[tokio::test]
async fn what_ended_stays_ended_and_what_lives_lives_wherever_the_power_goes() {
    let all = {
        let files = SimFiles::new();
        let mut known = known();
        history(&files, &mut known).await;
        assert!(segments(&files).len() >= 2);
        files.operations()
    };
    for nth in 1..=all + 3 {
        for seed in 0..3 {
            let context = format!("power off at {nth} of {all}, seed {seed}");
            let files = SimFiles::new();
            let mut known = known();
            files.power_off_at(nth);
            history(&files, &mut known).await;
            files.crash(seed);
            if seed == 2 {
                files.unlink("index.ckpt").ok();
            }
            let journal = open(&files).unwrap_or_else(|error| panic!("{context}: {error}"));
            known.check(journal.as_ref(), &context).await;
            reclaim(journal.as_ref()).await.unwrap_or_else(|error| panic!("{context}: {error}"));
            known.check(journal.as_ref(), &context).await;
            drop(journal);
            let journal = open(&files).unwrap_or_else(|error| panic!("{context}: {error}"));
            known.check(journal.as_ref(), &context).await;
        }
    }
}

//! Backups of a store in use: what was acknowledged is in them, what is damaged is told.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests, and what they share")]

mod support;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::future::join_all;
use mesh_journal::{
    BackupError, EmbeddedJournal, FolderStore, Options,
    files::{Files, SimFiles},
    restore, restore_on,
};
use mesh_kernel::{
    envelope::{TenantId, TenantScope},
    ports::{AppendOutcome, ContentError, ContentStore, Digest, Journal, Position, Reclaim},
};
use support::{Known, address, everything, open, request};

fn scope(tenant: &str) -> TenantScope {
    TenantScope::unproven(TenantId::parse(tenant).unwrap())
}

fn small() -> Options {
    Options { segment_bytes: 64 * 1024, first_segment_bytes: 32 * 1024, ..Options::simulation() }
}

fn bodies_in(path: &Path) -> FolderStore {
    FolderStore::open(&path.join("content"), 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_all_that_was_acknowledged_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let journal = EmbeddedJournal::open(&path.join("journal"), small()).unwrap();
    let bodies = bodies_in(path);
    let body = Bytes::from(vec![7; 300_000]);
    let digest = bodies.put(&scope("acme"), body.clone()).await.unwrap();
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let acknowledged: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
    let writers = join_all((0..8).map(|n| {
        let (journal, stop, written, own) = (&journal, &stop, &written, &acknowledged[n]);
        async move {
            let entity = address(&format!("e-{n}"));
            while !stop.load(Ordering::Relaxed) {
                let after = own.load(Ordering::Relaxed);
                let outcome = journal.append(request(journal.as_ref(), &entity, after, 1, 400)).await;
                assert!(matches!(outcome, AppendOutcome::Appended { .. }), "{outcome:?}");
                own.store(after + 1, Ordering::Relaxed);
                written.fetch_add(1, Ordering::Relaxed);
            }
        }
    }));
    let backing_up = async {
        while written.load(Ordering::Relaxed) < 500 {
            tokio::task::yield_now().await;
        }
        let before: Vec<u64> = acknowledged.iter().map(|own| own.load(Ordering::Relaxed)).collect();
        let said = Arc::new(AtomicU64::new(0));
        let heard = said.clone();
        let copied = journal
            .backup(&bodies, &path.join("backup"), move |progress| heard.store(progress.bytes, Ordering::Relaxed))
            .await
            .unwrap();
        let during = written.load(Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        assert!(said.load(Ordering::Relaxed) > 300_000);
        assert!(during > 500, "nothing was written meanwhile");
        (before, copied)
    };
    let (_, (before, copied)) = tokio::join!(writers, backing_up);
    let epoch = journal.epoch(address("e-0").shard());
    journal.close().await;
    let restored = restore(&path.join("backup"), &path.join("j2"), &path.join("c2"), |_| {}).unwrap();
    assert_eq!(restored, copied);
    let journal = EmbeddedJournal::open(&path.join("j2"), small()).unwrap();
    for (n, before) in before.into_iter().enumerate() {
        let found = journal.version(&address(&format!("e-{n}"))).await.unwrap();
        let last = acknowledged[n].load(Ordering::Relaxed);
        assert!((before..=last).contains(&found), "{found} events, {before} acknowledged before and {last} after");
    }
    assert!(journal.epoch(address("e-0").shard()).0 > epoch.0 + 1000, "an epoch of the copy that lives on");
    support::check_order(&everything(journal.as_ref(), None).await.0, "restored");
    let restored = FolderStore::open(&path.join("c2"), 0);
    assert_eq!(restored.get(&scope("acme"), digest).await.unwrap(), body);
    assert!(matches!(restored.get(&scope("globex"), digest).await, Err(ContentError::NotFound(_))));
    // And it goes on.
    let outcome = journal.append(request(journal.as_ref(), &address("new"), 0, 1, 10)).await;
    assert!(matches!(outcome, AppendOutcome::Appended { .. }), "{outcome:?}");
}

/// A closed store with a sparse segment, and a backup of it.
async fn backed_up() -> (SimFiles, Known) {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = Known { len: 500, ..Known::default() };
    let crowd: Vec<_> = (0..12).map(|n| address(&format!("e-{n}"))).collect();
    for _ in 0..4 {
        for entity in &crowd {
            known.append(journal.as_ref(), entity, 2).await;
        }
    }
    for entity in &crowd[2..] {
        known.retire(journal.as_ref(), entity).await;
    }
    known.append(journal.as_ref(), &crowd[0], 3).await;
    journal.reclaim(Reclaim { seen: journal.durable(), tombstones_before: Position(0) }).await.unwrap();
    let bodies = sim_bodies();
    bodies.put(&scope("acme"), Bytes::from(vec![1; 100_000])).await.unwrap();
    bodies.put(&scope("globex"), Bytes::from_static(b"theirs")).await.unwrap();
    let backup = SimFiles::new();
    let copied = journal.backup_on(&bodies, Arc::new(backup.clone()), |_| {}).await.unwrap();
    assert_eq!(copied.durable, journal.durable());
    assert!(copied.files >= 5, "{copied:?}");
    (backup, known)
}

fn sim_bodies() -> FolderStore {
    FolderStore::open_on(|_| Ok(Arc::new(SimFiles::new()) as Arc<dyn Files>), 0)
}

#[tokio::test]
async fn a_restored_store_says_what_the_backup_said() {
    let (backup, mut known) = backed_up().await;
    let (files, bodies) = (SimFiles::new(), sim_bodies());
    restore_on(&backup, Arc::new(files.clone()), &bodies, |_| {}).unwrap();
    let journal = open(&files).unwrap();
    known.check(journal.as_ref(), "restored").await;
    let digest = Digest::of(b"theirs");
    assert_eq!(bodies.get(&scope("globex"), digest).await.unwrap(), "theirs");
    assert!(matches!(bodies.get(&scope("acme"), digest).await, Err(ContentError::NotFound(_))));
}

#[tokio::test]
async fn a_flipped_byte_in_a_backup_is_refused_with_file_and_offset() {
    let (backup, _) = backed_up().await;
    for name in backup.list().unwrap() {
        let len = backup.contents(&name).unwrap().len();
        for at in (0..len).step_by(1 + len / 40).chain([len - 1]) {
            let damaged = backup.copy();
            assert!(damaged.flip(&name, at, (at % 8) as u8));
            match restore_on(&damaged, Arc::new(SimFiles::new()), &sim_bodies(), |_| {}) {
                Err(BackupError::Damaged { file, offset, .. }) => {
                    assert_eq!(file, name, "byte {at}");
                    assert!(offset <= at as u64 && (at as u64) < offset + 65_536, "byte {at} was told at {offset}");
                }
                Err(BackupError::Format { .. }) => assert!(name == "manifest", "byte {at} of {name}"),
                other => panic!("byte {at} of {name}: {other:?}"),
            }
        }
        let cut = backup.copy();
        assert!(cut.truncate(&name, len - 1));
        let refused = restore_on(&cut, Arc::new(SimFiles::new()), &sim_bodies(), |_| {});
        assert!(matches!(&refused, Err(BackupError::Damaged { file, .. }) if *file == name), "{name}: {refused:?}");
        let gone = backup.copy();
        gone.unlink(&name).unwrap();
        let refused = restore_on(&gone, Arc::new(SimFiles::new()), &sim_bodies(), |_| {});
        let told = match &refused {
            Err(BackupError::Incomplete) => name == "manifest",
            Err(BackupError::Damaged { file, .. }) => *file == name,
            _ => false,
        };
        assert!(told, "{name} is missing: {refused:?}");
    }
}

#[tokio::test]
async fn an_interrupted_backup_is_none_and_an_interrupted_restore_is_no_store() {
    let files = SimFiles::new();
    let journal = open(&files).unwrap();
    let mut known = Known { len: 500, ..Known::default() };
    for n in 0..30 {
        known.append(journal.as_ref(), &address(&format!("e-{n}")), 2).await;
    }
    let bodies = sim_bodies();
    bodies.put(&scope("acme"), Bytes::from_static(b"a body")).await.unwrap();
    let whole = SimFiles::new();
    journal.backup_on(&bodies, Arc::new(whole.clone()), |_| {}).await.unwrap();
    for nth in 1..=whole.operations() {
        for seed in 0..3 {
            let backup = SimFiles::new();
            backup.power_off_at(nth);
            let taken = journal.backup_on(&bodies, Arc::new(backup.clone()), |_| {}).await;
            backup.crash(seed);
            let restored = SimFiles::new();
            match restore_on(&backup, Arc::new(restored.clone()), &sim_bodies(), |_| {}) {
                // The manifest may be there although nobody was told so; then everything is.
                Ok(_) => known.clone().check(open(&restored).unwrap().as_ref(), "a whole backup").await,
                Err(BackupError::Incomplete) => assert!(taken.is_err(), "power off at {nth}, seed {seed}"),
                Err(other) => panic!("power off at {nth}, seed {seed}: {other}"),
            }
        }
    }
    let all = {
        let restored = SimFiles::new();
        restore_on(&whole, Arc::new(restored.clone()), &sim_bodies(), |_| {}).unwrap();
        restored.operations()
    };
    for nth in 1..all {
        let restored = SimFiles::new();
        restored.power_off_at(nth);
        let done = restore_on(&whole, Arc::new(restored.clone()), &sim_bodies(), |_| {});
        restored.crash(nth);
        match open(&restored) {
            Ok(journal) if journal.health().entities > 0 => {
                known.clone().check(journal.as_ref(), &format!("restored, power off at {nth}")).await;
            }
            // Nothing was there yet: a new store.
            Ok(journal) => assert!(done.is_err() && journal.health().entities == 0, "power off at {nth}"),
            Err(_) => assert!(done.is_err(), "power off at {nth}: said to be restored, and does not open"),
        }
    }
}

#[tokio::test]
async fn a_folder_with_files_in_it_is_no_place_for_a_backup() {
    let (backup, _) = backed_up().await;
    let journal = open(&SimFiles::new()).unwrap();
    let refused = journal.backup_on(&sim_bodies(), Arc::new(backup.clone()), |_| {}).await;
    assert!(matches!(refused, Err(BackupError::NotEmpty { .. })), "{refused:?}");
    let refused = restore_on(&backup, Arc::new(backup.copy()), &sim_bodies(), |_| {});
    assert!(matches!(refused, Err(BackupError::NotEmpty { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_body_that_a_backup_needs_stays_until_it_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&SimFiles::new()).unwrap();
    let bodies = bodies_in(folder.path());
    let acme = scope("acme");
    let digest = bodies.put(&acme, Bytes::from_static(b"a body")).await.unwrap();
    let backup = SimFiles::new();
    let (copied, removed) =
        tokio::join!(journal.backup_on(&bodies, Arc::new(backup.clone()), |_| {}), bodies.remove(&acme, digest));
    removed.unwrap();
    copied.unwrap();
    assert!(backup.list().unwrap().iter().any(|name| name.ends_with(".body")));
    assert!(matches!(bodies.get(&acme, digest).await, Err(ContentError::NotFound(_))));
}

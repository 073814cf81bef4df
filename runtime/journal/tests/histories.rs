//! Short histories, each with one fault, many of them.
//!
//! A script of a few steps (appends alone and together, ends of entities and of a tenant, room
//! reclaimed, hints, snapshots, a reopen) is run once as it is, and then once for each fault: the
//! power going at each file operation, with what was not flushed kept, lost or torn; each flush
//! failing in both ways; the disk being full at each of many sizes; a bit flipped anywhere in what it left;
//! the power going at each operation of a backup of it. After each one, everything that was
//! acknowledged is there, nothing that ended has come back, and it goes on; or damage is told.
//!
//! `cargo test` runs some. `MESH_HISTORIES=100000 cargo test -p mesh-journal --test histories` runs
//! that many, and says how many there were of each.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests, and what they share")]

mod support;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use bytes::Bytes;
use mesh_journal::{
    BackupError, FolderStore, OpenError,
    files::{AfterFailedFlush, Files, SimFiles},
    restore_on,
};
use mesh_kernel::{
    envelope::Address,
    ports::{AppendOutcome, Journal, JournalError, Reclaim, Snapshot, Wake},
};
use support::{Known, address, open};

/// Without a number asked for.
const SOME: u64 = 2_500;
const LEN: usize = 600;

/// SplitMix64: the scripts are the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Append { entity: u64, count: u64 },
    Together { count: u64 },
    Retire { entity: u64 },
    Erase,
    Reclaim { forget: bool },
    Settle { entity: u64 },
    Snapshot { entity: u64 },
    Reopen,
}

fn script(seed: u64) -> Vec<Step> {
    let mut chance = Chance(seed);
    let mut steps = vec![Step::Together { count: 2 }];
    for _ in 0..10 {
        let entity = chance.below(6);
        steps.push(match chance.below(16) {
            0..=2 => Step::Append { entity, count: 1 + chance.below(4) },
            3..=5 => Step::Together { count: 1 + chance.below(3) },
            6..=8 => Step::Retire { entity },
            9 => Step::Erase,
            10..=12 => Step::Reclaim { forget: chance.below(3) == 0 },
            13 => Step::Settle { entity },
            14 => Step::Snapshot { entity },
            _ => Step::Reopen,
        });
    }
    steps.push(Step::Reclaim { forget: false });
    steps
}

/// The last one is another tenant's.
fn entity(n: u64) -> Address {
    if n == 5 { "globex/suite/thing/theirs".parse().unwrap() } else { address(&format!("e-{n}")) }
}

/// Runs a script. With `stops`, it ends at the first answer that nothing is known.
async fn run(files: &SimFiles, steps: &[Step], known: &mut Known, stops: bool) {
    let Ok(mut journal) = open(files) else { return };
    for step in steps {
        let mut outcomes = Vec::new();
        match *step {
            Step::Append { entity: n, count } if !is_over(known, n) => {
                outcomes.push(known.append(journal.as_ref(), &entity(n), count).await);
            }
            Step::Together { count } => {
                let living = (0..6).filter(|n| !is_over(known, *n));
                let all: Vec<_> = living.map(|n| (entity(n), 1 + (n + count) % 3)).collect();
                outcomes = known.append_all(journal.as_ref(), &all).await;
            }
            Step::Retire { entity: n } if !is_over(known, n) => {
                outcomes.push(known.retire(journal.as_ref(), &entity(n)).await);
            }
            Step::Erase => outcomes.push(known.erase(journal.as_ref(), "globex").await),
            Step::Reclaim { forget } => {
                let seen = journal.durable();
                // Forgotten names are not used again in these scripts.
                let tombstones_before = if forget { seen } else { Default::default() };
                let reclaimed = journal.reclaim(Reclaim { seen, tombstones_before }).await;
                if stops && reclaimed.is_err() {
                    return;
                }
            }
            Step::Settle { entity: n } => journal.settle(&entity(n), known.version(&entity(n)), Wake::Now),
            Step::Snapshot { entity: n } => {
                let version = known.version(&entity(n));
                journal.snapshot_put(&entity(n), Snapshot { version, bytes: Bytes::from_static(b"state") }).await;
            }
            Step::Reopen => {
                journal.close().await;
                drop(journal);
                match open(files) {
                    Ok(opened) => journal = opened,
                    Err(_) => return,
                }
            }
            Step::Append { .. } | Step::Retire { .. } => {}
        }
        if stops && outcomes.iter().any(|outcome| matches!(outcome, AppendOutcome::Unknown { .. })) {
            return;
        }
    }
    journal.close().await;
}

fn is_over(known: &Known, n: u64) -> bool {
    known.ended.contains(&entity(n)) || known.ending.contains(&entity(n))
}

fn known() -> Known {
    Known { len: LEN, ..Known::default() }
}

/// It opens, says what it must, and goes on.
async fn must_be_right(files: &SimFiles, mut known: Known, context: &str) {
    let journal = open(files).unwrap_or_else(|error| panic!("{context}: {error}"));
    known.check(journal.as_ref(), context).await;
    let outcome = known.append(journal.as_ref(), &address("fresh"), 1).await;
    assert!(matches!(outcome, AppendOutcome::Appended { .. }), "{context}: {outcome:?}");
    let seen = journal.durable();
    let reclaimed = journal.reclaim(Reclaim { seen, ..Reclaim::default() }).await;
    reclaimed.unwrap_or_else(|error| panic!("{context}: {error}"));
    known.check(journal.as_ref(), context).await;
}

/// How many histories there are to be, and how many there were of each sort.
struct Budget {
    left: AtomicU64,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    next_seed: AtomicU64,
}

impl Budget {
    fn take(&self, sort: &'static str) -> bool {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if taken {
            *self.counts.lock().unwrap().entry(sort).or_default() += 1;
        }
        taken
    }
}

async fn all_faults_of(seed: u64, budget: &Budget) {
    let steps = script(seed);
    let files = SimFiles::new();
    let mut calm = known();
    run(&files, &steps, &mut calm, false).await;
    let name = |fault: &str| format!("script {seed}, {fault}; {steps:?}");
    for nth in 1..=files.operations() + 2 {
        if !budget.take("power cuts") {
            return;
        }
        power_cut(&steps, nth, seed ^ nth, &name(&format!("power off at {nth}"))).await;
    }
    for nth in 1..=files.flushes() {
        for after in [AfterFailedFlush::New, AfterFailedFlush::Old] {
            if !budget.take("failed flushes") {
                return;
            }
            failed_flush(&steps, nth, after, seed, &name(&format!("flush {nth} fails, {after:?}"))).await;
        }
    }
    let used: u64 = files.list().unwrap().iter().map(|name| files.contents(name).unwrap().len() as u64).sum();
    for capacity in (0..24).map(|n| used * (n + 1) / 24 + n * 37) {
        if !budget.take("full disks") {
            return;
        }
        full_disk(&steps, capacity, &name(&format!("a disk of {capacity} bytes"))).await;
    }
    for n in 0..40 {
        if !budget.take("flipped bits") {
            return;
        }
        flipped_bit(&files, &calm, &mut Chance(seed * 1000 + n), &name("a flipped bit")).await;
    }
    backups(&files, &calm, seed, budget, &name("backup")).await;
}

async fn power_cut(steps: &[Step], nth: u64, seed: u64, context: &str) {
    let (files, mut known) = (SimFiles::new(), known());
    files.power_off_at(nth);
    run(&files, steps, &mut known, true).await;
    // A process that was killed leaves what it wrote; a machine that lost power does not.
    if seed.is_multiple_of(5) {
        files.kill()
    } else {
        files.crash(seed)
    }
    must_be_right(&files, known, context).await;
}

async fn failed_flush(steps: &[Step], nth: u64, after: AfterFailedFlush, seed: u64, context: &str) {
    let (files, mut known) = (SimFiles::new(), known());
    files.fail_flush(nth, after, seed);
    run(&files, steps, &mut known, false).await;
    files.crash(seed);
    must_be_right(&files, known, context).await;
}

async fn full_disk(steps: &[Step], capacity: u64, context: &str) {
    let (files, mut known) = (SimFiles::new(), known());
    files.set_capacity(Some(capacity));
    run(&files, steps, &mut known, false).await;
    files.crash(capacity);
    files.set_capacity(None);
    must_be_right(&files, known, context).await;
}

async fn flipped_bit(files: &SimFiles, known: &Known, chance: &mut Chance, context: &str) {
    let files = files.copy();
    let names = files.list().unwrap();
    let name = &names[chance.below(names.len() as u64) as usize];
    let contents = files.contents(name).unwrap();
    let used = contents.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let at = chance.below(used as u64) as usize;
    if !files.flip(name, at, chance.below(8) as u8) {
        // What was never flushed, as snapshots are not, is not on the disk.
        return;
    }
    if chance.below(2) == 0 {
        files.unlink("index.ckpt").ok();
    }
    match open(&files) {
        Ok(journal) => {
            let mut feed = journal.follow(None, None).unwrap();
            let fed = loop {
                match feed.poll().await {
                    Ok(followed) if followed.records.is_empty() => break true,
                    Ok(_) => {}
                    Err(JournalError::Damaged { file, .. }) => {
                        assert_eq!(&file, name, "{context}");
                        break false;
                    }
                    Err(error) => panic!("{context}: byte {at} of {name}: {error}"),
                }
            };
            if fed {
                known.clone().check(journal.as_ref(), &format!("{context}: byte {at} of {name}")).await;
            }
        }
        Err(OpenError::Journal(JournalError::Damaged { file, .. })) => assert_eq!(&file, name, "{context}: byte {at}"),
        Err(OpenError::Format { file, .. }) => assert_eq!(&file, name, "{context}: byte {at}"),
        Err(error) => panic!("{context}: byte {at} of {name}: {error}"),
    }
}

async fn backups(files: &SimFiles, known: &Known, seed: u64, budget: &Budget, context: &str) {
    let files = files.copy();
    let journal = open(&files).unwrap();
    let bodies = || FolderStore::open_on(|_| Ok(Arc::new(SimFiles::new()) as Arc<dyn Files>), 0);
    let whole = SimFiles::new();
    journal.backup_on(&bodies(), Arc::new(whole.clone()), |_| {}).await.unwrap();
    for nth in 1..=whole.operations() + 1 {
        if !budget.take("backups") {
            return;
        }
        let context = format!("{context}, power off at {nth}");
        let backup = SimFiles::new();
        backup.power_off_at(nth);
        let taken = journal.backup_on(&bodies(), Arc::new(backup.clone()), |_| {}).await;
        backup.crash(seed ^ nth);
        let restored = SimFiles::new();
        match restore_on(&backup, Arc::new(restored.clone()), &bodies(), |_| {}) {
            Ok(_) => must_be_right(&restored, known.clone(), &context).await,
            Err(BackupError::Incomplete) => assert!(taken.is_err(), "{context}: an acknowledged backup is not whole"),
            Err(error) => panic!("{context}: {error}"),
        }
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future);
}

#[test]
fn no_single_fault_loses_or_brings_back_anything() {
    let wanted = std::env::var("MESH_HISTORIES").ok().map_or(SOME, |count| count.parse().unwrap());
    let budget = Budget { left: AtomicU64::new(wanted), counts: Mutex::default(), next_seed: AtomicU64::new(1) };
    let workers = thread::available_parallelism().map_or(2, |count| count.get());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while budget.left.load(Ordering::Relaxed) > 0 {
                    let seed = budget.next_seed.fetch_add(1, Ordering::Relaxed);
                    block_on(all_faults_of(seed, &budget));
                }
            });
        }
    });
    let counts = budget.counts.into_inner().unwrap();
    println!("{wanted} histories: {counts:?}");
    assert_eq!(counts.values().sum::<u64>(), wanted);
    assert_eq!(counts.len(), 5, "a sort of fault was left out: {counts:?}");
}

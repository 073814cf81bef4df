//! The journal against a model: any operations in any order, with crashes and faults between them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests, and what they share")]

mod support;

use std::sync::Arc;

use mesh_journal::{
    EmbeddedJournal,
    files::{AfterFailedFlush, SimFiles},
};
use mesh_kernel::{
    envelope::Address,
    ports::{Append, AppendOutcome, Cursor, Journal, Recorded, Snapshot, Wake},
};
use proptest::prelude::*;
use support::{Known, address, event, everything, open, request};

const LEN: usize = 350;

#[derive(Debug, Clone)]
enum Op {
    Append { entity: u8, count: u64 },
    Together { count: u64 },
    WrongVersion { entity: u8, off: u64 },
    Settle { entity: u8 },
    Check,
    Follow,
    Snapshot { entity: u8 },
    Reopen,
    Kill,
    Crash { seed: u64 },
    PowerOff { nth: u64, seed: u64 },
    FailFlush { nth: u64, old: bool, seed: u64 },
    FailAllFlushes { failing: bool },
    ShortWrites { nth: Option<u64> },
    Capacity { kib: Option<u64> },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..5_u8, 1..9_u64).prop_map(|(entity, count)| Op::Append { entity, count }),
        4 => (1..4_u64).prop_map(|count| Op::Together { count }),
        1 => (0..5_u8, 1..5_u64).prop_map(|(entity, off)| Op::WrongVersion { entity, off }),
        2 => (0..5_u8).prop_map(|entity| Op::Settle { entity }),
        2 => Just(Op::Check),
        2 => Just(Op::Follow),
        1 => (0..5_u8).prop_map(|entity| Op::Snapshot { entity }),
        1 => Just(Op::Reopen),
        1 => Just(Op::Kill),
        1 => any::<u64>().prop_map(|seed| Op::Crash { seed }),
        2 => (1..20_u64, any::<u64>()).prop_map(|(nth, seed)| Op::PowerOff { nth, seed }),
        2 => (1..4_u64, any::<bool>(), any::<u64>())
            .prop_map(|(nth, old, seed)| Op::FailFlush { nth, old, seed }),
        1 => any::<bool>().prop_map(|failing| Op::FailAllFlushes { failing }),
        1 => prop::option::of(2..5_u64).prop_map(|nth| Op::ShortWrites { nth }),
        1 => prop::option::of(30..90_u64).prop_map(|kib| Op::Capacity { kib }),
    ]
}

/// A journal, and what a client and a follower know of it.
struct World {
    files: SimFiles,
    journal: Option<Arc<EmbeddedJournal>>,
    known: Known,
    cursor: Option<Cursor>,
    followed: Vec<Recorded>,
    /// Seed of the crash that follows a loss of power.
    power: Option<u64>,
}

impl World {
    fn new() -> Self {
        Self {
            files: SimFiles::new(),
            journal: None,
            known: Known { len: LEN, ..Known::default() },
            cursor: None,
            followed: Vec::new(),
            power: None,
        }
    }

    /// The journal, opened when it is not. `None` while the disk does not let it be opened.
    fn journal(&mut self) -> Option<Arc<EmbeddedJournal>> {
        if self.journal.is_none() {
            match open(&self.files) {
                Ok(journal) => self.journal = Some(journal),
                Err(error) => {
                    let text = error.to_string();
                    assert!(!text.contains("damaged"), "damage where there is none: {text}");
                    self.restart();
                }
            }
        }
        self.journal.clone()
    }

    /// The process is gone; and the machine, when its power is off.
    fn restart(&mut self) {
        match self.power.take() {
            Some(seed) => self.files.crash(seed),
            None => self.files.kill(),
        }
        self.journal = None;
    }

    async fn appended(&mut self, outcome: &AppendOutcome) {
        // A client that is told nothing certain reads back; when the power is off, that fails, and
        // the machine starts again.
        if self.power.is_some() && matches!(outcome, AppendOutcome::Unknown { .. }) {
            self.restart();
        }
    }

    async fn check(&mut self, context: &str) {
        if let Some(journal) = self.journal()
            && self.power.is_none()
        {
            self.known.check(journal.as_ref(), context).await;
        }
    }

    async fn follow(&mut self) {
        if self.power.is_some() {
            return;
        }
        let Some(journal) = self.journal() else { return };
        let (records, cursor) = everything(journal.as_ref(), self.cursor.take()).await;
        self.followed.extend(records);
        self.cursor = Some(cursor);
        let (all, _) = everything(journal.as_ref(), None).await;
        let brief = |records: &[Recorded]| -> Vec<_> {
            let brief = |it: &Recorded| (it.address.id().to_owned(), it.version, it.position);
            records.iter().map(brief).collect()
        };
        assert_eq!(brief(&self.followed), brief(&all), "a follower saw something else");
        assert!(self.followed == all, "a follower saw other bytes");
    }

    async fn run(&mut self, op: &Op) {
        let name = |entity: &u8| address(&format!("e-{entity}"));
        match op {
            Op::Append { entity, count } => {
                let Some(journal) = self.journal() else { return };
                let outcome = self.known.append(journal.as_ref(), &name(entity), *count).await;
                self.appended(&outcome).await;
            }
            Op::Together { count } => {
                let Some(journal) = self.journal() else { return };
                let all: Vec<_> = (0..5).map(|entity| (name(&entity), *count)).collect();
                let outcomes = self.known.append_all(journal.as_ref(), &all).await;
                self.appended(&outcomes[4]).await;
            }
            Op::WrongVersion { entity, off } => self.wrong_version(&name(entity), *off).await,
            Op::Settle { entity } => {
                let Some(journal) = self.journal() else { return };
                let entity = name(entity);
                journal.settle(&entity, self.known.version(&entity), Wake::Now);
            }
            Op::Check => self.check("check").await,
            Op::Follow => self.follow().await,
            Op::Snapshot { entity } => self.snapshot(&name(entity)).await,
            Op::Reopen => {
                if let Some(journal) = self.journal.take() {
                    journal.close().await;
                }
            }
            Op::Kill => {
                if self.power.is_none() {
                    self.restart();
                }
            }
            Op::Crash { seed } => {
                self.power = Some(*seed);
                self.restart();
            }
            fault => self.fault(fault),
        }
    }

    fn fault(&mut self, op: &Op) {
        match op {
            Op::PowerOff { nth, seed } => {
                self.files.power_off_at(*nth);
                self.power = Some(*seed);
            }
            Op::FailFlush { nth, old, seed } => {
                let after = if *old { AfterFailedFlush::Old } else { AfterFailedFlush::New };
                self.files.fail_flush(*nth, after, *seed);
            }
            Op::FailAllFlushes { failing } => self.files.fail_all_flushes(*failing),
            Op::ShortWrites { nth } => self.files.short_writes(*nth),
            Op::Capacity { kib } => self.files.set_capacity(kib.map(|kib| kib * 1024)),
            other => unreachable!("{other:?} is no fault"),
        }
    }

    async fn wrong_version(&mut self, entity: &Address, off: u64) {
        let Some(journal) = self.journal() else { return };
        let before = self.known.version(entity);
        if self.known.asked.contains_key(entity) {
            return;
        }
        let outcome = journal
            .append(Append {
                events: vec![event(entity, 999, 10).into()],
                ..request(journal.as_ref(), entity, before + off, 1, LEN)
            })
            .await;
        let recorded = matches!(outcome, AppendOutcome::Appended { .. } | AppendOutcome::Duplicate { .. });
        assert!(!recorded, "{entity} at {before}+{off}: {outcome:?}");
        self.appended(&outcome).await;
    }

    async fn snapshot(&mut self, entity: &Address) {
        let Some(journal) = self.journal() else { return };
        let version = self.known.version(entity);
        let state = |version: u64| event(entity, version, 100);
        if version > 0 {
            let bytes = state(version);
            journal.snapshot_put(entity, Snapshot { version, bytes }).await;
        }
        if let Some(found) = journal.snapshot_get(entity).await {
            assert_eq!(found.bytes, state(found.version), "a snapshot of something else");
        }
    }

    /// All faults end, the machine starts again, and everything must be right.
    async fn end(mut self) {
        self.restart();
        self.files.set_capacity(None);
        self.files.short_writes(None);
        let journal = self.journal().unwrap_or_else(|| panic!("it cannot be opened without faults"));
        self.known.check(journal.as_ref(), "at the end").await;
        self.follow().await;
        self.files.crash(7);
        self.journal = None;
        drop(journal);
        let journal = self.journal().unwrap_or_else(|| panic!("it cannot be opened without faults"));
        self.known.check(journal.as_ref(), "after a last crash").await;
        self.follow().await;
        let outcome = self.known.append(journal.as_ref(), &address("e-0"), 1).await;
        let went_on = matches!(outcome, AppendOutcome::Appended { .. } | AppendOutcome::WrongVersion { .. });
        assert!(went_on, "{outcome:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_behaves_as_its_model_whatever_happens(ops in prop::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for op in &ops {
                world.run(op).await;
            }
            world.end().await;
        });
    }
}

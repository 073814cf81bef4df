//! Telemetry against a model: what the tree, the sums and the tail tell is what happened.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that fails shall panic, and its tasks end with it"
)]

mod actor;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actor::{Dice, Stage, patient, soon, stage, tell, until};
use mesh_kernel::{
    actor::Lane,
    telemetry::{ActorInfo, SignalKind},
};

/// What an entity, or all of a tenant, should have counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Model {
    handled: u64,
    failed: u64,
    restarts: u64,
    dead: u64,
}

impl Model {
    fn see(&mut self, verb: &str) {
        match verb {
            "fail-once" => {
                self.failed += 1;
                self.restarts += 1;
                self.handled += 1;
            }
            // Twice, and then it is a dead letter.
            "panic" => {
                self.failed += 2;
                self.restarts += 2;
                self.dead += 1;
            }
            _ => self.handled += 1,
        }
    }
}

fn address(tenant: u64, entity: u64) -> String {
    format!("tenant-{tenant}/control-plane/run/run-{entity}")
}

/// A random load, and what it has to come to, by address.
async fn load(stage: &Stage, dice: &mut Dice, messages: u64) -> BTreeMap<String, Model> {
    let mut models: BTreeMap<String, Model> = BTreeMap::new();
    for seq in 0..messages {
        let to = address(dice.roll(3), dice.roll(5));
        let verb = match dice.roll(60) {
            0 => "panic",
            1 => "fail-once",
            2..=10 => "yield",
            _ => "ok",
        };
        models.entry(to.clone()).or_default().see(verb);
        let item = tell(&to, &format!("{verb} 1 {seq}"));
        stage.directory.deliver(item, Lane::Work, soon()).await.unwrap();
    }
    until("all is handled or dead", || {
        let counts = stage.directory.counts();
        counts.accepted == counts.handled + counts.dead
    })
    .await;
    models
}

fn line(stage: &Stage, address: &str) -> ActorInfo {
    stage.directory.tree().into_iter().find(|line| line.name == address).unwrap()
}

fn sums(stage: &Stage) -> BTreeMap<String, Model> {
    let sums = stage.directory.meters().sums().into_iter();
    let model = |sum: &mesh_kernel::telemetry::KindSums| Model {
        handled: sum.handled,
        failed: sum.failed,
        restarts: sum.restarts,
        dead: sum.dead,
    };
    sums.map(|sum| {
        let seen = sum.handled + sum.failed;
        assert_eq!((sum.wait.count(), sum.handle.count()), (seen, seen), "each message is timed once");
        (sum.tenant.to_string(), model(&sum))
    })
    .collect()
}

fn by_tenant(models: &BTreeMap<String, Model>) -> BTreeMap<String, Model> {
    let mut sums: BTreeMap<String, Model> = BTreeMap::new();
    for (address, model) in models {
        let sum = sums.entry(address.split('/').next().unwrap().to_owned()).or_default();
        sum.handled += model.handled;
        sum.failed += model.failed;
        sum.restarts += model.restarts;
        sum.dead += model.dead;
    }
    sums
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telemetry_tells_the_truth() {
    let mut config = patient();
    config.idle_after = Duration::ZERO;
    let stage = stage(config).await;
    let mut dice = Dice::seeded();
    let models = load(&stage, &mut dice, 6_000).await;
    // The last failures' restarts are under way when the last message is a dead letter.
    until("everyone is up again", || sums(&stage) == by_tenant(&models)).await;
    // Sleeping ones take their lines with them, and leave what they counted to the sums.
    until("all sleep", || {
        stage.directory.sweep();
        stage.directory.tree().iter().all(|line| line.tenant.is_none())
    })
    .await;
    assert_eq!(sums(&stage), by_tenant(&models));
    let counts = stage.directory.counts();
    assert_eq!((counts.queued_bytes, counts.live_bytes), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_of_an_entity_is_what_it_did() {
    let stage = stage(patient()).await;
    let mut dice = Dice::seeded();
    let models = load(&stage, &mut dice, 3_000).await;
    until("everyone is up again", || sums(&stage) == by_tenant(&models)).await;
    for (address, model) in &models {
        let line = line(&stage, address);
        let told = (line.handled, line.failed, u64::from(line.restarts), line.incarnation);
        assert_eq!(told, (model.handled, model.failed, model.restarts, model.restarts + 1), "{address}");
        assert_eq!((line.depth, line.bytes, line.oldest_age), (0, 0, None), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn depth_bytes_and_age_are_of_what_waits_also_under_load() {
    let stage = stage(patient()).await;
    let to = address(0, 0);
    stage.directory.try_deliver(tell(&to, "spin 1 1"), Lane::Work).unwrap();
    until("it has its hands full", || stage.log.spins.load(Ordering::Relaxed) == 1).await;
    let mut bytes = line(&stage, &to).bytes;
    let mut age = Duration::ZERO;
    for seq in 0..200_usize {
        let item = tell(&to, &format!("ok 1 {seq}"));
        bytes += item.envelope.charge() + 100;
        stage.directory.try_deliver(item, Lane::Work).unwrap();
        if seq % 3 == 0 {
            let line = line(&stage, &to);
            assert_eq!((line.depth, line.bytes), (seq + 2, bytes));
            assert!(line.oldest_age.unwrap() >= age, "the oldest one is older than before");
            age = line.oldest_age.unwrap();
        }
    }
    stage.log.released.store(true, Ordering::Relaxed);
    until("all is handled", || stage.directory.counts().handled == 201).await;
    assert_eq!((line(&stage, &to).depth, line(&stage, &to).oldest_age), (0, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_of_the_tail_is_told_exactly_what_it_missed() {
    let stage = stage(patient()).await;
    let signals: Arc<_> = stage.directory.signals().clone();
    let (mut slow, mut fast) = (signals.listen(None, 50), signals.listen(None, 1 << 20));
    let mut dice = Dice::seeded();
    let models = load(&stage, &mut dice, 2_000).await;
    until("everyone is up again", || sums(&stage) == by_tenant(&models)).await;
    stage.directory.drain(Duration::from_secs(60)).await;
    let (all, last) = (fast.poll(), slow.poll());
    assert_eq!((all.missed, all.first), (0, 0));
    assert_eq!(last.signals.len(), 50);
    assert_eq!(last.missed + 50, all.signals.len() as u64);
    assert_eq!(last.first, last.missed);
    let told = |kind| all.signals.iter().filter(|signal| signal.kind == kind).count() as u64;
    let sum = by_tenant(&models).values().fold(Model::default(), |sum, model| Model {
        handled: sum.handled + model.handled,
        failed: sum.failed + model.failed,
        restarts: sum.restarts + model.restarts,
        dead: sum.dead + model.dead,
    });
    let heard = Model {
        handled: told(SignalKind::Handled),
        failed: told(SignalKind::Failed),
        restarts: told(SignalKind::Restarted),
        dead: told(SignalKind::DeadLettered),
    };
    assert_eq!(heard, sum);
}

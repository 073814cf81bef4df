//! Crashes: nothing accepted is lost, nothing lives twice, what kills twice is taken away.

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
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actor::{Dice, Stage, envelope, patient, soon, stage, tell, until, watched};
use mesh_kernel::{
    actor::{ActorConfig, DeadReason, Item, Lane, NotTaken},
    envelope::{ErrorKind, Retry},
    telemetry::ActorState,
};

const SENDERS: u64 = 8;
const EACH: u64 = 4_000;

fn address_of(sender: u64) -> String {
    format!("tenant-{}/control-plane/run/run-{}", sender % 2, sender % 4)
}

/// One sender's messages: mostly harmless, some deadly.
async fn send_all(stage: Arc<Stage>, sender: u64, mut dice: Dice) {
    let address = address_of(sender);
    for seq in 0..EACH {
        let verb = match dice.roll(2_000) {
            _ if seq == EACH / 2 => "hang-once",
            0 | 1 => "panic",
            2 | 3 => "fail-once",
            4..=200 => "yield",
            _ => "ok",
        };
        let item = tell(&address, &format!("{verb} {sender} {seq}"));
        stage.directory.deliver(item, Lane::Work, soon()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_loses_nothing() {
    let mut config = patient();
    config.handle_deadline = Duration::from_millis(300);
    config.watch_every = Duration::from_millis(10);
    let stage = Arc::new(stage(config).await);
    let mut dice = Dice::seeded();
    let over = Arc::new(AtomicBool::new(false));
    let killer = tokio::spawn({
        let (stage, over, mut dice) = (stage.clone(), over.clone(), Dice(dice.roll(u64::MAX)));
        async move {
            let mut kills = 0;
            while !over.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(7)).await;
                let victim = address_of(dice.roll(4)).parse().unwrap();
                kills += u32::from(stage.directory.kill(&victim));
            }
            kills
        }
    });
    let senders: Vec<_> =
        (0..SENDERS).map(|sender| tokio::spawn(send_all(stage.clone(), sender, Dice(dice.roll(u64::MAX))))).collect();
    for sender in senders {
        watched(sender).await.unwrap();
    }
    until("all is handled or dead", || {
        let counts = stage.directory.counts();
        counts.accepted == counts.handled + counts.expired + counts.dead
    })
    .await;
    over.store(true, Ordering::Relaxed);
    let kills = killer.await.unwrap();
    let counts = stage.directory.counts();
    assert_eq!(counts.accepted, SENDERS * EACH);
    assert_eq!(counts.queued_bytes, 0);
    let dead = stage.log.dead.lock();
    assert_eq!(dead.len() as u64, counts.dead);
    assert!(dead.iter().all(|dead| dead.reason == DeadReason::Poison));
    // Nobody is innocent: what is taken away has panicked twice, and never by a kill. (On a machine
    // that stands still for long, a deadline may pass twice as well.)
    for letter in &*dead {
        let late = letter.errors.iter().all(|error| error.contains("deadline"));
        let verb = &*letter.envelope.event_type;
        assert!(letter.attempts == 2 && (verb == "panic" || late), "{verb}: {:?}", letter.errors);
    }
    let mut seen = HashSet::new();
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for (address, done) in &*stage.log.done.lock() {
        for (sender, seq) in done {
            assert!(seen.insert((*sender, *seq)), "{sender} {seq} was handled twice at {address}");
            let before = last.insert(*sender, *seq);
            assert!(before.is_none_or(|before| before < *seq), "{sender}: {seq} after {before:?}");
        }
    }
    assert_eq!(seen.len() as u64 + counts.dead, SENDERS * EACH);
    assert_eq!(stage.log.most_at_once(), 1, "two incarnations lived at once");
    assert!(kills > 0 && counts.dead > 0, "{kills} kills, {} dead: nothing was tried", counts.dead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_incarnation() {
    let mut config = patient();
    config.idle_after = Duration::ZERO;
    let stage = Arc::new(stage(config).await);
    let mut dice = Dice::seeded();
    let over = Arc::new(AtomicBool::new(false));
    let sweeper = tokio::spawn({
        let (stage, over) = (stage.clone(), over.clone());
        async move {
            while !over.load(Ordering::Relaxed) {
                stage.directory.sweep();
                tokio::task::yield_now().await;
            }
        }
    });
    let tasks: Vec<_> =
        (0..8).map(|_| tokio::spawn(push_park_kill(stage.clone(), Dice(dice.roll(u64::MAX))))).collect();
    let mut answered = 0;
    for task in tasks {
        answered += watched(task).await.unwrap();
    }
    until("all is handled", || {
        let counts = stage.directory.counts();
        counts.accepted == counts.handled + counts.dead
    })
    .await;
    assert_eq!(stage.log.most_at_once(), 1, "two incarnations lived at once");
    assert!(stage.log.parks.load(Ordering::Relaxed) > 100, "hardly anything was put to sleep");
    assert_eq!(stage.directory.counts().dead, 0);
    assert_eq!(answered, 10_000 / 10);
    // Asleep with an empty mailbox costs nothing at all.
    until("all sleep", || stage.directory.tree().iter().all(|line| line.tenant.is_none())).await;
    assert_eq!(stage.directory.counts().live_bytes, 0);
    assert_eq!(stage.log.living(), 0);
    over.store(true, Ordering::Relaxed);
    sweeper.await.unwrap();
}

/// 1,250 messages to 16 addresses, every tenth waited for, some of them deadly once.
async fn push_park_kill(stage: Arc<Stage>, mut dice: Dice) -> u32 {
    let mut answered = 0;
    for round in 0..1_250_u64 {
        let address = format!("acme/control-plane/run/run-{}", dice.roll(16));
        let verb = match dice.roll(40) {
            0 => "fail-once",
            1..=5 => "yield",
            _ => "ok",
        };
        if round % 10 == 0 {
            stage.call(&address, &format!("{verb} 0 {round}")).await.unwrap();
            answered += 1;
        } else {
            let item = tell(&address, &format!("{verb} 0 {round}"));
            stage.directory.deliver(item, Lane::Work, soon()).await.unwrap();
        }
        if dice.roll(50) == 0 {
            stage.directory.kill(&address.parse().unwrap());
        }
    }
    answered
}

#[tokio::test]
async fn poison_dies_twice() {
    let stage = stage(patient()).await;
    let address = "acme/control-plane/run/run-1";
    for text in ["ok 1 1", "fail-once 1 2", "panic 1 3", "ok 1 4", "fail 1 5", "ok 1 6"] {
        stage.directory.try_deliver(tell(address, text), Lane::Work).unwrap();
    }
    stage.call(address, "ok 1 7").await.unwrap();
    let done: Vec<u64> = stage.log.done(address).iter().map(|(_, seq)| *seq).collect();
    assert_eq!(done, [1, 2, 4, 6, 7], "neighbours are handled, in order");
    let dead = stage.log.dead.lock();
    assert_eq!(dead.len(), 2);
    assert_eq!((&*dead[0].envelope.event_type, dead[0].attempts), ("panic", 2));
    assert_eq!(dead[0].errors, ["panicked: told to", "panicked: told to"]);
    assert_eq!(dead[1].errors, ["failed: failed 1", "failed: failed 2"]);
}

#[tokio::test]
async fn the_sender_of_a_poisoned_message_is_told_where_it_is() {
    let stage = stage(patient()).await;
    let refusal = stage.call("acme/control-plane/run/run-1", "panic 1 1").await.unwrap_err();
    assert_eq!((refusal.code.as_str(), refusal.kind), ("KER-0408", ErrorKind::Internal));
    assert!(refusal.message.contains("dead letters"), "{refusal}");
}

#[tokio::test]
async fn an_ask_is_answered_by_the_incarnation_after_the_crash() {
    let stage = stage(patient()).await;
    let answer = stage.call("acme/control-plane/run/run-1", "fail-once 1 1").await.unwrap();
    assert_eq!(answer.version, 2, "answered at the second try");
    assert_eq!(stage.log.starts.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_dependency_that_is_away_is_no_messages_fault() {
    let mut config = patient();
    // The first real failure would quarantine it.
    config.entity_restart.intensity.most = 0;
    config.entity_restart.intensity.within = Duration::from_secs(60);
    let stage = stage(config).await;
    let answer = stage.call("acme/control-plane/run/run-1", "retry-thrice 1 1").await.unwrap();
    assert_eq!(answer.version, 4);
    assert!(stage.log.dead.lock().is_empty());
}

#[tokio::test]
async fn what_cannot_be_decoded_is_quarantined_and_stops_nobody_else() {
    let stage = stage(patient()).await;
    let (ill, well) = ("acme/control-plane/run/run-1", "acme/control-plane/run/run-2");
    let refusal = stage.call(ill, "undecodable 1 1").await.unwrap_err();
    assert_eq!(refusal.code, "KER-0404");
    let refusal = stage.call(ill, "ok 1 2").await.unwrap_err();
    assert_eq!((refusal.kind, refusal.retry), (ErrorKind::Unavailable, Retry::Never));
    assert!(refusal.message.contains("version 7"), "{refusal}");
    stage.call(well, "ok 1 1").await.unwrap();
    assert_eq!(stage.log.dead.lock().len(), 1);
    assert_eq!(stage.log.dead.lock()[0].reason, DeadReason::Quarantined);
    assert!(stage.directory.release(&ill.parse().unwrap()));
    stage.call(ill, "ok 1 3").await.unwrap();
}

#[tokio::test]
async fn an_entity_that_fails_too_often_is_quarantined_with_what_waits() {
    let mut config = ActorConfig::default();
    config.entity_restart.backoff.base = Duration::from_millis(1);
    let stage = stage(config).await;
    stage.log.failing_starts.store(100, Ordering::Relaxed);
    let address = "acme/control-plane/run/run-1";
    let refusal = stage.call(address, "ok 1 1").await.unwrap_err();
    assert_eq!(refusal.code, "KER-0404");
    assert_eq!(stage.log.starts.load(Ordering::Relaxed), 4, "3 within a minute are forgiven");
    assert_eq!(stage.log.dead.lock()[0].errors, ["could not start: cannot load"]);
    let slot = stage.directory.slot(&address.parse().unwrap()).unwrap();
    assert_eq!(slot.state(), ActorState::Quarantined);
}

#[tokio::test]
async fn a_dead_letter_can_be_replayed() {
    let stage = stage(patient()).await;
    let address = "acme/control-plane/run/run-1";
    stage.call(address, "panic 1 1").await.unwrap_err();
    let letter = stage.log.dead.lock().pop().unwrap();
    let mut mended = (*letter.envelope).clone();
    mended.payload = b"ok 1 1".to_vec().into();
    let item = Item::new(Arc::new(mended), None);
    stage.directory.try_deliver(item, Lane::Work).unwrap();
    until("it is handled", || stage.log.done(address) == [(1, 1)]).await;
}

#[tokio::test]
async fn what_an_incarnation_published_ends_with_it() {
    let stage = stage(patient()).await;
    let address = "acme/control-plane/run/run-1";
    stage.call(address, "publish 1 42").await.unwrap();
    let slot = stage.directory.slot(&address.parse().unwrap()).unwrap();
    let published = slot.published().unwrap().downcast::<u64>().unwrap();
    assert_eq!(*published, 42);
    stage.call(address, "fail-once 1 2").await.unwrap();
    assert!(slot.published().is_none(), "a dead incarnation is still shown");
}

#[tokio::test]
async fn a_message_without_an_answer_is_answered_for() {
    let stage = stage(patient()).await;
    let refusal = stage.call("acme/control-plane/run/run-1", "silent 1 1").await.unwrap_err();
    assert_eq!(refusal.code, "KER-0410");
}

#[tokio::test]
async fn an_expired_message_is_answered_and_never_run() {
    let stage = stage(patient()).await;
    let address = "acme/control-plane/run/run-1";
    let (reply, answer) = tokio::sync::oneshot::channel();
    let mut late = envelope(address, "ok 1 1");
    late.headers.deadline = Some(mesh_kernel::envelope::Timestamp::default());
    let item = Item::new(Arc::new(late), Some(reply));
    stage.directory.try_deliver(item, Lane::Work).unwrap();
    let refusal = watched(answer).await.unwrap().unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::DeadlineExceeded);
    stage.call(address, "ok 1 2").await.unwrap();
    assert_eq!(stage.log.done(address), [(1, 2)]);
    assert_eq!(stage.directory.counts().expired, 1);
}

#[tokio::test]
async fn an_address_on_an_unknown_platform_is_refused() {
    let stage = stage(patient()).await;
    let refused = stage.directory.try_deliver(tell("acme/nowhere/run/run-1", "ok 1 1"), Lane::Work);
    let refusal = refused.unwrap_err().refusal;
    let expected =
        NotTaken::NoPlatform { address: "acme/nowhere/run/run-1".to_owned(), platform: "nowhere".to_owned() };
    assert_eq!(refusal.message, expected.to_string());
}

#[tokio::test]
async fn an_entity_that_was_woken_without_a_message_is_up_again_after_a_failed_start() {
    let stage = stage(patient()).await;
    stage.log.failing_starts.store(2, Ordering::Relaxed);
    let address = "acme/control-plane/run/run-1".parse().unwrap();
    stage.directory.wake(&address);
    until("it is up", || {
        stage.directory.slot(&address).is_some_and(|slot| slot.state() == ActorState::Live && slot.incarnation() == 3)
    })
    .await;
}

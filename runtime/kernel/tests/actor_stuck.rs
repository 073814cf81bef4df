//! Handlers that take too long: killed when they wait, told of when they never yield.

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
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use actor::{ask, patient, soon, stage, tell, until, watched};
use mesh_kernel::{
    actor::{ActorConfig, Lane},
    envelope::{ErrorKind, Retry},
    telemetry::{ActorState, SignalKind},
};

const STUCK: &str = "acme/control-plane/run/stuck";
const OTHER: &str = "acme/control-plane/run/other";

fn strict() -> ActorConfig {
    ActorConfig {
        handle_deadline: Duration::from_millis(100),
        watch_every: Duration::from_millis(20),
        wedge_after: Duration::from_millis(100),
        ..patient()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stuck() {
    let stage = stage(strict()).await;
    let mut signals = stage.directory.signals().listen(None, 1024);
    // One that awaits for ever is killed at its deadline, and tried once more.
    let answer = watched(stage.call(STUCK, "hang-once 1 1")).await.unwrap();
    assert_eq!(answer.version, 2);
    // One that spins cannot be killed: its address is wedged, and no second incarnation begins.
    let (spin, spun) = ask(STUCK, "spin 1 1");
    stage.directory.try_deliver(spin, Lane::Work).unwrap();
    let address = STUCK.parse().unwrap();
    until("it is wedged", || stage.directory.slot(&address).is_some_and(|slot| slot.state() == ActorState::Wedged))
        .await;
    let slot = stage.directory.slot(&address).unwrap();
    let incarnation = slot.incarnation();
    let refusal = stage.call(STUCK, "ok 1 2").await.unwrap_err();
    assert_eq!((refusal.code.as_str(), refusal.kind), ("KER-0405", ErrorKind::Unavailable));
    assert!(matches!(refusal.retry, Retry::After(_)), "{refusal:?}");
    // Others go on, on the other worker.
    for seq in 0..100 {
        watched(stage.call(OTHER, &format!("ok 1 {seq}"))).await.unwrap();
    }
    assert_eq!(slot.state(), ActorState::Wedged, "the others had to wait for the stuck one");
    assert_eq!(slot.incarnation(), incarnation);
    let told = signals.poll().signals;
    let wedged = told.iter().find(|signal| signal.kind == SignalKind::Wedged).unwrap();
    assert_eq!(wedged.address, address);
    assert_eq!(wedged.reason.as_deref(), Some("spin"), "the message's type is told");
    // When it ends after all, the address is served again.
    stage.log.released.store(true, Ordering::Relaxed);
    let _ = watched(spun).await;
    until("it is served again", || slot.state() != ActorState::Wedged).await;
    watched(stage.call(STUCK, "ok 1 3")).await.unwrap();
    assert_eq!(stage.log.most_at_once(), 1);
}

#[tokio::test]
async fn a_message_that_hangs_twice_is_a_dead_letter() {
    let stage = stage(strict()).await;
    let refusal = watched(stage.call(STUCK, "hang 1 1")).await.unwrap_err();
    assert_eq!(refusal.code, "KER-0408");
    let dead = stage.log.dead.lock();
    assert_eq!(dead[0].errors, ["took longer than its deadline", "took longer than its deadline"]);
}

#[tokio::test]
async fn a_callers_short_deadline_kills_no_entity() {
    let stage = stage(patient()).await;
    let mut hasty = actor::envelope(STUCK, "nap 1 50");
    let now = actor::clock().now();
    hasty.headers.deadline = Some(now.plus(Duration::from_secs(3600)));
    let item = mesh_kernel::actor::Item::new(std::sync::Arc::new(hasty), None);
    stage.directory.try_deliver(item, Lane::Work).unwrap();
    stage.call(STUCK, "ok 1 2").await.unwrap();
    assert_eq!(stage.log.starts.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_full_mailbox_makes_senders_wait_or_tells_them_when_to_come_back() {
    let mut config = patient();
    config.mailbox.items = 4;
    config.lane.items = 4;
    let stage = stage(config).await;
    // The first is in hand soon; it keeps its room until it is done.
    for seq in 0..4 {
        let text = if seq == 0 { "nap 1 300".to_owned() } else { format!("ok 1 {seq}") };
        stage.directory.try_deliver(tell(OTHER, &text), Lane::Work).unwrap();
    }
    let refused = stage.directory.try_deliver(tell(OTHER, "ok 1 4"), Lane::Work).unwrap_err();
    assert_eq!(refused.refusal.kind, ErrorKind::ResourceExhausted);
    assert!(matches!(refused.refusal.retry, Retry::After(after) if after >= Duration::from_millis(10)));
    let short = tokio::time::Instant::now() + Duration::from_millis(20);
    let refused = stage.directory.deliver(refused.item, Lane::Work, short).await.unwrap_err();
    assert_eq!(refused.refusal.code, "KER-0400");
    // Control has room of its own.
    stage.directory.try_deliver(tell(OTHER, "ok 9 9"), Lane::Control).unwrap();
    stage.directory.deliver(refused.item, Lane::Work, soon()).await.unwrap();
    until("all are handled", || stage.log.done(OTHER).len() == 6).await;
    let order: Vec<u64> = stage.log.done(OTHER).iter().map(|(sender, _)| *sender).collect();
    assert_eq!(order.iter().position(|sender| *sender == 9), Some(1), "control comes first: {order:?}");
}

#[tokio::test]
async fn waiting_senders_are_served_in_the_order_of_their_coming_and_may_go_away() {
    let mut config = patient();
    config.mailbox.items = 1;
    config.lane.items = 1;
    let stage = stage(config).await;
    stage.directory.try_deliver(tell(OTHER, "nap 0 100"), Lane::Work).unwrap();
    let mut waiting = Vec::new();
    for sender in 1..=20_u64 {
        let directory = stage.directory.clone();
        waiting.push(tokio::spawn(async move {
            directory.deliver(tell(OTHER, &format!("ok {sender} 0")), Lane::Work, soon()).await
        }));
        tokio::task::yield_now().await;
    }
    // Every third one goes away: it must not take its room with it.
    let (mut gone, mut stay) = (Vec::new(), Vec::new());
    for (place, task) in waiting.into_iter().enumerate() {
        if place % 3 == 0 { gone.push(task) } else { stay.push(task) }
    }
    gone.iter().for_each(tokio::task::JoinHandle::abort);
    for task in stay {
        watched(task).await.unwrap().unwrap();
    }
    stage.call(OTHER, "ok 99 0").await.unwrap();
    let served: Vec<u64> = stage.log.done(OTHER).iter().map(|(sender, _)| *sender).collect();
    let expected: Vec<u64> = (0..=20).filter(|n| n % 3 != 1).chain([99]).collect();
    assert_eq!(served, expected);
}

#[tokio::test]
async fn a_message_that_is_larger_than_the_mailbox_never_waits() {
    let mut config = patient();
    config.mailbox.bytes = 2_000;
    let stage = stage(config).await;
    let large = tell(OTHER, &format!("ok 1 1 {}", "x".repeat(2_000)));
    let refused = stage.directory.deliver(large, Lane::Work, soon()).await.unwrap_err();
    assert_eq!((refused.refusal.code.as_str(), refused.refusal.retry), ("KER-0401", Retry::Never));
}

#[tokio::test]
async fn bytes_bound_a_mailbox_as_well_as_messages_do() {
    let mut config = patient();
    config.mailbox.bytes = 10_000;
    let stage = stage(config).await;
    stage.directory.try_deliver(tell(OTHER, "nap 1 100"), Lane::Work).unwrap();
    let mut taken = 0;
    let text = format!("ok 1 1 {}", "x".repeat(2_000));
    while stage.directory.try_deliver(tell(OTHER, &text), Lane::Work).is_ok() {
        taken += 1;
        assert!(stage.directory.counts().queued_bytes <= 10_000);
    }
    assert_eq!(taken, 3);
}

#[tokio::test]
async fn idle_entities_sleep_when_memory_is_short_and_none_is_refused_for_ever() {
    let mut config = patient();
    config.memory_bytes = 40 * 1024;
    let stage = stage(config).await;
    let watchdog = Instant::now();
    for n in 0..200 {
        let address = format!("acme/control-plane/run/run-{n}");
        while let Err(refusal) = stage.call(&address, "ok 1 1").await {
            assert_eq!(refusal.code, "KER-0403");
            assert!(watchdog.elapsed() < Duration::from_secs(60), "memory is never free again");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let live = stage.directory.counts().live_bytes;
        assert!(live <= 64 * 1024, "{live} bytes are awake");
    }
    assert!(stage.log.parks.load(Ordering::Relaxed) > 150);
}

#[tokio::test]
async fn of_two_idle_entities_the_one_that_is_done_sleeps_first() {
    let stage = stage(patient()).await;
    for address in [STUCK, OTHER] {
        stage.call(address, "ok 1 1").await.unwrap();
    }
    let slot = |address: &str| stage.directory.slot(&address.parse().unwrap());
    slot(OTHER).unwrap().done(true);
    until("it sleeps", || slot(OTHER).is_none()).await;
    assert_eq!(slot(STUCK).unwrap().state(), ActorState::Live);
}

#[tokio::test]
async fn an_entity_that_is_kept_awake_is_not_put_to_sleep() {
    let mut config = patient();
    config.idle_after = Duration::ZERO;
    let stage = stage(config).await;
    stage.call(OTHER, "ok 1 1").await.unwrap();
    let address = OTHER.parse().unwrap();
    let slot = stage.directory.slot(&address).unwrap();
    let guard = slot.keep_awake();
    stage.directory.sweep();
    stage.call(OTHER, "ok 1 2").await.unwrap();
    assert_eq!(slot.state(), ActorState::Live);
    drop(guard);
    until("it sleeps", || {
        stage.directory.sweep();
        slot.state() == ActorState::Retired
    })
    .await;
    assert!(stage.directory.slot(&address).is_none());
}

#[tokio::test]
async fn the_tree_tells_the_truth() {
    let mut config = patient();
    config.watch_every = Duration::from_secs(1);
    let stage = stage(config).await;
    stage.call(OTHER, "ok 1 1").await.unwrap();
    stage.call(OTHER, "fail-once 1 2").await.unwrap();
    stage.directory.try_deliver(tell(OTHER, "nap 1 2000"), Lane::Work).unwrap();
    stage.directory.try_deliver(tell(OTHER, "ok 1 3"), Lane::Work).unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    stage.directory.try_deliver(tell(OTHER, "ok 1 4"), Lane::Work).unwrap();
    let tree = stage.directory.tree();
    let names: Vec<&str> = tree.iter().map(|line| line.name.as_str()).collect();
    for name in ["node", "control", "control/control-plane", "control/governance", "product/product", OTHER] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    for line in &tree {
        let parent = line.parent.as_deref();
        assert!(parent.is_none_or(|parent| names.contains(&parent)), "{line:?} has no parent");
    }
    let entity = tree.iter().find(|line| line.name == OTHER).unwrap();
    assert_eq!((entity.handled, entity.failed, entity.restarts, entity.incarnation), (2, 1, 1, 2));
    assert_eq!(entity.depth, 3, "one in hand, two wait");
    assert!(entity.oldest_age.unwrap() >= Duration::from_millis(20), "{entity:?}");
    assert_eq!(entity.last_error.as_deref(), Some("failed: once"));
    assert!(entity.handle_p99 > Duration::ZERO);
    let sums = stage.directory.meters().sums();
    assert_eq!((sums[0].handled, sums[0].failed, sums[0].restarts), (2, 1, 1));
}

/// Says to the process that this test starts what it is.
const HERE: &str = "MESH_TEST_STUCK";

#[test]
fn a_runtime_whose_threads_are_all_stuck_ends_the_process() {
    let name = "a_runtime_whose_threads_are_all_stuck_ends_the_process";
    if std::env::var_os(HERE).is_none() {
        let myself = std::env::current_exe().unwrap();
        let ended = std::process::Command::new(myself).args(["--exact", name]).env(HERE, "1").output().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(6), "{ended:?}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = patient();
        config.abort_after = Some(Duration::from_millis(1_500));
        config.watch_every = Duration::from_millis(20);
        let stage = stage(config).await;
        // A thread that works is not stuck, however long it takes.
        tokio::time::sleep(Duration::from_millis(2_000)).await;
        stage.directory.try_deliver(tell(OTHER, "spin 1 1"), Lane::Work).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
}

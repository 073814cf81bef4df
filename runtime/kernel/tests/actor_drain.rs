//! Stopping: nothing accepted is lost, children end before their parents, a stuck one is left behind.

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
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use actor::{TREE, clock, patient, soon, stage, tell, until, watched};
use mesh_kernel::{
    actor::{Cause, Crash, DeadReason, Lane, Restart, ServiceSpec, Tree},
    telemetry::{ActorKind, ActorState},
};
use parking_lot::Mutex;

type Order = Arc<Mutex<Vec<String>>>;

/// A service that tells when it has ended.
fn noted(name: &str, order: &Order) -> ServiceSpec {
    let (name, order) = (name.to_owned(), order.clone());
    ServiceSpec::new(name.clone(), move |token| {
        let (name, order) = (name.clone(), order.clone());
        async move {
            token.cancelled().await;
            order.lock().push(name);
            Ok(())
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain() {
    let mut config = patient();
    config.handle_deadline = Duration::from_secs(600);
    config.mailbox.items = 64;
    let stage = Arc::new(stage(config).await);
    let order = Order::default();
    for (platform, name) in [("control-plane", "a"), ("control-plane", "b"), ("product", "c")] {
        stage.tree.serve(platform, noted(name, &order)).unwrap();
    }
    // One that never yields must not hold the rest up. It begins before the load: what waits in the
    // queues of a blocked worker's own would wait with it.
    let spin = tell("acme/product/product/wedged", "spin 9 8");
    stage.directory.try_deliver(spin, Lane::Work).unwrap();
    until("it spins", || stage.log.spins.load(Ordering::Relaxed) == 1).await;
    let waits = tell("acme/product/product/wedged", "ok 9 9");
    stage.directory.try_deliver(waits, Lane::Work).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..4_u64)
        .map(|sender| {
            let (stage, over) = (stage.clone(), over.clone());
            tokio::spawn(async move {
                let (mut taken, mut refused) = (0_u64, 0_u64);
                for seq in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let address = format!("acme/control-plane/run/run-{}", seq % 8);
                    let item = tell(&address, &format!("ok {sender} {seq}"));
                    match stage.directory.deliver(item, Lane::Work, soon()).await {
                        Ok(()) => taken += 1,
                        Err(undelivered) => {
                            assert_eq!(undelivered.refusal.code, "KER-0406");
                            refused += 1;
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                }
                (taken, refused)
            })
        })
        .collect();
    until("there is load", || stage.directory.counts().handled > 1_000).await;
    stage.tree.stop_services().await;
    assert_eq!(*order.lock(), ["c", "b", "a"], "last started, first stopped");
    let report = watched(stage.directory.drain(Duration::from_secs(3))).await;
    over.store(true, Ordering::Relaxed);
    let (mut taken, mut refused) = (2, 0);
    for sender in senders {
        let (more, no) = watched(sender).await.unwrap();
        taken += more;
        refused += no;
    }
    assert!(refused > 0, "nothing was refused: the door stayed open");
    assert_eq!(report.counts.accepted, taken);
    assert_eq!(report.dead, 1, "{report:?}");
    assert_eq!(stage.log.dead.lock()[0].reason, DeadReason::ShutDown);
    assert_eq!(report.wedged, ["acme/product/product/wedged".parse().unwrap()], "{report:?}");
    let done: usize = stage.log.done.lock().values().map(Vec::len).sum();
    assert_eq!(done as u64 + 1 + 1, taken, "handled, the stuck one, and the dead one");
    stage.log.released.store(true, Ordering::Relaxed);
    assert!(watched(stage.tree.stop(Duration::from_secs(30))).await);
    assert_eq!(stage.log.most_at_once(), 1);
}

#[tokio::test]
async fn a_quiet_directory_drains_at_once_and_leaves_nobody_awake() {
    let stage = stage(patient()).await;
    for n in 0..50 {
        stage.call(&format!("acme/control-plane/run/run-{n}"), "ok 1 1").await.unwrap();
    }
    let report = watched(stage.directory.drain(Duration::from_secs(30))).await;
    assert_eq!((report.dead, report.killed, report.wedged.len()), (0, 0, 0));
    assert_eq!(report.counts.accepted, report.counts.handled);
    assert_eq!(stage.log.living(), 0);
    assert_eq!(stage.log.parks.load(Ordering::Relaxed), 50, "each may write its snapshot");
    assert!(stage.tree.stop(Duration::from_secs(30)).await);
    assert_eq!(stage.tree.gave_up().await, Cause::Asked);
}

#[tokio::test]
async fn a_service_that_fails_is_started_again_and_its_siblings_live() {
    let tree = Tree::start(TREE, clock()).await.unwrap();
    let (ill, well) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let starts = well.clone();
    let sibling = ServiceSpec::new("well", move |token| {
        starts.fetch_add(1, Ordering::Relaxed);
        async move {
            token.cancelled().await;
            Ok(())
        }
    });
    tree.serve("governance", sibling).unwrap();
    let starts = ill.clone();
    let failing = ServiceSpec::new("ill", move |token| {
        let start = starts.fetch_add(1, Ordering::Relaxed);
        async move {
            match start {
                0 => return Err(Crash::Failed("once".into())),
                1 => tokio::task::yield_now().await,
                2 => return Err(Crash::Retry("the journal is away".into())),
                _ => token.cancelled().await,
            }
            Ok(())
        }
    });
    tree.serve("governance", failing).unwrap();
    until("it was started four times", || ill.load(Ordering::Relaxed) == 4).await;
    assert_eq!(well.load(Ordering::Relaxed), 1);
    assert!(tree.stop(Duration::from_secs(30)).await);
}

#[tokio::test]
async fn a_service_that_ends_for_good_is_not_started_again() {
    let tree = Tree::start(TREE, clock()).await.unwrap();
    let starts = Arc::new(AtomicU32::new(0));
    let counted = starts.clone();
    let mut once = ServiceSpec::new("once", move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    });
    once.restart = Restart::Transient;
    tree.serve_node(once);
    until("it ran", || starts.load(Ordering::Relaxed) == 1).await;
    assert!(tree.stop(Duration::from_secs(30)).await);
    assert_eq!(starts.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_for_ever_ends_the_node_in_the_end() {
    let tree = Tree::start(TREE, Arc::new(PausedClock(tokio::time::Instant::now()))).await.unwrap();
    let starts = Arc::new(AtomicU32::new(0));
    let counted = starts.clone();
    let hopeless = ServiceSpec::new("hopeless", move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Err(Crash::Failed("for ever".into())) }
    });
    tree.serve("product", hopeless).unwrap();
    let cause = tree.gave_up().await;
    assert!(matches!(&cause, Cause::Failed(why) if why.contains("node")), "{cause}");
    // 5 and the one too many, for each of the starts that plane and node grant.
    let starts = starts.load(Ordering::Relaxed);
    assert!((6..=54).contains(&starts), "{starts} starts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_gives_up_is_started_again_and_its_entities_lose_nothing() {
    let stage = stage(patient()).await;
    let starts = Arc::new(AtomicU32::new(0));
    let counted = starts.clone();
    stage.call("acme/product/product/p-0", "ok 0 0").await.unwrap();
    let failing = ServiceSpec::new("failing", move |token| {
        let start = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            // Five are forgiven, the sixth ends the platform, the seventh is of its next life.
            if start < 6 {
                return Err(Crash::Failed("six times".into()));
            }
            token.cancelled().await;
            Ok(())
        }
    });
    stage.tree.serve("product", failing).unwrap();
    let mut asked = 0_u64;
    while starts.load(Ordering::Relaxed) < 7 || asked < 500 {
        let address = format!("acme/product/product/p-{}", asked % 8);
        watched(stage.call(&address, &format!("yield 1 {asked}"))).await.unwrap();
        asked += 1;
    }
    let done: usize = stage.log.done.lock().values().map(Vec::len).sum();
    assert_eq!(done as u64, asked + 1);
    assert_eq!(stage.log.most_at_once(), 1);
    let tree = stage.directory.tree();
    let platform = tree.iter().find(|line| line.name == "product/product").unwrap();
    assert_eq!((platform.restarts, platform.state), (1, ActorState::Live));
}

#[tokio::test]
async fn a_panicking_service_is_a_failure_like_any_other() {
    let stage = stage(patient()).await;
    let starts = Arc::new(AtomicU32::new(0));
    let counted = starts.clone();
    let panicking = ServiceSpec::new("panicking", move |token| {
        assert_ne!(counted.fetch_add(1, Ordering::Relaxed), u32::MAX);
        let first = counted.load(Ordering::Relaxed) == 1;
        async move {
            if first {
                panic!("told to");
            }
            token.cancelled().await;
            Ok(())
        }
    });
    stage.tree.serve("product", panicking).unwrap();
    until("it is up again", || starts.load(Ordering::Relaxed) == 2).await;
    let tree = stage.directory.tree();
    let line = tree.iter().find(|line| line.kind == ActorKind::Service).unwrap();
    assert_eq!((line.state, line.restarts), (ActorState::Live, 1));
    assert_eq!(line.last_error.as_deref(), Some("panicked: told to"));
    assert_eq!(line.parent.as_deref(), Some("product/product"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_ignores_its_token_is_killed() {
    let tree = Tree::start(TREE, Arc::new(PausedClock(tokio::time::Instant::now()))).await.unwrap();
    let deaf = ServiceSpec::new("deaf", |_| std::future::pending());
    tree.serve("product", deaf).unwrap();
    tokio::task::yield_now().await;
    assert!(tree.stop(Duration::from_secs(60)).await);
}

/// tokio's clock, which stands still until everyone waits.
struct PausedClock(tokio::time::Instant);

impl mesh_kernel::ports::Clock for PausedClock {
    fn now(&self) -> mesh_kernel::envelope::Timestamp {
        mesh_kernel::envelope::Timestamp::default().plus(self.0.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What was told at WARN or above.
#[derive(Clone, Default)]
struct Alarms(Arc<Mutex<Vec<String>>>);

impl std::io::Write for Alarms {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().push(String::from_utf8_lossy(text).into_owned());
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_clean_stop_alarms_nobody() {
    let alarms = Alarms::default();
    let writer = alarms.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(move || writer.clone()).finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let stage = stage(patient()).await;
    stage.tree.serve("control-plane", noted("a", &Order::default())).unwrap();
    for n in 0..5 {
        stage.call(&format!("acme/control-plane/run/run-{n}"), "ok 1 1").await.unwrap();
    }
    stage.directory.drain(Duration::from_secs(10)).await;
    assert!(stage.tree.stop(Duration::from_secs(10)).await);
    assert!(alarms.0.lock().is_empty(), "{:?}", alarms.0.lock());
    // And the ear is not deaf.
    tracing::warn!("heard");
    assert_eq!(alarms.0.lock().len(), 1);
}

#[tokio::test]
async fn the_tree_shows_what_a_service_has_done_and_holds() {
    let stage = stage(patient()).await;
    let counting = ServiceSpec::metered("counting", |token, meter| async move {
        meter.holds(5);
        meter.handled(3);
        token.cancelled().await;
        Ok(())
    });
    stage.tree.serve("product", counting).unwrap();
    let line = || stage.directory.tree().into_iter().find(|line| line.name == "product/product/counting").unwrap();
    until("it has counted", || line().handled == 3).await;
    assert_eq!(line().depth, 2);
}

//! The traps of ractor that the actor floor is built around, pinned against the version in use.
//!
//! The floor relies on some of these facts and is safe against the others. When an upgrade changes
//! one, the test that names it fails, and the floor is looked at before the upgrade is taken.

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
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use actor::{ask, patient, soon, stage, until, watched};
use mesh_kernel::{actor::Lane, envelope::Address};
use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef, ActorStatus, SpawnErr, SupervisionEvent};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What a child is told to do.
#[derive(Debug)]
enum Do {
    Count,
    Panic,
    Fail,
    Hang,
    Block(Duration),
    Span,
}

/// What was seen of it.
#[derive(Default)]
struct Seen {
    handled: AtomicU32,
    post_stops: AtomicU32,
    drops: AtomicU32,
    spans: Mutex<Vec<Option<&'static str>>>,
    events: Mutex<Vec<String>>,
}

struct Child {
    fails_to_start: bool,
}

/// A child's state: its drop is what the floor relies on.
struct Dropped(Arc<Seen>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Ordering::SeqCst);
    }
}

impl Actor for Child {
    type Msg = Do;
    type State = Dropped;
    type Arguments = Arc<Seen>;

    async fn pre_start(&self, _: ActorRef<Do>, seen: Arc<Seen>) -> Result<Dropped, ActorProcessingErr> {
        let state = Dropped(seen);
        if self.fails_to_start { Err("told to".into()) } else { Ok(state) }
    }

    async fn post_stop(&self, _: ActorRef<Do>, state: &mut Dropped) -> Result<(), ActorProcessingErr> {
        state.0.post_stops.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Do>, message: Do, state: &mut Dropped) -> Result<(), ActorProcessingErr> {
        match message {
            Do::Count => tokio::task::yield_now().await,
            Do::Panic => panic!("told to"),
            Do::Fail => return Err("told to".into()),
            Do::Hang => std::future::pending().await,
            Do::Block(time) => std::thread::sleep(time),
            Do::Span => {
                let span = tracing::Span::current();
                state.0.spans.lock().push(span.metadata().map(|metadata| metadata.name()));
            }
        }
        state.0.handled.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A parent that writes down what it hears and survives it.
struct Parent;

impl Actor for Parent {
    type Msg = ();
    type State = Arc<Seen>;
    type Arguments = Arc<Seen>;

    async fn pre_start(&self, _: ActorRef<()>, seen: Arc<Seen>) -> Result<Arc<Seen>, ActorProcessingErr> {
        Ok(seen)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        seen: &mut Arc<Seen>,
    ) -> Result<(), ActorProcessingErr> {
        let told = match &event {
            SupervisionEvent::ActorStarted(_) => return Ok(()),
            SupervisionEvent::ActorTerminated(_, state, reason) => {
                let state = if state.is_some() { "state" } else { "no state" };
                format!("terminated, {state}, {}", reason.as_deref().unwrap_or("-"))
            }
            SupervisionEvent::ActorFailed(_, error) => format!("failed, {error}"),
            _ => "another event".to_owned(),
        };
        seen.events.lock().push(told);
        Ok(())
    }
}

/// A parent with ractor's own supervision handler.
struct Naive;

impl Actor for Naive {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

const CHILD: Child = Child { fails_to_start: false };

type Handle = tokio::task::JoinHandle<()>;

async fn family() -> (Arc<Seen>, ActorRef<()>, ActorRef<Do>, Handle) {
    // The hook that silences panics that were asked for.
    drop(stage(patient()).await);
    let seen = Arc::new(Seen::default());
    let (parent, _) = Parent::spawn(None, Parent, seen.clone()).await.unwrap();
    let (child, handle) = Child::spawn_linked(None, CHILD, seen.clone(), parent.get_cell()).await.unwrap();
    (seen, parent, child, handle)
}

fn count(counter: &AtomicU32) -> u32 {
    counter.load(Ordering::SeqCst)
}

/// T5, T6, T24: the seven ends of an actor. `post_stop` runs in two of them, the event tells the
/// truth in five, and the state is dropped in all: so the end is told by the state's drop.
#[tokio::test]
async fn every_end_drops_the_state_once_and_post_stop_is_no_place_to_clean_up() {
    type End = fn(&ActorRef<Do>, &Handle);
    let table: [(&str, End, u32, &str); 6] = [
        ("stop", |child, _| child.stop(Some("asked".to_owned())), 1, "terminated, state, asked"),
        ("drain", |child, _| child.drain().unwrap(), 1, "terminated, state, Drained"),
        ("panic", |child, _| child.send_message(Do::Panic).unwrap(), 0, "failed, told to"),
        ("error", |child, _| child.send_message(Do::Fail).unwrap(), 0, "failed, told to"),
        ("kill", |child, _| child.kill(), 0, "terminated, state, killed"),
        ("abort", |_, handle| handle.abort(), 0, "terminated, no state, actor_task_cancelled"),
    ];
    for (name, end, post_stops, event) in table {
        let (seen, _parent, child, handle) = family().await;
        child.send_message(Do::Count).unwrap();
        until("it counted", || count(&seen.handled) == 1).await;
        end(&child, &handle);
        until("the parent heard of it", || !seen.events.lock().is_empty()).await;
        let _ = watched(handle).await;
        until("the state is dropped", || count(&seen.drops) == 1).await;
        assert_eq!(count(&seen.post_stops), post_stops, "{name}");
        assert_eq!(*seen.events.lock(), [event], "{name}");
    }
    // The seventh: its supervisor ends (T8).
    let (seen, parent, _child, handle) = family().await;
    parent.stop(None);
    let _ = watched(handle).await;
    until("the state is dropped", || count(&seen.drops) == 1).await;
    assert_eq!(count(&seen.post_stops), 0);
    assert!(seen.events.lock().is_empty(), "a child's end was reported to a parent that is gone");
}

/// T2, T3: a stop throws the backlog away, and a message after it is still taken.
#[tokio::test]
async fn a_stop_throws_the_backlog_away_and_says_nothing() {
    let (seen, _parent, child, handle) = family().await;
    for _ in 0..100 {
        child.send_message(Do::Count).unwrap();
    }
    child.stop(None);
    assert!(child.send_message(Do::Count).is_ok(), "a message after a stop is refused now");
    let _ = watched(handle).await;
    assert!(count(&seen.handled) < 100, "the backlog is handled now");
}

/// T4: a drain refuses what is new and handles what is old, however long it takes.
#[tokio::test]
async fn a_drain_handles_the_backlog_and_refuses_what_is_new() {
    let (seen, _parent, child, handle) = family().await;
    for _ in 0..100 {
        child.send_message(Do::Count).unwrap();
    }
    child.drain().unwrap();
    assert!(child.send_message(Do::Count).is_err());
    let _ = watched(handle).await;
    assert_eq!(count(&seen.handled), 100);
}

/// T7: ractor's own handler ends the supervisor when a child ends, even in good order; so the floor
/// has supervisors of its own.
#[tokio::test]
async fn a_naive_parent_ends_with_its_first_child() {
    let seen = Arc::new(Seen::default());
    let (parent, over) = Naive::spawn(None, Naive, ()).await.unwrap();
    let (child, _) = Child::spawn_linked(None, CHILD, seen.clone(), parent.get_cell()).await.unwrap();
    let (sibling, ended) = Child::spawn_linked(None, CHILD, seen.clone(), parent.get_cell()).await.unwrap();
    child.stop(None);
    let _ = watched(over).await;
    let _ = watched(ended).await;
    assert_eq!(sibling.get_status(), ActorStatus::Stopped);
    assert_eq!(count(&seen.post_stops), 1, "the sibling was killed and not stopped");
}

/// T9: a failed start is an error for whoever spawns and an event for nobody. The arguments are
/// dropped, and that is how the floor hears of it.
#[tokio::test]
async fn a_failed_start_is_told_to_the_spawner_alone() {
    let (seen, parent, _child, _) = family().await;
    let failing = Child { fails_to_start: true };
    let started = Child::spawn_linked(None, failing, seen.clone(), parent.get_cell()).await;
    assert!(matches!(started, Err(SpawnErr::StartupFailed(_))));
    assert_eq!(count(&seen.drops), 1);
    let (_, handle) = Child::spawn_linked(None, CHILD, seen.clone(), parent.get_cell()).await.unwrap();
    handle.abort();
    until("a later event", || !seen.events.lock().is_empty()).await;
    assert_eq!(seen.events.lock().len(), 1, "the failed start is an event now");
}

/// T9: an actor cannot be started under a parent that is gone; its state is dropped all the same.
#[tokio::test]
async fn a_parent_that_is_gone_takes_no_child() {
    let (seen, parent, _child, _) = family().await;
    parent.stop(None);
    until("the parent is gone", || parent.get_status() == ActorStatus::Stopped).await;
    until("its child is gone", || count(&seen.drops) == 1).await;
    let started = Child::spawn_linked(None, CHILD, seen.clone(), parent.get_cell()).await;
    assert!(started.is_err());
    assert_eq!(count(&seen.drops), 2);
}

/// T11: a kill ends a handler that awaits, and waits for one that does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_waits_for_a_handler_that_blocks_its_thread() {
    let (seen, _parent, child, handle) = family().await;
    child.send_message(Do::Hang).unwrap();
    until("it hangs", || child.get_status() == ActorStatus::Running).await;
    child.kill();
    let _ = watched(handle).await;
    until("the state is dropped", || count(&seen.drops) == 1).await;
    let (seen, _parent, child, handle) = family().await;
    let began = Instant::now();
    child.send_message(Do::Block(Duration::from_millis(300))).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    child.kill();
    let _ = watched(handle).await;
    assert!(began.elapsed() >= Duration::from_millis(299), "a kill interrupts a blocked thread now");
    until("the state is dropped", || count(&seen.drops) == 1).await;
}

/// T12: a `call` that timed out is executed all the same; the floor looks at the deadline first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ask_whose_asker_has_gone_is_executed_all_the_same() {
    let (seen, _parent, child, _handle) = family().await;
    child.send_message(Do::Block(Duration::from_millis(100))).unwrap();
    child.send_message(Do::Count).unwrap();
    until("both were executed", || count(&seen.handled) == 2).await;
}

/// T15: names are global and free only when the old loop has ended; the floor names nothing.
#[tokio::test]
async fn the_floor_registers_no_names() {
    let seen = Arc::new(Seen::default());
    let name = || Some("a-name".to_owned());
    let (child, handle) = Child::spawn(name(), CHILD, seen.clone()).await.unwrap();
    child.stop(None);
    let again = Child::spawn(name(), CHILD, seen.clone()).await;
    assert!(matches!(again, Err(SpawnErr::ActorAlreadyRegistered(_))), "a name is free at once now");
    let _ = watched(handle).await;
    let stage = stage(patient()).await;
    for n in 0..1_000 {
        stage.call(&format!("acme/control-plane/run/run-{}", n % 10), "fail-once 1 1").await.unwrap();
    }
    assert_eq!(stage.log.starts.load(Ordering::Relaxed), 1_010);
    assert!(ractor::registry::registered().is_empty(), "{:?}", ractor::registry::registered());
}

/// T10: an entity that takes long to load holds nobody up: not its shard, not its siblings.
#[tokio::test]
async fn a_slow_wake_delays_no_sibling() {
    let stage = stage(patient()).await;
    let shard = |text: &str| text.parse::<Address>().unwrap().shard();
    let quick = "acme/control-plane/run/quick-0";
    let slow: Vec<String> = (0..10_000)
        .map(|n| format!("acme/control-plane/run/slow-{n}"))
        .filter(|text| shard(text) == shard(quick))
        .take(10)
        .collect();
    assert_eq!(slow.len(), 10);
    for address in &slow {
        let (item, _) = ask(address, "ok 1 1");
        stage.directory.deliver(item, Lane::Work, soon()).await.unwrap();
    }
    stage.call(quick, "fail-once 1 1").await.unwrap();
    stage.call(quick, "ok 1 2").await.unwrap();
}

/// T20, T21: the sender's span is not kept in the message, so a self-tell nests nothing.
#[tokio::test]
async fn a_message_carries_no_span() {
    let _guard = tracing_subscriber::fmt().with_writer(std::io::sink).set_default();
    let (seen, _parent, child, _handle) = family().await;
    let sender = tracing::info_span!("sender");
    sender.in_scope(|| child.send_message(Do::Span).unwrap());
    until("it was handled", || count(&seen.handled) == 1).await;
    assert_ne!(*seen.spans.lock(), [Some("sender")]);
}

/// T22: a panic must unwind, or it ends the process and not the actor.
#[test]
fn panics_unwind() {
    let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new("told to")));
    assert!(caught.is_err());
}

/// T18, T27: a thousand entities that die at once are supervised and delay nobody for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_crashes_is_survived() {
    let stage = stage(patient()).await;
    let mut answers = Vec::new();
    for n in 0..1_000 {
        let (item, answer) = ask(&format!("acme/governance/approval/a-{n}"), "fail-once 1 1");
        stage.directory.deliver(item, Lane::Work, soon()).await.unwrap();
        answers.push(answer);
    }
    stage.call("acme/control-plane/run/run-1", "ok 1 1").await.unwrap();
    for answer in answers {
        assert_eq!(watched(answer).await.unwrap().unwrap().version, 2);
    }
    assert_eq!(stage.log.most_at_once(), 1);
}

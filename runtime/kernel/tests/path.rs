//! The eight steps, on a real journal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that fails shall panic, and its tasks end with it"
)]

mod support;

use std::sync::{Arc, atomic::Ordering};

use mesh_kernel::{
    envelope::{Envelope, ErrorKind},
    follow::{Reaction, Reactor, resume, run_reactor},
    ports::{Cursor, Cursors, Journal},
};
use support::{Ask, Kernel, address, ask, keyed, payload, until};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenants_entity_is_not_found_whatever_one_asks() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let (acme, zeta) = (kernel.caller("acme:admin"), kernel.caller("zeta:admin"));
    kernel.mesh.send(&acme, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap();
    let there = address("acme", "c");
    let command = kernel.mesh.send(&zeta, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap_err();
    let query = kernel.mesh.query(&zeta, &there, "GetCounter", "").await.unwrap_err();
    let history = kernel.mesh.history(&zeta, &there, 1).await.unwrap_err();
    for refusal in [command, query, history] {
        assert_eq!(refusal.kind, ErrorKind::NotFound);
    }
    assert!(zeta.acting_for(acme.tenant().clone()).is_err());
    let mut events = kernel.mesh.subscribe(&zeta, None).unwrap();
    assert!(events.poll().await.unwrap().is_empty(), "one tenant followed another's events");
    let mut events = kernel.mesh.subscribe(&acme, None).unwrap();
    assert_eq!(events.poll().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_gets_the_first_answer() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    let add = |by| keyed(ask("acme", "c", &Ask::AddCount { by }), "once");
    let first = kernel.mesh.send(&caller, add(3)).await.unwrap();
    let again = kernel.mesh.send(&caller, add(3)).await.unwrap();
    assert!(!first.repeated && again.repeated);
    assert_eq!(first.events[0].event_id, again.events[0].event_id);
    assert_eq!(again.view["count"], 3);
    // And also by an incarnation that never saw the first one.
    kernel.crash().await;
    let kernel = Kernel::start(folder.path()).await;
    let again = kernel.mesh.send(&kernel.caller("acme:admin"), add(3)).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.view["count"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_tried_again_after_its_record_is_answered_and_not_done_twice() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    let command = ask("acme", "c", &Ask::AddCount { by: 3 });
    let first = kernel.mesh.send(&caller, command.clone()).await.unwrap();
    // The same message once more, as it comes back from a handler that was killed; it has no key.
    let mut again = (*first.events[0]).clone();
    again.event_id = again.causation_id.clone();
    again.event_type = command.payload.name.clone();
    again.payload = command.payload.bytes.clone();
    again.headers.idempotency_key = None;
    let answered = kernel.mesh.replay(&caller, &again).await.unwrap();
    assert!(answered.repeated);
    assert_eq!(answered.events[0].event_id, first.events[0].event_id);
    let seen = kernel.mesh.query(&caller, &address("acme", "c"), "GetCounter", "").await.unwrap();
    assert_eq!(seen.view["count"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_speaks_of_an_old_version_is_told_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap();
    let mut stale = ask("acme", "c", &Ask::AddCount { by: 1 });
    stale.expected_version = Some(0);
    let refusal = kernel.mesh.send(&caller, stale).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Aborted);
    assert!(refusal.message.contains("it is at 1"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_is_denied_and_nothing_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let viewer = kernel.caller("acme:viewer");
    let refusal = kernel.mesh.send(&viewer, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::PermissionDenied);
    assert_eq!(kernel.journal.version(&address("acme", "c")).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_allow_is_recorded_with_what_it_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    let reply = kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap();
    let past = kernel.mesh.history(&caller, &address("acme", "c"), 1).await.unwrap();
    assert_eq!(past[0].envelope.headers.admitted_by, "test");
    assert_eq!(past[0].envelope.trace_id, reply.trace_id);
    assert_eq!(past[0].envelope.headers.principal.name, "key:admin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_breaks_its_entity_twice_is_a_dead_letter_and_its_neighbours_are_handled() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 5 })).await.unwrap();
    let refusal = kernel.mesh.send(&caller, ask("acme", "c", &Ask::BreakDown {})).await.unwrap_err();
    assert!(matches!(refusal.kind, ErrorKind::Unavailable | ErrorKind::Internal), "{refusal}");
    let reply = kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap();
    assert_eq!(reply.view["count"], 6, "state was lost or carried over");
    let morgue = kernel.morgue.0.lock().unwrap();
    assert_eq!(morgue.len(), 1);
    assert_eq!(&*morgue[0].envelope.event_type, "BreakDown");
    assert!(morgue[0].errors.iter().any(|error| error.contains("asked to break down")), "{:?}", morgue[0].errors);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entity_that_cannot_be_decoded_is_quarantined_and_stops_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    kernel.mesh.send(&caller, ask("acme", "bad", &Ask::AddCount { by: 1 })).await.unwrap();
    // While it is awake its state moved by the event as it was made; what was written is read at the next wake.
    kernel.mesh.send(&caller, ask("acme", "bad", &Ask::WriteNonsense {})).await.unwrap();
    kernel.crash().await;

    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    let after = kernel.mesh.send(&caller, ask("acme", "bad", &Ask::AddCount { by: 1 })).await.unwrap_err();
    assert!(matches!(after.kind, ErrorKind::Unavailable | ErrorKind::FailedPrecondition), "{after}");
    let reply = kernel.mesh.send(&caller, ask("acme", "good", &Ask::AddCount { by: 1 })).await.unwrap();
    assert_eq!(reply.view["count"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_is_asked_again_with_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    kernel.worker.mute.store(true, Ordering::SeqCst);
    let caller = kernel.caller("acme:admin");
    kernel.mesh.send(&caller, ask("acme", "c", &Ask::StartWork { name: "w".into() })).await.unwrap();
    until("the work", || kernel.worker.performed.lock().unwrap().len() == 1).await;
    kernel.crash().await;

    let kernel = Kernel::start(folder.path()).await;
    let resumed = resume(&kernel.mesh).await.unwrap();
    assert_eq!(resumed.woken, 1);
    until("the work again", || *kernel.worker.performed.lock().unwrap() == ["w"]).await;
    until("the outcome", || {
        futures_util::FutureExt::now_or_never(kernel.journal.version(&address("acme", "c")))
            .is_some_and(|v| v.unwrap() == 2)
    })
    .await;
    kernel.crash().await;

    let kernel = Kernel::start(folder.path()).await;
    resume(&kernel.mesh).await.unwrap();
    let caller = kernel.caller("acme:admin");
    let reply = kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap();
    assert_eq!(reply.view["done"], serde_json::json!(["w"]));
    assert!(kernel.worker.performed.lock().unwrap().is_empty(), "a recorded outcome was executed again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_entity_is_not_woken_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    for id in ["a", "b", "c"] {
        kernel.mesh.send(&caller, ask("acme", id, &Ask::AddCount { by: 1 })).await.unwrap();
    }
    kernel.crash().await;
    let kernel = Kernel::start(folder.path()).await;
    assert_eq!(resume(&kernel.mesh).await.unwrap().woken, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_equals_live() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    for by in 1..200 {
        kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by })).await.unwrap();
    }
    let live = kernel.mesh.query(&caller, &address("acme", "c"), "GetCounter", "").await.unwrap();
    kernel.crash().await;
    let kernel = Kernel::start(folder.path()).await;
    let replayed =
        kernel.mesh.query(&kernel.caller("acme:admin"), &address("acme", "c"), "GetCounter", "").await.unwrap();
    assert_eq!((live.version, live.view), (replayed.version, replayed.view));
}

/// Sends `AddCount` to `sum` for each `CountAdded` elsewhere.
struct Summing;

impl Reactor for Summing {
    fn name(&self) -> &'static str {
        "summing"
    }
    fn interests(&self) -> &'static [&'static str] {
        &["CountAdded"]
    }
    fn react(&self, event: &Envelope) -> Vec<Reaction> {
        if event.headers.subject.id() == "sum" {
            return Vec::new();
        }
        let command = payload(&Ask::AddCount { by: 1 });
        vec![Reaction { to: address(event.tenant_id.as_str(), "sum"), command, handler: "sum" }]
    }
}

/// Cursors that forget: as after a crash between effect and cursor.
struct Forgetful;

impl Cursors for Forgetful {
    fn load(&self, _follower: &str) -> Option<Cursor> {
        None
    }
    fn store(&self, _follower: &str, _cursor: &Cursor) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reactor_that_died_after_sending_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    for id in ["a", "b", "c"] {
        kernel.mesh.send(&caller, ask("acme", id, &Ask::AddCount { by: 7 })).await.unwrap();
    }
    for _ in 0..3 {
        let stop = CancellationToken::new();
        let journal: Arc<dyn Journal> = kernel.journal.clone();
        let reactor = mesh_kernel::task::spawn(
            "test",
            run_reactor(
                kernel.mesh.clone(),
                journal,
                Arc::new(Summing),
                Arc::new(Forgetful),
                stop.clone(),
                Arc::default(),
            ),
        );
        until("the sum", || {
            futures_util::FutureExt::now_or_never(kernel.journal.version(&address("acme", "sum")))
                .is_some_and(|v| v.unwrap() >= 3)
        })
        .await;
        // Time to do something twice, if it would.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        stop.cancel();
        reactor.await.unwrap().unwrap();
    }
    let sum = kernel.mesh.query(&caller, &address("acme", "sum"), "GetCounter", "").await.unwrap();
    assert_eq!(sum.view["count"], 3);
}

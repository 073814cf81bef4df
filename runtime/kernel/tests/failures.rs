//! Rows of the failure table that need no process to die: what a crash leaves behind is made within one.
//! The same rows, with a process that dies in each, are in `tests/failure_table.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that fails shall panic, and its tasks end with it"
)]

mod support;

use mesh_kernel::{
    actor::Bounds,
    envelope::{ErrorKind, Retry},
    follow::resume,
    path::Settings,
    ports::Journal as _,
    tenant::Quota,
};
use support::{Ask, Kernel, address, ask, until};

const NO_ROOM: Bounds = Bounds { items: 0, bytes: 0 };

async fn count(kernel: &Kernel) -> serde_json::Value {
    let caller = kernel.caller("acme:admin");
    kernel.mesh.query(&caller, &address("acme", "c"), "GetCounter", "").await.unwrap().view["count"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_lost_before_admission_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    let before = kernel.journal.durable();
    // Its sender goes away before it is looked at.
    drop(kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1 })));
    assert_eq!(kernel.journal.durable(), before);
    kernel.crash().await;
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    let seen = kernel.mesh.query(&caller, &address("acme", "c"), "GetCounter", "").await.unwrap_err();
    assert_eq!(seen.kind, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserved_quota_is_free_again_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let quota = Quota { burst: 3.0, per_second: 1.0, ..Quota::default() };
    let kernel = Kernel::start_metered(folder.path(), quota).await;
    let caller = kernel.caller("acme:admin");
    // The clock stands, so nothing flows back; what it is spent on changes nothing.
    for _ in 0..3 {
        let _unchanged = kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 0 })).await;
    }
    let refusal = kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap_err();
    assert!(refusal.kind == ErrorKind::ResourceExhausted && matches!(refusal.retry, Retry::After(_)), "{refusal:?}");
    kernel.crash().await;
    let kernel = Kernel::start_metered(folder.path(), quota).await;
    kernel.mesh.send(&kernel.caller("acme:admin"), ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap();
    assert_eq!(count(&kernel).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waking_is_invisible() {
    let (asleep, awake) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut answers = Vec::new();
    for (folder, sleeps) in [(asleep.path(), true), (awake.path(), false)] {
        let mut kernel = Kernel::start(folder).await;
        let mut told = Vec::new();
        for by in 1..=5 {
            let reply =
                kernel.mesh.send(&kernel.caller("acme:admin"), ask("acme", "c", &Ask::AddCount { by })).await.unwrap();
            told.push((reply.version, reply.repeated, reply.events.len(), reply.view));
            if sleeps {
                kernel.crash().await;
                kernel = Kernel::start(folder).await;
            }
        }
        answers.push(told);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_was_not_recorded_never_happened() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap();
    kernel.journal.close().await;
    let mut late = ask("acme", "c", &Ask::AddCount { by: 10 });
    late.timeout = Some(std::time::Duration::from_millis(200));
    kernel.mesh.send(&caller, late).await.unwrap_err();
    kernel.crash().await;
    let kernel = Kernel::start(folder.path()).await;
    assert_eq!(count(&kernel).await, 1);
    kernel.mesh.send(&kernel.caller("acme:admin"), ask("acme", "c", &Ask::AddCount { by: 2 })).await.unwrap();
    assert_eq!(count(&kernel).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_that_never_ran_runs() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start_bounded(folder.path(), Settings::default(), NO_ROOM).await;
    // The one place without room is taken by the first.
    kernel.worker.mute.store(true, std::sync::atomic::Ordering::SeqCst);
    let caller = kernel.caller("acme:admin");
    kernel.mesh.send(&caller, ask("acme", "c", &Ask::StartWork { name: "w".to_owned() })).await.unwrap();
    kernel.crash().await;
    let kernel = Kernel::start(folder.path()).await;
    resume(&kernel.mesh).await.unwrap();
    until("the work", || kernel.worker.performed.lock().unwrap().as_slice() == ["w"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_outcome_is_never_executed_again() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    kernel.mesh.send(&caller, ask("acme", "c", &Ask::StartWork { name: "w".to_owned() })).await.unwrap();
    until("the outcome", || {
        futures_util::FutureExt::now_or_never(kernel.journal.version(&address("acme", "c")))
            .is_some_and(|version| version.unwrap() == 2)
    })
    .await;
    kernel.crash().await;
    let kernel = Kernel::start(folder.path()).await;
    resume(&kernel.mesh).await.unwrap();
    kernel.mesh.send(&kernel.caller("acme:admin"), ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap();
    assert!(kernel.worker.performed.lock().unwrap().is_empty(), "it was executed again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_never_fork_an_entity() {
    let folder = tempfile::tempdir().unwrap();
    let one = Kernel::start(folder.path()).await;
    let other = one.beside().await;
    let adds = |kernel: &Kernel| {
        let (mesh, caller) = (kernel.mesh.clone(), kernel.caller("acme:admin"));
        async move {
            let mut done = 0_u64;
            for _ in 0..100 {
                match mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1 })).await {
                    Ok(_) => done += 1,
                    Err(refusal) => assert_eq!(refusal.kind, ErrorKind::Aborted, "{refusal:?}"),
                }
            }
            done
        }
    };
    let (first, second) = tokio::join!(adds(&one), adds(&other));
    assert!(first > 0 && second > 0, "{first} and {second}");
    let versions: Vec<u64> =
        one.journal.read(&address("acme", "c"), 1).await.unwrap().into_iter().map(|record| record.version).collect();
    assert_eq!(versions, (1..=first + second).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_owner_wakes_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let frozen = Kernel::start(folder.path()).await;
    let caller = frozen.caller("acme:admin");
    frozen.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap();
    // While it believes that it is at version 1, somebody else goes on.
    let other = frozen.beside().await;
    for by in [10, 100] {
        other.mesh.send(&other.caller("acme:admin"), ask("acme", "c", &Ask::AddCount { by })).await.unwrap();
    }
    let reply = frozen.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1000 })).await.unwrap();
    assert_eq!((reply.version, &reply.view["count"]), (4, &serde_json::json!(1111)));
}

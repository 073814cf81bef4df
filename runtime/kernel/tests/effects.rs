//! Effects that find no worker free: they wait within bounds, or are asked for again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that fails shall panic, and its tasks end with it"
)]

mod support;

use std::sync::atomic::Ordering;

use mesh_kernel::{actor::Bounds, path::Settings};
use support::{Ask, Kernel, ask, until};

const TIGHT: Bounds = Bounds { items: 4, bytes: 1 << 20 };

fn start(name: String) -> Ask {
    Ask::StartWork { name }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entity_that_stays_awake_asks_again_for_what_found_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start_bounded(folder.path(), Settings::default(), TIGHT).await;
    kernel.worker.mute.store(true, Ordering::SeqCst);
    let caller = kernel.caller("acme:admin");
    for n in 0..40 {
        kernel.mesh.send(&caller, ask("acme", "busy", &start(format!("w{n}")))).await.unwrap();
    }
    // 12 of one tenant run, and 2 wait: half of the line.
    assert_eq!(kernel.mesh.workers().in_flight(), 14);
    // Those that are muted end when they are cancelled, as at a restart of what they talk to.
    kernel.worker.mute.store(false, Ordering::SeqCst);
    for n in 0..12 {
        let key = mesh_kernel::envelope::IdempotencyKey::parse(&format!("work.w{n}")).unwrap();
        kernel.mesh.workers().cancel(&support::address("acme", "busy"), &key);
    }
    let seen = async || {
        let answer = kernel.mesh.query(&caller, &support::address("acme", "busy"), "GetCounter", "").await.unwrap();
        answer.view["done"].as_array().unwrap().len()
    };
    for _ in 0..1000 {
        if seen().await == 28 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} of 28 were done", seen().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entities_that_fell_asleep_are_woken_for_what_found_no_room_and_no_tenant_for_anothers() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start_bounded(folder.path(), Settings::default(), TIGHT).await;
    kernel.worker.mute.store(true, Ordering::SeqCst);
    for n in 0..60 {
        let tenant = ["acme", "zeta", "tiny"][n % 3];
        let caller = kernel.caller(&format!("{tenant}:admin"));
        kernel.mesh.send(&caller, ask(tenant, &format!("c{n}"), &start(format!("{tenant}-{n}")))).await.unwrap();
    }
    assert!(kernel.mesh.workers().in_flight() <= 16 + 4, "more wait than the bound");
    // A restart: nobody is awake, everybody wants, and the line is as short as before.
    kernel.crash().await;
    let kernel = Kernel::start_bounded(folder.path(), Settings::default(), TIGHT).await;
    mesh_kernel::follow::resume(&kernel.mesh).await.unwrap();
    until("all are done", || kernel.worker.performed.lock().unwrap().len() == 60).await;
    for n in 0..60 {
        let tenant = ["acme", "zeta", "tiny"][n % 3];
        let caller = kernel.caller(&format!("{tenant}:admin"));
        let view = async || {
            let address = support::address(tenant, &format!("c{n}"));
            kernel.mesh.query(&caller, &address, "GetCounter", "").await.unwrap().view
        };
        for _ in 0..500 {
            if view().await["done"][0] == format!("{tenant}-{n}") {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(view().await["done"][0], format!("{tenant}-{n}"));
    }
}

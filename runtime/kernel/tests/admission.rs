//! What may come in: the same key for the same request alone, approvals that a command waits for,
//! denials that are counted, streams that are bounded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that fails shall panic, and its tasks end with it"
)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use mesh_kernel::{
    BoxFuture,
    envelope::{Address, Envelope, ErrorKind, Payload, Refusal, TenantId, TenantScope},
    follow::{DenialAudit, record_denials, run_denials},
    path::{Command, Settings},
    ports::{Approvals, Approved, Digest, Journal},
    tenant::Denials,
};
use support::{Ask, Kernel, address, ask, keyed, payload, until};
use tokio_util::sync::CancellationToken;

fn of_request(mut command: Command, request: &str) -> Command {
    command.request = Some(Digest::of(request.as_bytes()));
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_comes_back_with_another_request_is_refused_even_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    // A snapshot after each event: the digest must come through it as well.
    let settings = Settings { snapshot_every: 1, ..Settings::default() };
    let add = |by, request: &str| of_request(keyed(ask("acme", "c", &Ask::AddCount { by }), "once"), request);
    for round in 0..3 {
        let kernel = Kernel::start_with(folder.path(), settings).await;
        let caller = kernel.caller("acme:admin");
        let same = kernel.mesh.send(&caller, add(3, "a")).await.unwrap();
        assert_eq!((same.repeated, &same.view["count"]), (round > 0, &serde_json::json!(3)));
        let other = kernel.mesh.send(&caller, add(4, "b")).await.unwrap_err();
        assert_eq!((other.code.as_str(), other.kind), ("KER-0081", ErrorKind::AlreadyExists));
        assert_eq!(other.fields[0].field, "request_id");
        // Whoever says nothing about the request is answered by the key alone.
        let silent = keyed(ask("acme", "c", &Ask::AddCount { by: 5 }), "once");
        assert!(kernel.mesh.send(&caller, silent).await.unwrap().repeated);
        kernel.crash().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_changed_nothing_is_remembered_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    let add = |by, request: &str| of_request(keyed(ask("acme", "c", &Ask::AddCount { by }), "once"), request);
    kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap();
    let first = kernel.mesh.send(&caller, add(0, "nothing")).await.unwrap();
    assert!(first.events.is_empty() && !first.repeated);
    let other = kernel.mesh.send(&caller, add(7, "something")).await.unwrap_err();
    assert_eq!(other.kind, ErrorKind::AlreadyExists);
    let again = kernel.mesh.send(&caller, add(0, "nothing")).await.unwrap();
    assert!(again.repeated && again.events.is_empty());
    assert_eq!(again.version, first.version);
}

/// Keeps what is asked; grants when told to.
#[derive(Default)]
struct Desk {
    asked: Mutex<Vec<Envelope>>,
    granted: std::sync::atomic::AtomicBool,
}

impl Approvals for Desk {
    fn ask<'a>(
        &'a self,
        scope: &'a TenantScope,
        command: Envelope,
        policy: String,
    ) -> BoxFuture<'a, Result<Approved, Refusal>> {
        assert!(scope.covers(&command.tenant_id) && policy == "four-eyes");
        let mut asked = self.asked.lock().unwrap();
        if asked.is_empty() {
            asked.push(command);
        }
        let granted = self.granted.load(std::sync::atomic::Ordering::SeqCst);
        let answer = match granted {
            true => Ok(Approved { command: asked[0].clone(), approval: "appr-1".into() }),
            false => Err(Approved::waits("StartWork", "appr-1")),
        };
        Box::pin(async move { answer })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_needs_an_approval_waits_and_is_then_done_once_as_it_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Arc::new(Desk::default());
    let kernel = Kernel::start_asking(folder.path(), Settings::default(), desk.clone()).await;
    let caller = kernel.caller("acme:developer");
    let start = |name: &str| keyed(ask("acme", "c", &Ask::StartWork { name: name.into() }), "once");

    let waits = kernel.mesh.send(&caller, start("w")).await.unwrap_err();
    assert_eq!((waits.kind, waits.code.as_str()), (ErrorKind::FailedPrecondition, Approved::WAITS));
    assert_eq!(waits.details["approval"], "appr-1");
    assert_eq!(kernel.journal.version(&address("acme", "c")).await.unwrap(), 0, "it was done without the approval");

    desk.granted.store(true, std::sync::atomic::Ordering::SeqCst);
    let held = desk.asked.lock().unwrap()[0].clone();
    let approved = Approved { command: held, approval: "appr-1".into() };
    let first = kernel.mesh.release(caller.scope(), approved.clone()).await.unwrap();
    let second = kernel.mesh.release(caller.scope(), approved.clone()).await.unwrap();
    let repeat = kernel.mesh.send(&caller, start("another name")).await.unwrap();
    assert!(!first.repeated && second.repeated && repeat.repeated);
    assert_eq!(repeat.events[0].event_id, first.events[0].event_id);

    let event = kernel.mesh.history(&caller, &address("acme", "c"), 1).await.unwrap()[0].envelope.clone();
    assert_eq!(event.headers.admitted_by, "approval:appr-1");
    assert_eq!(event.headers.extensions[Approved::HEADER], "appr-1");
    assert_eq!(event.headers.principal.name, "key:developer");

    let zeta = kernel.caller("zeta:developer");
    let stolen = kernel.mesh.release(zeta.scope(), approved).await.unwrap_err();
    assert_eq!(stolen.kind, ErrorKind::NotFound, "a command of another tenant was released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_anybody_to_ask_what_needs_an_approval_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:developer");
    let refused = kernel.mesh.send(&caller, ask("acme", "c", &Ask::StartWork { name: "w".into() })).await.unwrap_err();
    assert_eq!((refused.kind, refused.code.as_str()), (ErrorKind::FailedPrecondition, Approved::WAITS));
    assert_eq!(kernel.journal.version(&address("acme", "c")).await.unwrap(), 0);
    let read = kernel.mesh.admit_read(&caller, "StartWork").unwrap_err();
    assert_eq!(read.code, "KER-0033", "a read cannot wait");
}

/// Adds one to the tenant's counter `denied` for each batch, and keeps the batches.
#[derive(Default)]
struct Ledger(Mutex<Vec<(TenantId, Denials)>>);

impl DenialAudit for Ledger {
    fn record(&self, tenant: &TenantId, denials: Denials) -> Option<(Address, Payload)> {
        self.0.lock().unwrap().push((tenant.clone(), denials));
        Some((address(tenant.as_str(), "denied"), payload(&Ask::AddCount { by: 1 })))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_denials_is_one_event_for_each_tenant_and_none_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    for _ in 0..100 {
        let viewer = kernel.caller("acme:viewer");
        kernel.mesh.send(&viewer, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap_err();
        kernel.mesh.admit_read(&viewer, "ListNothing").unwrap_err();
    }
    let zeta = kernel.caller("zeta:viewer");
    kernel.mesh.admit_stream(&zeta, "TailSecrets").unwrap_err();
    let ledger = Arc::new(Ledger::default());
    let stop = CancellationToken::new();
    let (mesh, stopped, audit) = (kernel.mesh.clone(), stop.clone(), ledger.clone());
    let running = mesh_kernel::task::spawn("test", async move {
        run_denials(&mesh, audit, Duration::from_millis(5), stopped).await;
    });
    until("both batches", || ledger.0.lock().unwrap().len() == 2).await;
    stop.cancel();
    running.await.unwrap();
    record_denials(&kernel.mesh, ledger.as_ref()).await;
    let batches = std::mem::take(&mut *ledger.0.lock().unwrap());
    assert_eq!(batches.len(), 2);
    for (tenant, denials) in &batches {
        let told: Vec<(&str, u64)> = denials.denied.iter().map(|line| (line.action.as_str(), line.count)).collect();
        match tenant.as_str() {
            "acme" => assert_eq!(told, [("AddCount", 100), ("ListNothing", 100)]),
            _ => assert_eq!(told, [("TailSecrets", 1)]),
        }
    }
    for tenant in ["acme", "zeta"] {
        let recorded = kernel.journal.version(&address(tenant, "denied")).await.unwrap();
        assert_eq!(recorded, 1, "{tenant}");
    }
}

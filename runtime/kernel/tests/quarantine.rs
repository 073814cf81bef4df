//! A quarantine is not forgotten with the process.

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

use mesh_kernel::{actor::DeadReason, telemetry::ActorState};
use support::{Ask, Kernel, address, ask, until};

fn state_of(kernel: &Kernel, id: &str) -> Option<(ActorState, String)> {
    let name = address("acme", id).to_string();
    let line = kernel.mesh.directory().tree().into_iter().find(|line| line.name == name)?;
    Some((line.state, line.last_error.as_deref().unwrap_or_default().to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_decoded_is_in_quarantine_again_after_a_restart_without_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    // It waits for work, so a restart wakes it.
    kernel.worker.mute.store(true, Ordering::SeqCst);
    kernel.mesh.send(&caller, ask("acme", "c", &Ask::StartWork { name: "w".into() })).await.unwrap();
    kernel.mesh.send(&caller, ask("acme", "c", &Ask::WriteNonsense {})).await.unwrap();
    let is_quarantined = |kernel: &Kernel| state_of(kernel, "c").is_some_and(|(s, _)| s == ActorState::Quarantined);
    assert!(!is_quarantined(&kernel));
    kernel.crash().await;
    let kernel = Kernel::start(folder.path()).await;
    mesh_kernel::follow::resume(&kernel.mesh).await.unwrap();
    until("an observer sees it", || is_quarantined(&kernel)).await;
    let (_, why) = state_of(&kernel, "c").unwrap();
    assert!(why.contains("NonsenseWritten"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_to_an_entity_that_cannot_be_decoded_is_a_dead_letter_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::start(folder.path()).await;
    let caller = kernel.caller("acme:admin");
    kernel.mesh.send(&caller, ask("acme", "c", &Ask::WriteNonsense {})).await.unwrap();
    kernel.crash().await;
    let kernel = Kernel::start(folder.path()).await;
    let refusal = kernel.mesh.send(&caller, ask("acme", "c", &Ask::AddCount { by: 1 })).await.unwrap_err();
    assert_eq!(refusal.code, "KER-0404");
    let letters = kernel.morgue.0.lock().unwrap();
    assert_eq!(letters.iter().map(|letter| letter.reason.clone()).collect::<Vec<_>>(), [DeadReason::Quarantined]);
    assert!(letters[0].errors.iter().any(|error| error.contains("NonsenseWritten")), "{letters:?}");
}

//! Who waits for whom: asks that would wait for themselves are refused, and no wait is for ever.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that fails shall panic, and its tasks end with it"
)]

mod actor;

use actor::{patient, stage, tell, until, watched};
use mesh_kernel::{
    actor::Lane,
    envelope::{ErrorKind, Retry},
};

const A: &str = "acme/control-plane/run/a";
const B: &str = "acme/control-plane/run/b";
const C: &str = "zeta/product/product/c";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ask_cycle_is_refused() {
    let stage = stage(patient()).await;
    for ring in [vec![A, A], vec![A, B, A], vec![A, B, C, A], vec![A, B, C, B]] {
        let way = ring[1..].join(" ");
        let refusal = watched(stage.call(ring[0], &format!("ask 1 1 {way}"))).await.unwrap_err();
        assert_eq!(
            (refusal.code.as_str(), refusal.kind, refusal.retry),
            ("KER-0411", ErrorKind::Aborted, Retry::Never)
        );
        let last = ring[ring.len() - 1];
        let first = ring.iter().position(|address| *address == last).unwrap();
        let told = ring[first..ring.len() - 1].join(" → ");
        assert!(refusal.message.contains(&format!("({told})")), "{refusal} does not tell {told}");
        // Nobody is stuck.
        for address in ring {
            stage.call(address, "ok 3 3").await.unwrap();
        }
    }
    // A message is taken off the sum a moment after it was answered.
    until("nothing waits", || stage.directory.counts().queued_bytes == 0).await;
}

#[tokio::test]
async fn an_ask_that_comes_back_to_nobody_is_answered() {
    let stage = stage(patient()).await;
    watched(stage.call(A, &format!("ask 1 1 {B} {C}"))).await.unwrap();
    // The same ones once more, the other way round: nobody waits any longer.
    watched(stage.call(C, &format!("ask 1 1 {B} {A}"))).await.unwrap();
}

/// On one thread, so that both are full before either begins.
#[tokio::test]
async fn full_mailboxes_that_wait_for_each_other_do_so_until_their_deadlines() {
    let mut config = patient();
    config.mailbox.items = 1;
    config.lane.items = 1;
    let stage = stage(config).await;
    // Each holds the only place of its mailbox while it waits for the other's.
    stage.directory.try_deliver(tell(A, &format!("push 1 1 {B}")), Lane::Work).unwrap();
    stage.directory.try_deliver(tell(B, &format!("push 1 1 {A}")), Lane::Work).unwrap();
    until("both are done", || {
        let counts = stage.directory.counts();
        counts.accepted >= 2 && counts.accepted == counts.handled
    })
    .await;
    let refused = stage.log.refused.lock();
    assert!(!refused.is_empty(), "nobody had to wait");
    assert!(refused.iter().all(|refusal| refusal.code == "KER-0400"), "{refused:?}");
}

//! Bounds and fairness: no queue grows without one, and who floods waits behind itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that fails shall panic, and its tasks end with it"
)]

mod actor;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use actor::{Stage, envelope, patient, soon, stage, tell, until, watched};
use mesh_kernel::{
    actor::{Bounds, Item, Lane},
    envelope::{ErrorKind, Retry, TenantId},
};

const TENANTS: u64 = 8;
const MAILBOX: Bounds = Bounds { items: 64, bytes: 48 * 1024 };
const NODE: usize = 128 * 1024;
const BATCH: usize = 64;

fn of_tenant(tenant: u64) -> String {
    format!("tenant-{tenant}/control-plane/run/run-1")
}

/// Ten times what fits, in one go; what was taken and what was refused.
async fn flood(stage: Arc<Stage>, tenant: u64) -> (u64, u64) {
    let (mut taken, mut refused) = (0, 0);
    for seq in 0..10 * MAILBOX.items as u64 {
        let verb = if seq % 16 == 1 { "yield" } else { "ok" };
        let text = format!("{verb} {tenant} {seq} {}", "x".repeat((seq % 7 * 200) as usize));
        match stage.directory.try_deliver(tell(&of_tenant(tenant), &text), Lane::Work) {
            Ok(()) => taken += 1,
            Err(undelivered) => {
                let refusal = undelivered.refusal;
                assert_eq!(refusal.kind, ErrorKind::ResourceExhausted, "{refusal}");
                assert!(matches!(refusal.retry, Retry::After(after) if !after.is_zero()), "{refusal:?}");
                refused += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    (taken, refused)
}

/// Looks at all mailboxes, each under its lock, until it is over.
fn look(stage: &Stage, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        for entity in stage.directory.tree().iter().filter(|line| line.tenant.is_some()) {
            assert!(entity.depth <= MAILBOX.items, "{entity:?}");
            assert!(entity.bytes <= MAILBOX.bytes, "{entity:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounds() {
    let mut config = patient();
    config.mailbox = MAILBOX;
    config.lane = MAILBOX;
    config.queued_bytes = NODE;
    let stage = Arc::new(stage(config).await);
    let over = Arc::new(AtomicBool::new(false));
    let looking = std::thread::spawn({
        let (stage, over) = (stage.clone(), over.clone());
        move || look(&stage, &over)
    });
    // While one message of each is in hand and waits, nothing moves: all bounds are reached.
    for tenant in 0..TENANTS {
        stage.directory.try_deliver(tell(&of_tenant(tenant), "nap 99 100"), Lane::Work).unwrap();
    }
    let floods: Vec<_> = (0..TENANTS).map(|tenant| tokio::spawn(flood(stage.clone(), tenant))).collect();
    let (mut taken, mut refused) = (TENANTS, 0);
    for flood in floods {
        let (more, not) = watched(flood).await.unwrap();
        taken += more;
        refused += not;
    }
    until("all is handled", || stage.directory.counts().handled == taken).await;
    over.store(true, Ordering::Relaxed);
    looking.join().unwrap();
    assert!(refused > 0, "the flood was none");
    let counts = stage.directory.counts();
    assert_eq!((counts.accepted, counts.queued_bytes, counts.dead), (taken, 0, 0));
    for tenant in 0..TENANTS {
        let done = stage.log.done(&of_tenant(tenant));
        assert!(done.iter().skip(1).map(|(_, seq)| seq).is_sorted(), "out of order");
    }
}

/// Memory of this process. **Units**: bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// A hundred megabytes go through a node that may hold an eighth of one.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_flat_while_a_flood_goes_through() {
    let mut config = patient();
    config.mailbox = MAILBOX;
    config.lane = MAILBOX;
    config.queued_bytes = NODE;
    let stage = Arc::new(stage(config).await);
    let large = "x".repeat(20_000);
    let mut after_a_tenth = 0;
    for seq in 0..5_000 {
        if seq == 500 {
            after_a_tenth = resident();
        }
        let mut item = tell(&of_tenant(seq % TENANTS), &format!("ok {} {seq} {large}", seq % TENANTS));
        while let Err(undelivered) = stage.directory.try_deliver(item, Lane::Work) {
            item = undelivered.item;
            tokio::task::yield_now().await;
        }
    }
    until("all is handled", || stage.directory.counts().handled == 5_000).await;
    let more = resident().saturating_sub(after_a_tenth);
    assert!(more < 32 * 1024 * 1024, "{more} bytes more than after a tenth of it");
}

#[tokio::test]
async fn the_nodes_bound_in_bytes_is_never_passed_and_control_goes_on() {
    let mut config = patient();
    config.queued_bytes = NODE;
    let stage = stage(config).await;
    let large = "x".repeat(4_000);
    let mut refusal = None;
    for tenant in 0..TENANTS {
        for seq in 0..20 {
            let item = tell(&of_tenant(tenant), &format!("ok {tenant} {seq} {large}"));
            if let Err(undelivered) = stage.directory.try_deliver(item, Lane::Work) {
                refusal = Some(undelivered.refusal);
            }
            assert!(stage.directory.counts().queued_bytes <= NODE);
        }
    }
    let refusal = refusal.expect("eight times more than fits was taken");
    assert_eq!((refusal.code.as_str(), refusal.kind), ("KER-0402", ErrorKind::ResourceExhausted));
    stage.directory.try_deliver(tell(&of_tenant(0), "ok 0 99"), Lane::Control).unwrap();
    until("all is handled", || stage.directory.counts().queued_bytes == 0).await;
    stage.call(&of_tenant(7), "ok 7 100").await.unwrap();
}

/// A message of this tenant to an entity that all of them share.
fn shared(tenant: u64, seq: u64) -> Item {
    let mut envelope = envelope(SHARED, &format!("yield {tenant} {seq}"));
    envelope.tenant_id = TenantId::parse(&format!("tenant-{tenant}")).unwrap();
    Item::new(Arc::new(envelope), None)
}

const SHARED: &str = "acme/control-plane/run/shared";
const FLOODER: u64 = 0;
const MANY: u64 = 64;

/// On one thread, so that nothing is handled between a look and a push.
#[tokio::test]
async fn fair() {
    let stage = Arc::new(stage(patient()).await);
    let over = Arc::new(AtomicBool::new(false));
    let flood = tokio::spawn({
        let (stage, over) = (stage.clone(), over.clone());
        async move {
            for seq in 0.. {
                if over.load(Ordering::Relaxed) {
                    return seq;
                }
                stage.directory.deliver(shared(FLOODER, seq), Lane::Work, soon()).await.unwrap();
            }
            0
        }
    });
    until("the flood fills the mailbox", || stage.directory.tree().iter().any(|line| line.depth >= 900)).await;
    let mut served = Vec::new();
    for round in 0..20_u64 {
        let before = stage.log.done(SHARED).len();
        for tenant in 1..MANY {
            // A full mailbox takes no more from anybody: who comes then waits, behind nobody but its own.
            let (directory, item) = (stage.directory.clone(), shared(tenant, round));
            if let Err(undelivered) = directory.try_deliver(item, Lane::Work) {
                let undelivered = undelivered.item;
                tokio::spawn(async move { directory.deliver(undelivered, Lane::Work, soon()).await.unwrap() });
            }
        }
        let control = 1_000 + round;
        let item = tell(SHARED, &format!("ok {control} 1"));
        stage.directory.try_deliver(item, Lane::Control).unwrap();
        until("everyone is served", || {
            let done = stage.log.done(SHARED);
            (1..MANY).all(|tenant| done.contains(&(tenant, round))) && done.contains(&(control, 1))
        })
        .await;
        let done = stage.log.done(SHARED);
        let place = |who: (u64, u64)| done.iter().position(|did| *did == who).unwrap() - before;
        assert!(place((control, 1)) <= BATCH, "control waited for {} messages", place((control, 1)));
        served.extend((1..MANY).map(|tenant| place((tenant, round))));
    }
    over.store(true, Ordering::Relaxed);
    watched(flood).await.unwrap();
    // In a queue without lanes everyone waits for all that came before: 900 messages and more.
    let most = served.iter().max().unwrap();
    assert!(*most <= 512, "someone waited for {most} messages");
}

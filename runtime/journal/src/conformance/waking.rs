//! Promises about who is woken, snapshots, and what a tenant has.

use std::collections::BTreeSet;

use bytes::Bytes;
use mesh_kernel::{
    envelope::{Address, TenantId, Timestamp},
    ports::{Append, AppendOutcome, Journal, Snapshot, Wake},
};

use super::{Engine, address, append, promise, request};

pub(super) async fn run(engine: &dyn Engine) {
    let journal = engine.open("waking").await;
    the_unfinished_are_those_whose_last_append_says_so(journal.as_ref()).await;
    a_snapshot_is_kept(journal.as_ref()).await;
    a_tenant_has_its_own_and_nothing_else(engine, journal.as_ref()).await;
    the_journal_says_how_it_is(journal.as_ref()).await;
    let mut unfinished = unfinished(journal.as_ref()).await;
    let settled = settle(journal.as_ref()).await;
    journal.close().await;
    unfinished.extend(settled);
    promise!("who is unfinished is known after a reopen");
    let journal = engine.open("waking").await;
    assert_eq!(self::unfinished(journal.as_ref()).await, unfinished);
    journal.close().await;
}

async fn unfinished(journal: &dyn Journal) -> BTreeSet<String> {
    let unfinished = journal.unfinished().await.unwrap_or_default();
    let told = unfinished.iter().map(|(address, wake)| format!("{address} {wake:?}"));
    told.collect()
}

async fn wake(journal: &dyn Journal, entity: &Address, after: u64, wake: Wake) {
    let outcome = journal.append(Append { wake, ..request(journal, entity, after, 1) }).await;
    assert!(matches!(outcome, AppendOutcome::Appended { .. }), "{outcome:?}");
}

async fn the_unfinished_are_those_whose_last_append_says_so(journal: &dyn Journal) {
    promise!("the unfinished are those whose last append says so");
    let now = address("acme/suite/woken/now");
    let later = address("acme/suite/woken/later");
    let done = address("acme/suite/woken/done");
    let at = Wake::At(Timestamp::from_unix_nanos(1_700_000_000_000_000_001));
    wake(journal, &now, 0, Wake::Now).await;
    wake(journal, &later, 0, Wake::Now).await;
    wake(journal, &later, 1, at).await;
    wake(journal, &done, 0, at).await;
    wake(journal, &done, 1, Wake::Idle).await;
    let expected: BTreeSet<String> = [format!("{now} {:?}", Wake::Now), format!("{later} {at:?}")].into();
    assert_eq!(unfinished(journal).await, expected);
}

/// Answers what must be unfinished after a close, beside what is so already.
async fn settle(journal: &dyn Journal) -> Vec<String> {
    promise!("a waiting that was settled is known after a close");
    let later = Wake::At(Timestamp::from_unix_nanos(42));
    let entity = |name: &str| address(&format!("acme/suite/settled/{name}"));
    let (woken, idle, old, over) = (entity("woken"), entity("idle"), entity("old"), entity("over"));
    wake(journal, &woken, 0, Wake::Idle).await;
    journal.settle(&woken, 1, Wake::Now);
    journal.settle(&woken, 1, later);
    wake(journal, &idle, 0, Wake::Now).await;
    journal.settle(&idle, 1, Wake::Idle);
    wake(journal, &old, 0, Wake::Idle).await;
    wake(journal, &old, 1, Wake::Now).await;
    journal.settle(&old, 1, later);
    wake(journal, &over, 0, Wake::Idle).await;
    journal.settle(&over, 1, Wake::Now);
    wake(journal, &over, 1, Wake::Idle).await;
    vec![format!("{woken} {later:?}"), format!("{old} {:?}", Wake::Now)]
}

async fn a_snapshot_is_kept(journal: &dyn Journal) {
    promise!("the newest snapshot is found, and none that knows more than the journal");
    let entity = address("acme/suite/woken/shot");
    append(journal, &entity, 0, 5).await;
    assert_eq!(journal.snapshot_get(&entity).await, None);
    let shot = |version| Snapshot { version, bytes: Bytes::from(format!("state at {version}")) };
    journal.snapshot_put(&entity, shot(2)).await;
    journal.snapshot_put(&entity, shot(4)).await;
    assert_eq!(journal.snapshot_get(&entity).await, Some(shot(4)));
    journal.snapshot_put(&entity, shot(3)).await;
    assert_eq!(journal.snapshot_get(&entity).await, Some(shot(4)), "an older one came late");
    let other = address("acme/suite/woken/other-shot");
    append(journal, &other, 0, 1).await;
    journal.snapshot_put(&other, shot(9)).await;
    assert_eq!(journal.snapshot_get(&other).await, None, "it knows more than the journal");
}

async fn a_tenant_has_its_own_and_nothing_else(engine: &dyn Engine, journal: &dyn Journal) {
    promise!("a tenant has its own entities and nothing else");
    append(journal, &address("globex/suite/woken/one"), 0, 1).await;
    append(journal, &address("globex/suite/woken/two"), 0, 1).await;
    let Ok(tenant) = TenantId::parse("globex") else {
        unreachable!("the suite's own tenant");
    };
    let scope = engine.scope(tenant);
    let own = journal.addresses(&scope).await.unwrap_or_default();
    let own: BTreeSet<&str> = own.iter().map(Address::as_str).collect();
    assert_eq!(own, ["globex/suite/woken/one", "globex/suite/woken/two"].into());
}

async fn the_journal_says_how_it_is(journal: &dyn Journal) {
    promise!("a healthy journal says so");
    let health = journal.health();
    assert_eq!(health.read_only, None);
    assert_eq!(health.durable, journal.durable());
    assert!(health.entities >= 5, "{health:?}");
}

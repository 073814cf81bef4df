//! Promises about the ends of entities and tenants.

use std::sync::Arc;

use mesh_kernel::{
    envelope::{Address, TenantId, TenantScope},
    ports::{
        AppendOutcome, Cursor, Epoch, Journal, JournalError, Position, Reclaim, Reclaimed, Retire, Snapshot, Wake,
    },
};

use super::{Engine, address, append, expected, following::everything, promise, read, request};

pub(super) async fn run(engine: &dyn Engine) {
    let journal = engine.open("retiring").await;
    let journal = journal.as_ref();
    a_retired_entity_has_ended(journal).await;
    an_entity_is_retired_at_its_version_and_in_its_epoch(journal).await;
    a_name_that_was_never_used_can_be_retired(journal).await;
    an_erased_tenant_has_ended_and_no_other(engine, journal).await;
    what_is_not_retired_outlives_a_reclaim(journal).await;
    journal.close().await;
    an_end_outlives_a_reopen(engine).await;
    a_follower_is_told_or_has_missed_nothing(engine).await;
}

async fn retire(journal: &dyn Journal, entity: &Address, version: u64) -> AppendOutcome {
    let epoch = journal.epoch(entity.shard());
    journal.retire(Retire { address: entity.clone(), expected_version: version, epoch }).await
}

fn recorded(outcome: &AppendOutcome) -> bool {
    matches!(outcome, AppendOutcome::Appended { .. })
}

async fn reclaim(journal: &dyn Journal, marks: Reclaim) -> Reclaimed {
    match journal.reclaim(marks).await {
        Ok(reclaimed) => reclaimed,
        Err(error) => unreachable!("room could not be reclaimed: {error}"),
    }
}

fn globex(engine: &dyn Engine) -> TenantScope {
    match TenantId::parse("globex") {
        Ok(tenant) => engine.scope(tenant),
        Err(error) => unreachable!("the suite's own tenant: {error}"),
    }
}

async fn is_over(journal: &dyn Journal, entity: &Address) {
    assert_eq!(journal.version(entity).await.ok(), Some(0), "{entity}");
    assert!(read(journal, entity, 1).await.is_empty(), "{entity} has events");
    assert_eq!(journal.snapshot_get(entity).await, None, "{entity}");
    let unfinished = journal.unfinished().await.unwrap_or_default();
    assert!(unfinished.iter().all(|(who, _)| who != entity), "{entity} is woken");
    for version in [0, 3] {
        let outcome = journal.append(request(journal, entity, version, 1)).await;
        assert_eq!(outcome, AppendOutcome::Retired, "{entity} at {version}");
    }
    assert_eq!(retire(journal, entity, 3).await, AppendOutcome::Retired, "{entity}, a second time");
}

async fn a_retired_entity_has_ended(journal: &dyn Journal) {
    promise!("a retired entity has ended, and its name is not used again");
    let (one, two) = (address("acme/suite/retired/one"), address("acme/suite/retired/two"));
    append(journal, &one, 0, 3).await;
    append(journal, &two, 0, 2).await;
    journal.settle(&one, 3, Wake::Now);
    journal.snapshot_put(&one, Snapshot { version: 3, bytes: "state".into() }).await;
    let outcome = retire(journal, &one, 3).await;
    assert!(matches!(outcome, AppendOutcome::Appended { version: 3, .. }), "{outcome:?}");
    is_over(journal, &one).await;
    assert_eq!(read(journal, &two, 1).await, expected(&two, 1, 2), "its neighbour");
}

async fn an_entity_is_retired_at_its_version_and_in_its_epoch(journal: &dyn Journal) {
    promise!("an entity is retired at its version and in its epoch, or not at all");
    let entity = address("acme/suite/retired/moving");
    append(journal, &entity, 0, 2).await;
    assert_eq!(retire(journal, &entity, 1).await, AppendOutcome::WrongVersion { actual: 2 });
    let current = journal.epoch(entity.shard());
    let old = Retire { address: entity.clone(), expected_version: 2, epoch: Epoch(current.0 - 1) };
    assert_eq!(journal.retire(old).await, AppendOutcome::Fenced { current });
    append(journal, &entity, 2, 1).await;
    assert_eq!(read(journal, &entity, 1).await, expected(&entity, 1, 3));
}

async fn a_name_that_was_never_used_can_be_retired(journal: &dyn Journal) {
    promise!("a name that was never used can be retired");
    let entity = address("acme/suite/retired/never");
    assert!(recorded(&retire(journal, &entity, 0).await));
    is_over(journal, &entity).await;
}

async fn an_erased_tenant_has_ended_and_no_other(engine: &dyn Engine, journal: &dyn Journal) {
    promise!("an erased tenant has ended with all that it had, and no other has");
    let theirs: Vec<Address> = (0..3).map(|n| address(&format!("globex/suite/retired/e-{n}"))).collect();
    let ours = address("globe/suite/retired/e-0");
    for entity in theirs.iter().chain([&ours]) {
        append(journal, entity, 0, 2).await;
    }
    let scope = globex(engine);
    for _ in 0..2 {
        let outcome = journal.erase(&scope).await;
        assert!(recorded(&outcome), "{outcome:?}");
        for entity in &theirs {
            is_over(journal, entity).await;
        }
        is_over(journal, &address("globex/suite/retired/later")).await;
        assert!(journal.addresses(&scope).await.unwrap_or_default().is_empty());
    }
    assert_eq!(read(journal, &ours, 1).await, expected(&ours, 1, 2), "a tenant whose name begins alike");
    let (fed, _) = everything(journal, None).await;
    assert!(fed.iter().all(|record| record.address.tenant() != scope.tenant()), "a feed of an erased tenant");
}

async fn what_is_not_retired_outlives_a_reclaim(journal: &dyn Journal) {
    promise!("what is not retired outlives a reclaim, whole and in order");
    let crowd: Vec<Address> = (0..40).map(|n| address(&format!("acme/suite/crowd/e-{n}"))).collect();
    for round in 0..5 {
        for entity in &crowd {
            append(journal, entity, round * 2, 2).await;
        }
    }
    let live = |n: usize| n.is_multiple_of(10);
    for (n, entity) in crowd.iter().enumerate().filter(|(n, _)| !live(*n)) {
        assert!(recorded(&retire(journal, entity, 10).await), "{n}");
    }
    let marks = Reclaim { seen: journal.durable(), tombstones_before: Position(0) };
    reclaim(journal, marks).await;
    for (n, entity) in crowd.iter().enumerate() {
        if live(n) {
            assert_eq!(read(journal, entity, 1).await, expected(entity, 1, 10), "{entity}");
            append(journal, entity, 10, 1).await;
            assert_eq!(read(journal, entity, 8).await, expected(entity, 8, 11), "{entity}");
        } else {
            is_over(journal, entity).await;
        }
    }
    in_order(journal, &crowd, live).await;
    assert_eq!(reclaim(journal, marks).await.erasing, 0, "an erased tenant is not gone");
    is_over(journal, &address("globex/suite/retired/e-0")).await;
}

/// A feed from the beginning has each living entity whole and in order.
async fn in_order(journal: &dyn Journal, crowd: &[Address], live: impl Fn(usize) -> bool) {
    let (fed, _) = everything(journal, None).await;
    for (n, entity) in crowd.iter().enumerate().filter(|(n, _)| live(*n)) {
        let own = fed.iter().filter(|record| record.address == *entity);
        let versions: Vec<u64> = own.map(|record| record.version).collect();
        assert_eq!(versions, (1..=11).collect::<Vec<u64>>(), "{n}");
    }
}

async fn an_end_outlives_a_reopen(engine: &dyn Engine) {
    promise!("an end outlives a reopen");
    let journal: Arc<dyn Journal> = engine.open("retiring").await;
    let journal = journal.as_ref();
    for over in ["acme/suite/retired/one", "acme/suite/retired/never", "globex/suite/retired/e-1"] {
        is_over(journal, &address(over)).await;
    }
    let two = address("acme/suite/retired/two");
    assert_eq!(read(journal, &two, 1).await, expected(&two, 1, 2), "its neighbour");
    let crowd = address("acme/suite/crowd/e-20");
    assert_eq!(read(journal, &crowd, 1).await, expected(&crowd, 1, 11));
    journal.close().await;
}

async fn a_follower_is_told_or_has_missed_nothing(engine: &dyn Engine) {
    promise!("a follower that missed what was freed is told, and no other is");
    let journal = engine.open("retiring-followed").await;
    let journal = journal.as_ref();
    let crowd: Vec<Address> = (0..40).map(|n| address(&format!("acme/suite/seen/e-{n}"))).collect();
    for entity in &crowd {
        append(journal, entity, 0, 8).await;
    }
    let mut early = None;
    if let Ok(mut feed) = journal.follow(None, None)
        && let Ok(followed) = feed.next().await
    {
        early = Some(followed);
    }
    let (all, late) = everything(journal, None).await;
    assert_eq!(all.len(), 320);
    let seen_by_late = journal.durable();
    for entity in &crowd {
        assert!(recorded(&retire(journal, entity, 8).await));
    }
    append(journal, &address("acme/suite/seen/after"), 0, 1).await;
    reclaim(journal, Reclaim { seen: seen_by_late, tombstones_before: Position(0) }).await;
    let (after, _) = everything(journal, Some(late)).await;
    assert_eq!(after.len(), 1, "a follower that had seen all of it");
    let early = early.unwrap_or_default();
    let seen = early.records.len();
    match rest(journal, early.cursor).await {
        Err(JournalError::Freed) => {}
        Err(error) => unreachable!("{error}"),
        Ok(count) => assert_eq!(count, 321 - seen, "events were missed in silence"),
    }
    journal.close().await;
}

async fn rest(journal: &dyn Journal, from: Cursor) -> Result<usize, JournalError> {
    let mut feed = journal.follow(None, Some(from))?;
    let mut count = 0;
    loop {
        match feed.poll().await?.records.len() {
            0 => return Ok(count),
            more => count += more,
        }
    }
}

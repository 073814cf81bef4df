//! Promises about feeds.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{join, join_all, poll_immediate},
};
use mesh_kernel::{
    envelope::{Address, Shard, TenantId},
    ports::{Cursor, Feed, Followed, Journal, JournalError, Recorded},
};

use super::{Engine, address, append, promise};

pub(super) async fn run(engine: &dyn Engine) {
    let journal = engine.open("following").await;
    a_feed_begins_at_the_beginning_and_goes_on_live(journal.as_ref()).await;
    a_cursor_never_skips_and_never_doubles(journal.as_ref()).await;
    a_shard_is_followed_alone(journal.as_ref()).await;
    a_dropped_wait_loses_nothing(journal.as_ref()).await;
    a_tenant_is_followed_alone(journal.as_ref()).await;
    a_quiet_tenants_feed_keeps_up(journal.as_ref()).await;
    strange_cursors_are_refused(journal.as_ref());
    let cursor = everything(journal.as_ref(), None).await.1;
    journal.close().await;
    a_cursor_outlives_a_reopen(engine, cursor).await;
}

async fn poll(feed: &mut Box<dyn Feed>) -> Followed {
    match feed.poll().await {
        Ok(followed) => followed,
        Err(error) => unreachable!("a feed failed: {error}"),
    }
}

fn follow(journal: &dyn Journal, shard: Option<Shard>, from: Option<Cursor>) -> Box<dyn Feed> {
    match journal.follow(shard, from) {
        Ok(feed) => feed,
        Err(error) => unreachable!("a feed was refused: {error}"),
    }
}

/// All records there are, and the cursor behind them.
pub(super) async fn everything(journal: &dyn Journal, from: Option<Cursor>) -> (Vec<Recorded>, Cursor) {
    let mut feed = follow(journal, None, from);
    let mut records = Vec::new();
    loop {
        let followed = poll(&mut feed).await;
        if followed.records.is_empty() {
            return (records, followed.cursor);
        }
        records.extend(followed.records);
    }
}

/// Versions of each entity run from `first` without a gap, positions grow within each shard, and
/// the bytes are those that were appended.
fn check(records: &[Recorded], first: &HashMap<Address, u64>) {
    let mut versions = first.clone();
    let mut positions = HashMap::new();
    for record in records {
        let version = versions.entry(record.address.clone()).or_insert(0);
        *version += 1;
        assert_eq!(record.version, *version, "{} has a gap or a repeat", record.address);
        let text = format!("{} {}", record.address, record.version);
        assert_eq!(*record.event.bytes(), Bytes::from(text));
        let before = positions.insert(record.address.shard(), record.position);
        assert!(before.is_none_or(|before| before < record.position), "positions do not grow");
    }
}

async fn a_feed_begins_at_the_beginning_and_goes_on_live(journal: &dyn Journal) {
    promise!("a feed begins at the beginning and goes on live");
    let one = address("acme/suite/followed/one");
    append(journal, &one, 0, 2).await;
    let mut feed = follow(journal, None, None);
    let followed = poll(&mut feed).await;
    assert_eq!(followed.records.len(), 2);
    check(&followed.records, &HashMap::new());
    let end = poll(&mut feed).await;
    assert!(end.records.is_empty(), "a feed that has caught up answered records");
    assert_eq!(end.position, journal.durable());
    assert!(feed.next().now_or_never().is_none(), "a feed that has caught up did not wait");
    let (followed, ()) = join(feed.next(), append(journal, &one, 2, 1)).await;
    let followed = followed.unwrap_or_default();
    assert_eq!(followed.records.first().map(|record| record.version), Some(3));
    assert!(followed.position >= journal.durable());
}

async fn a_cursor_never_skips_and_never_doubles(journal: &dyn Journal) {
    promise!("a cursor never skips and never doubles, wherever one resumes");
    for after in 0..20 {
        for entity in ["a", "b", "c"] {
            append(journal, &address(&format!("acme/suite/resumed/{entity}")), after, 1).await;
        }
    }
    let (all, _) = everything(journal, None).await;
    check(&all, &HashMap::new());
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        // A new feed for each answer: everything rests in the cursor.
        let mut feed = follow(journal, None, cursor.take());
        let followed = poll(&mut feed).await;
        if followed.records.is_empty() {
            break;
        }
        seen.extend(followed.records);
        cursor = Some(followed.cursor);
    }
    assert_eq!(seen, all);
}

async fn a_shard_is_followed_alone(journal: &dyn Journal) {
    promise!("the feeds of all shards together are the feed of all");
    let (all, _) = everything(journal, None).await;
    let mut count = 0;
    for number in 0..Shard::COUNT {
        let mut feed = follow(journal, Shard::new(number), None);
        loop {
            let followed = poll(&mut feed).await;
            if followed.records.is_empty() {
                break;
            }
            count += followed.records.len();
            let own = |record: &Recorded| record.address.shard().number() == number;
            assert!(followed.records.iter().all(own), "a record of another shard");
        }
    }
    assert_eq!(count, all.len());
}

/// How many events each of the tenants gets while it is followed.
const OF_EACH: [u64; 4] = [1, 40, 200, 200];

async fn a_tenant_is_followed_alone(journal: &dyn Journal) {
    promise!("the feed of a tenant answers all of its events while others append, and nothing of theirs");
    let tenants: Vec<Address> = (0..OF_EACH.len()).map(|n| address(&format!("tenant-{n}/suite/of/one"))).collect();
    let appending = join_all(tenants.iter().zip(OF_EACH).map(|(own, count)| async move {
        for after in 0..count {
            append(journal, own, after, 1).await;
        }
    }));
    let following = join_all(tenants.iter().zip(OF_EACH).map(|(own, count)| follow_one(journal, own.tenant(), count)));
    join(appending, following).await;
    for (own, count) in tenants.iter().zip(OF_EACH) {
        follow_one(journal, own.tenant(), count).await;
    }
}

/// Follows a tenant until it has seen so many events; some waits are dropped, some feeds resumed.
async fn follow_one(journal: &dyn Journal, tenant: &TenantId, count: u64) {
    let of = |from: Option<Cursor>| {
        let mut feed = follow(journal, None, from);
        feed.of(tenant);
        feed
    };
    let (mut seen, mut feed) = (Vec::new(), of(None));
    for answer in 0.. {
        if seen.len() as u64 >= count {
            break;
        }
        if answer % 3 == 0 {
            let _perhaps_half_made = poll_immediate(feed.next()).await.map(|followed| {
                seen.extend(followed.unwrap_or_default().records);
            });
            continue;
        }
        let followed = feed.next().await.unwrap_or_default();
        assert!(!followed.records.is_empty(), "a wait ended for nothing");
        seen.extend(followed.records);
        if answer % 7 == 0 {
            feed = of(Some(followed.cursor));
        }
    }
    assert!(seen.iter().all(|record| record.address.tenant() == tenant), "an event of another tenant");
    assert_eq!(seen.len() as u64, count);
    check(&seen, &HashMap::new());
}

async fn a_quiet_tenants_feed_keeps_up(journal: &dyn Journal) {
    promise!("the feed of a tenant that is quiet stands where the journal does");
    let (quiet, loud) = (address("quiet/suite/of/one"), address("loud/suite/of/one"));
    let mut feed = follow(journal, None, None);
    feed.of(quiet.tenant());
    for after in 0..50 {
        append(journal, &loud, after, 1).await;
        let followed = poll(&mut feed).await;
        assert!(followed.records.is_empty());
        assert_eq!(followed.position, journal.durable());
        if after % 10 == 9 {
            append(journal, &quiet, after / 10, 1).await;
            assert_eq!(versions(poll(&mut feed).await), [after / 10 + 1]);
            let (rest, _) = everything(journal, Some(poll(&mut feed).await.cursor)).await;
            assert!(rest.is_empty(), "its cursor stands before what it has passed");
        }
    }
    // More than one answer lies between two of its events.
    let mut after = 50;
    append(journal, &quiet, 5, 1).await;
    for _ in 0..150 {
        append(journal, &loud, after, 50).await;
        after += 50;
    }
    append(journal, &quiet, 6, 1).await;
    let mut seen = versions(poll(&mut feed).await);
    seen.extend(versions(poll(&mut feed).await));
    assert_eq!(seen, [6, 7]);
}

async fn a_dropped_wait_loses_nothing(journal: &dyn Journal) {
    promise!("a wait that is dropped loses nothing");
    let entity = address("acme/suite/followed/patient");
    let (_, cursor) = everything(journal, None).await;
    let mut feed = follow(journal, None, Some(cursor));
    for _ in 0..3 {
        assert!(poll_immediate(feed.next()).await.is_none(), "records where none are");
    }
    append(journal, &entity, 0, 1).await;
    // Dropped at the first chance, perhaps with the answer half made.
    let dropped = poll_immediate(feed.next()).await;
    let versions: Vec<u64> = match dropped {
        Some(followed) => versions(followed.unwrap_or_default()),
        None => versions(feed.next().await.unwrap_or_default()),
    };
    assert_eq!(versions, [1]);
}

fn versions(followed: Followed) -> Vec<u64> {
    followed.records.iter().map(|record| record.version).collect()
}

fn strange_cursors_are_refused(journal: &dyn Journal) {
    promise!("a cursor that this journal did not make is refused");
    for bytes in [&b""[..], b"x", &[1; 42], &[0; 200]] {
        let cursor = Cursor(Bytes::copy_from_slice(bytes));
        let refused = journal.follow(None, Some(cursor));
        assert!(matches!(refused, Err(JournalError::BadCursor)), "{bytes:?} was taken");
    }
}

async fn a_cursor_outlives_a_reopen(engine: &dyn Engine, cursor: Cursor) {
    promise!("a cursor outlives a reopen");
    let journal = engine.open("following").await;
    let entity = address("acme/suite/followed/late");
    append(journal.as_ref(), &entity, 0, 1).await;
    let (records, _) = everything(journal.as_ref(), Some(cursor)).await;
    assert_eq!(records.iter().map(|record| &record.address).collect::<Vec<_>>(), [&entity]);
    let (all, _) = everything(journal.as_ref(), None).await;
    check(&all, &HashMap::new());
    journal.close().await;
}

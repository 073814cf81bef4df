//! Promises about appends and reads.

use std::sync::Arc;

use futures_util::future::join_all;
use mesh_kernel::ports::{Append, AppendOutcome, Epoch, Journal};

use super::{Engine, address, append, events, expected, key, promise, read, request};

pub(super) async fn run(engine: &dyn Engine) {
    let journal = engine.open("appending").await;
    let journal = journal.as_ref();
    an_append_is_read_back(journal).await;
    a_wrong_version_writes_nothing(journal).await;
    a_repeat_is_told_from_a_conflict(journal).await;
    an_old_epoch_is_fenced(journal).await;
    of_64_racers_one_wins(journal).await;
    many_writers_do_not_disturb_each_other(journal).await;
    journal.close().await;
    what_was_acknowledged_is_there_after_a_reopen(engine).await;
}

async fn an_append_is_read_back(journal: &dyn Journal) {
    promise!("an append is read back, whole and in order");
    let one = address("acme/suite/thing/one");
    assert_eq!(journal.version(&one).await.ok(), Some(0), "an entity without events has a version");
    assert!(read(journal, &one, 1).await.is_empty(), "an entity without events has events");
    append(journal, &one, 0, 1).await;
    append(journal, &one, 1, 3).await;
    append(journal, &one, 4, 1).await;
    assert_eq!(journal.version(&one).await.ok(), Some(5));
    assert_eq!(read(journal, &one, 0).await, expected(&one, 1, 5), "from version 0");
    assert_eq!(read(journal, &one, 1).await, expected(&one, 1, 5), "from version 1");
    assert_eq!(read(journal, &one, 3).await, expected(&one, 3, 5), "from the middle of an append");
    assert_eq!(read(journal, &one, 5).await, expected(&one, 5, 5), "the last one");
    assert!(read(journal, &one, 6).await.is_empty(), "behind the last one");
    let same_id = address("other/suite/thing/one");
    assert!(read(journal, &same_id, 1).await.is_empty(), "another tenant's entity of the same id");
}

async fn a_wrong_version_writes_nothing(journal: &dyn Journal) {
    promise!("an append at another version is refused and writes nothing");
    let two = address("acme/suite/thing/two");
    append(journal, &two, 0, 2).await;
    for wrong in [0, 1, 3, u64::MAX] {
        let outcome = journal
            .append(Append { expected_version: wrong, events: events(&two, 90, 1), ..request(journal, &two, 0, 1) })
            .await;
        assert_eq!(outcome, AppendOutcome::WrongVersion { actual: 2 }, "expected version {wrong}");
    }
    assert_eq!(read(journal, &two, 1).await, expected(&two, 1, 2));
}

async fn a_repeat_is_told_from_a_conflict(journal: &dyn Journal) {
    promise!("an append with the key of an earlier one at the same version is told as its repeat");
    let entity = address("acme/suite/thing/repeated");
    let keyed = |after, count, text| Append { key: Some(key(text)), ..request(journal, &entity, after, count) };
    let first = journal.append(keyed(0, 2, "k-1")).await;
    assert!(matches!(first, AppendOutcome::Appended { version: 2, .. }), "{first:?}");
    let repeat = journal.append(keyed(0, 2, "k-1")).await;
    assert_eq!(repeat, AppendOutcome::Duplicate { version: 2 }, "at once");
    let other = journal.append(keyed(0, 2, "k-2")).await;
    assert_eq!(other, AppendOutcome::WrongVersion { actual: 2 }, "another key is a conflict");
    let keyless = journal.append(request(journal, &entity, 0, 2)).await;
    assert_eq!(keyless, AppendOutcome::WrongVersion { actual: 2 }, "no key is a conflict");
    let second = journal.append(keyed(2, 1, "k-2")).await;
    assert!(matches!(second, AppendOutcome::Appended { version: 3, .. }), "{second:?}");
    let late = journal.append(keyed(0, 2, "k-1")).await;
    assert_eq!(late, AppendOutcome::Duplicate { version: 2 }, "after others came");
    assert_eq!(read(journal, &entity, 1).await, expected(&entity, 1, 3));
}

async fn an_old_epoch_is_fenced(journal: &dyn Journal) {
    promise!("an append under an old epoch is fenced and writes nothing");
    let entity = address("acme/suite/thing/fenced");
    let current = journal.epoch(entity.shard());
    assert!(current > Epoch(0), "the first epoch is 1 or more");
    let outcome = journal.append(Append { epoch: Epoch(current.0 - 1), ..request(journal, &entity, 0, 1) }).await;
    assert_eq!(outcome, AppendOutcome::Fenced { current });
    assert_eq!(journal.version(&entity).await.ok(), Some(0));
}

async fn of_64_racers_one_wins(journal: &dyn Journal) {
    promise!("of 64 racers with the same expectation exactly one wins");
    let entity = address("acme/suite/thing/raced");
    for round in 0..4 {
        let racers = (0..64).map(|_| journal.append(request(journal, &entity, round, 1)));
        let outcomes = join_all(racers).await;
        let won = |outcome: &&AppendOutcome| matches!(outcome, AppendOutcome::Appended { .. });
        assert_eq!(outcomes.iter().filter(won).count(), 1, "round {round}: {outcomes:?}");
        assert_eq!(journal.version(&entity).await.ok(), Some(round + 1));
    }
}

async fn many_writers_do_not_disturb_each_other(journal: &dyn Journal) {
    promise!("many entities are appended to at once, each in its own order");
    let writers = (0..50).map(|writer| async move {
        let own = address(&format!("acme/suite/crowd/e-{writer}"));
        for after in 0..10 {
            append(journal, &own, after, 1).await;
        }
        assert_eq!(read(journal, &own, 1).await, expected(&own, 1, 10));
    });
    join_all(writers).await;
}

async fn what_was_acknowledged_is_there_after_a_reopen(engine: &dyn Engine) {
    promise!("what was acknowledged is there after a reopen, and goes on");
    let entity = address("acme/suite/thing/one");
    let journal: Arc<dyn Journal> = engine.open("appending").await;
    assert_eq!(read(journal.as_ref(), &entity, 1).await, expected(&entity, 1, 5));
    let before = journal.epoch(entity.shard());
    append(journal.as_ref(), &entity, 5, 2).await;
    let durable = journal.durable();
    journal.close().await;
    let late = journal.append(request(journal.as_ref(), &entity, 7, 1)).await;
    assert!(matches!(late, AppendOutcome::Unknown { .. }), "after close: {late:?}");
    let journal = engine.open("appending").await;
    assert_eq!(read(journal.as_ref(), &entity, 1).await, expected(&entity, 1, 7));
    assert!(journal.durable() >= durable, "the durable position went back");
    assert!(journal.epoch(entity.shard()) > before, "the epoch did not grow");
    let repeated = address("acme/suite/thing/repeated");
    let repeat = Append { key: Some(key("k-1")), ..request(journal.as_ref(), &repeated, 0, 2) };
    assert_eq!(journal.append(repeat).await, AppendOutcome::Duplicate { version: 2 });
    journal.close().await;
}

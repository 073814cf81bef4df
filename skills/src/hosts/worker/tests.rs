use std::{collections::HashSet, time::Duration};

use mesh_kernel::envelope::TenantId;
use serde_json::{Value, json};
use tokio::{sync::mpsc::Receiver, task::JoinHandle};

use super::*;
use crate::contract::{Call, Failure, FailureClass, testing};

const LEASE: Duration = Duration::from_millis(300);

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// A call of the tests' own tenant, and its outcome to come.
fn call(workers: &Workers, input: Value) -> (Call, JoinHandle<Result<Value, Failure>>) {
    let (call, workers) = (testing::call(input), workers.clone());
    let given = call.clone();
    (call, mesh_kernel::task::spawn("call", async move { workers.call("acme.shout", "1.0.0", given).await }))
}

fn own() -> TenantId {
    testing::call(Value::Null).tenant().clone()
}

fn shout(version: &str) -> HashSet<(String, String)> {
    HashSet::from([("acme.shout".to_owned(), version.to_owned())])
}

fn welcome(workers: &Workers, tenant: &TenantId, most: usize, held: &[String]) -> (Session, Receiver<Told>) {
    workers.welcome(tenant, "w", shout("1.0.0"), most, held)
}

async fn asked(told: &mut Receiver<Told>) -> String {
    match told.recv().await {
        Some(Told::Call(asked)) => asked.id.clone(),
        other => panic!("no call: {other:?}"),
    }
}

fn done(session: &Session, id: &str) {
    session.hear(Said::Outcome { id: id.to_owned(), result: Ok(json!("done")) });
}

#[tokio::test]
async fn a_call_waits_for_a_worker_with_room_and_gets_its_answer() {
    let workers = Workers::new(LEASE);
    let (_, first) = call(&workers, json!(1));
    let (_, second) = call(&workers, json!(2));
    tokio::task::yield_now().await;
    let (_other, mut nothing) = workers.welcome(&own(), "x", shout("2.0.0"), 9, &[]);
    let (session, mut told) = welcome(&workers, &own(), 1, &[]);
    let id = asked(&mut told).await;
    assert!(told.try_recv().is_err(), "it was given more than it takes");
    assert!(nothing.try_recv().is_err(), "it was given what it does not have");
    done(&session, &id);
    assert_eq!(first.await.unwrap().unwrap(), json!("done"));
    assert!(matches!(told.recv().await, Some(Told::Ack { stale: false, .. })));
    let id = asked(&mut told).await;
    session.hear(Said::Outcome { id, result: Err(Failure::resource("no.room", "later")) });
    assert_eq!(second.await.unwrap().unwrap_err().class, FailureClass::Resource);
    assert_eq!(session.open(), 0);
}

#[tokio::test]
async fn another_tenants_worker_gets_none_of_it_and_says_nothing_of_it() {
    let workers = Workers::new(LEASE);
    let (session, mut told) = welcome(&workers, &own(), 9, &[]);
    let (_, mut outcome) = call(&workers, json!(1));
    let id = asked(&mut told).await;
    let (stranger, mut heard) = welcome(&workers, &tenant("stranger"), 9, std::slice::from_ref(&id));
    assert!(matches!(heard.recv().await, Some(Told::Ack { stale: true, .. })));
    done(&stranger, &id);
    assert!(matches!(heard.recv().await, Some(Told::Ack { stale: true, .. })));
    drop(session);
    let (stranger, mut heard) = welcome(&workers, &tenant("stranger"), 9, std::slice::from_ref(&id));
    assert!(matches!(heard.recv().await, Some(Told::Ack { stale: true, .. })));
    done(&stranger, &id);
    tokio::select! {
        ended = &mut outcome => panic!("a stranger ended it: {ended:?}"),
        () = tokio::time::sleep(LEASE / 3) => {}
    }
    assert!(heard.try_recv().is_ok_and(|told| matches!(told, Told::Ack { stale: true, .. })));
}

#[tokio::test]
async fn a_lost_worker_may_come_back_for_its_calls_within_the_lease_and_not_after() {
    let workers = Workers::new(LEASE);
    let (session, mut told) = welcome(&workers, &own(), 9, &[]);
    let (_, kept) = call(&workers, json!(1));
    let (_, lost) = call(&workers, json!(2));
    let (first, second) = (asked(&mut told).await, asked(&mut told).await);
    drop(session);
    let (session, mut told) = welcome(&workers, &own(), 9, std::slice::from_ref(&first));
    assert!(told.try_recv().is_err(), "what is kept for it was asked again");
    done(&session, &first);
    assert_eq!(kept.await.unwrap().unwrap(), json!("done"));
    let failure = lost.await.unwrap().unwrap_err();
    assert_eq!((failure.class, failure.code.as_str()), (FailureClass::External, "worker.lost"));
    done(&session, &second);
    let mut last = None;
    while let Ok(told) = told.try_recv() {
        last = Some(told);
    }
    assert!(matches!(last, Some(Told::Ack { stale: true, .. })), "{last:?}");
}

#[tokio::test]
async fn a_worker_that_is_back_before_its_loss_was_noticed_keeps_its_calls() {
    let workers = Workers::new(LEASE);
    let (before, mut told) = welcome(&workers, &own(), 9, &[]);
    let (_, outcome) = call(&workers, json!(1));
    let id = asked(&mut told).await;
    let (again, mut heard) = welcome(&workers, &own(), 9, std::slice::from_ref(&id));
    assert!(heard.try_recv().is_err(), "what it holds was called stale");
    tokio::time::timeout(LEASE, before.ended()).await.expect("the connection that is gone goes on");
    drop(before);
    tokio::time::sleep(LEASE * 2).await;
    done(&again, &id);
    assert_eq!(outcome.await.unwrap().unwrap(), json!("done"));
}

#[tokio::test]
async fn what_nobody_wants_is_taken_back_and_whoever_drains_gets_nothing_new() {
    let workers = Workers::new(LEASE);
    let (session, mut told) = welcome(&workers, &own(), 9, &[]);
    let (wanted, outcome) = call(&workers, json!(1));
    let id = asked(&mut told).await;
    wanted.cancelled.cancel();
    assert!(matches!(told.recv().await, Some(Told::Cancel { id: cancelled }) if cancelled == id));
    done(&session, &id);
    assert_eq!(outcome.await.unwrap().unwrap(), json!("done"), "what was done all the same is known");
    session.drain();
    let (unwanted, waiting) = call(&workers, json!(2));
    tokio::task::yield_now().await;
    assert!(matches!(told.recv().await, Some(Told::Ack { stale: false, .. })));
    assert!(told.try_recv().is_err(), "a worker that drains was given a call");
    unwanted.cancelled.cancel();
    assert_eq!(waiting.await.unwrap().unwrap_err().class, FailureClass::Cancelled);
    let (_, dropped) = call(&workers, json!(3));
    tokio::task::yield_now().await;
    dropped.abort();
    let _ended = dropped.await;
    let (_session, mut told) = welcome(&workers, &own(), 9, &[]);
    assert!(told.try_recv().is_err(), "a call that was taken back was given to a worker");
}

#[tokio::test(start_paused = true)]
async fn observers_see_the_workers_of_one_tenant_and_what_they_have() {
    let workers = Workers::new(LEASE);
    let (session, mut told) = welcome(&workers, &own(), 1, &[]);
    let (_foreign, _nothing) = welcome(&workers, &tenant("other"), 3, &[]);
    let (_, first) = call(&workers, json!(1));
    let (_, second) = call(&workers, json!(2));
    let id = asked(&mut told).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    session.drain();
    let seen = workers.seen(Some(&own()));
    assert_eq!(seen.len(), 1, "another tenant's are seen: {seen:?}");
    let one = seen.first().unwrap();
    assert_eq!((one.leased, one.most, one.is_draining, one.heard.as_secs()), (1, 1, true, 2));
    assert_eq!(one.skills, [("acme.shout".to_owned(), "1.0.0".to_owned())]);
    session.beats();
    assert!(workers.seen(Some(&own())).iter().all(|one| one.heard.is_zero() && one.connected.as_secs() == 2));
    let figures = |of: &TenantId| workers.figures().get(of).copied().unwrap_or_default();
    assert_eq!(figures(&own()), WorkerFigures { draining: 1, leased: 1, waiting: 1, ..WorkerFigures::default() });
    assert_eq!(figures(&tenant("other")), WorkerFigures { live: 1, ..WorkerFigures::default() });
    assert_eq!(workers.seen(None).len(), 2);
    drop(session);
    assert_eq!(figures(&own()).lost, 1, "{id}");
    first.abort();
    second.abort();
}

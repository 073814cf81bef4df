use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn gate(concurrent: usize, requests: Option<u64>, tokens: Option<u64>) -> Arc<Gate> {
    let endpoint =
        Endpoint { concurrent, requests_per_minute: requests, tokens_per_minute: tokens, ..Endpoint::default() };
    Gate::new(&endpoint)
}

#[tokio::test(start_paused = true)]
async fn no_more_than_so_many_are_in_at_once_and_a_place_is_given_back() {
    let gate = gate(3, None, None);
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let calls: Vec<_> = (0..50)
        .map(|n| {
            let (gate, inside, most) = (gate.clone(), inside.clone(), most.clone());
            task::spawn("call", async move {
                let permit = gate.enter(&tenant(&format!("t{}", n % 4)), 100).await.unwrap();
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(10)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(gate.0.lock().free, 3);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_tenant_delays_another_by_a_turn() {
    let gate = gate(1, None, None);
    let held = gate.enter(&tenant("loud"), 1).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let enter = |name: &'static str| {
        let (gate, order) = (gate.clone(), order.clone());
        task::spawn("call", async move {
            let permit = gate.enter(&tenant(name), 4_000).await.unwrap();
            order.lock().push(name);
            drop(permit);
        })
    };
    let mut calls: Vec<_> = (0..200).map(|_| enter("loud")).collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    calls.push(enter("quiet"));
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(held);
    for call in calls {
        call.await.unwrap();
    }
    let place = order.lock().iter().position(|name| *name == "quiet").unwrap();
    assert!(place <= 8, "the quiet tenant was served at place {place}");
}

#[tokio::test(start_paused = true)]
async fn requests_and_tokens_of_a_minute_are_kept() {
    for (requests, tokens) in [(Some(60), None), (None, Some(6_000))] {
        let gate = gate(1000, requests, tokens);
        let started = Instant::now();
        for _ in 0..120 {
            drop(gate.enter(&tenant("a"), 100).await.unwrap());
        }
        // A full minute at once, the other 60 one a second.
        let took = started.elapsed().as_secs_f64();
        assert!((59.0..62.0).contains(&took), "{requests:?} {tokens:?}: {took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_larger_than_a_minute_gets_in_and_is_not_overtaken_for_ever() {
    let gate = gate(1000, None, Some(1_000));
    drop(gate.enter(&tenant("a"), 900).await.unwrap());
    let large = gate.clone();
    let large = task::spawn("large", async move { drop(large.enter(&tenant("b"), 50_000).await.unwrap()) });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let small = gate.clone();
    let small = task::spawn("small", async move {
        loop {
            drop(small.enter(&tenant("a"), 10).await.unwrap());
        }
    });
    large.await.unwrap();
    small.abort();
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_little_does_not_wait_for_what_another_gave_up() {
    let gate = gate(10, None, Some(60_000));
    drop(gate.enter(&tenant("a"), 60_000).await.unwrap());
    let large = tokio::time::timeout(Duration::from_millis(5), gate.enter(&tenant("a"), 60_000)).await;
    assert!(large.is_err());
    let started = Instant::now();
    drop(gate.enter(&tenant("a"), 1_000).await.unwrap());
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_was_not_used_is_given_back() {
    let gate = gate(10, None, Some(1_000));
    let permit = gate.enter(&tenant("a"), 1_000).await.unwrap();
    permit.used(100);
    drop(permit);
    let started = Instant::now();
    drop(gate.enter(&tenant("a"), 900).await.unwrap());
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_takes_nothing_and_holds_nobody_up() {
    let gate = gate(1, None, None);
    let held = gate.enter(&tenant("a"), 1).await.unwrap();
    for _ in 0..20 {
        let gives_up = tokio::time::timeout(Duration::from_millis(5), gate.enter(&tenant("a"), 1)).await;
        assert!(gives_up.is_err());
    }
    drop(held);
    drop(gate.enter(&tenant("b"), 1).await.unwrap());
    assert_eq!(gate.0.lock().free, 1);
}

//! The promise, under SIGKILL: nothing acknowledged is lost; a recorded outcome is never executed
//! again; an effect whose outcome is unknown is asked again with the same key.
//!
//! The truth is the outside recorder and the public history, never the node's own counters. Each
//! counted kill lands with at least one unanswered submission and one effect open at the recorder.
//!
//! `MESH_CRASH_KILLS` sets the number of kills (200 by default).

#![expect(clippy::expect_used, reason = "these are tests and their helpers")]

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions, Recorder, object};
use tokio::sync::RwLock;

const DEFINITION: &str = r"
name: crash
title: Effects that an outside recorder sees
inputSchema:
  type: object
  required: [url, name]
  properties: { url: { type: string }, name: { type: string } }
steps:
  - id: first
    skill: http.post
    with: { url: '${ input.url }', body: { name: '${ input.name }-first' } }
  - id: fan
    needs: [first]
    forEach: { items: [1, 2, 3], parallel: 2, skill: http.post }
    with: { url: '${ input.url }', body: { name: '${ input.name }-fan' } }
  - id: last
    needs: [fan]
    skill: http.post
    with: { url: '${ input.url }', body: { name: '${ input.name }-last' } }
";

/// Effects of one run, each with a key of its own.
const EFFECTS: usize = 5;

/// How long one submission may take to find a node that lives long enough: a watchdog. A kill strikes
/// whenever one is unanswered, so a submission may meet dozens of them.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(240);

/// How many submissions are under way at once.
const SUBMITTERS: usize = 6;

/// What the submitters share.
struct Load {
    client: RwLock<Client>,
    recorder: Recorder,
    /// Submissions that were sent and not answered.
    unanswered: AtomicUsize,
    /// Runs whose submission was acknowledged, by request id.
    acknowledged: Mutex<BTreeMap<String, String>>,
    /// Submissions that met a dead node.
    cut: AtomicU64,
    stop: AtomicBool,
}

/// A small generator, so that a seed tells the whole course of kills.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_kills_lose_nothing_and_repeat_no_recorded_outcome() -> Result<()> {
    let kills: usize = std::env::var("MESH_CRASH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let seed = std::env::var("MESH_CRASH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x9e37_79b9_u64);
    println!("seed {seed}, {kills} kills");
    let mut chance = Chance(seed);

    let data = tempfile::tempdir()?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    let mut node = Node::start(&options)?;
    let recorder = Recorder::start(Duration::from_millis(15)).await?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;

    let load = Arc::new(Load {
        client: RwLock::new(client),
        recorder: recorder.clone(),
        unanswered: AtomicUsize::new(0),
        acknowledged: Mutex::default(),
        cut: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let submitters: Vec<_> = (0..SUBMITTERS).map(|n| submitter(n, load.clone())).collect();

    let (mut counted, mut all) = (0, 0);
    while counted < kills {
        tokio::time::sleep(Duration::from_millis(chance.below(60))).await;
        // The instant to strike: a submission without an answer and an effect without an outcome.
        for _ in 0..20_000 {
            if load.unanswered.load(Ordering::SeqCst) > 0 && recorder.open() > 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        let cut_before = load.cut.load(Ordering::SeqCst);
        let open = recorder.open();
        node.kill()?;
        all += 1;
        // Now and then also during the start that follows.
        if chance.below(10) == 0 {
            let _ = Node::start_and_kill(&options, Duration::from_millis(chance.below(40)));
        }
        node = Node::start(&options)?;
        *load.client.write().await = node.client().await?;
        // A submission that failed under the kill was unanswered when it struck.
        for _ in 0..100 {
            if load.cut.load(Ordering::SeqCst) > cut_before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if open > 0 && load.cut.load(Ordering::SeqCst) > cut_before {
            counted += 1;
        }
        ensure!(all < kills * 20, "only {counted} of {all} kills found both an open submission and an open effect");
    }
    load.stop.store(true, Ordering::SeqCst);
    for submitter in submitters {
        submitter.await??;
    }
    println!("{counted} counted kills of {all}");
    let acknowledged = load.acknowledged.lock().expect("not poisoned").clone();
    let mut client = load.client.read().await.clone();
    check(&mut client, &recorder, &acknowledged).await?;
    node.terminate()?;
    Ok(())
}

/// Submits one run after the other, each until it is acknowledged, with the same request id.
fn submitter(number: usize, load: Arc<Load>) -> tokio::task::JoinHandle<Result<()>> {
    #[expect(clippy::disallowed_methods, reason = "the load belongs to the test, not to a kernel")]
    tokio::spawn(async move {
        for round in 0.. {
            if load.stop.load(Ordering::SeqCst) {
                return Ok(());
            }
            let request_id = format!("crash-{number}-{round}");
            submit(&load, &request_id).await?;
            // Without a pause the load would outgrow what a small machine finishes.
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    })
}

async fn submit(load: &Load, request_id: &str) -> Result<()> {
    let began = std::time::Instant::now();
    while began.elapsed() < ACKNOWLEDGED_WITHIN {
        let mut client = load.client.read().await.clone();
        let request = v1::SubmitRunRequest {
            definition: "crash".into(),
            request_id: request_id.into(),
            input: Some(object(&serde_json::json!({ "url": load.recorder.url(), "name": request_id }))),
            ..Default::default()
        };
        load.unanswered.fetch_add(1, Ordering::SeqCst);
        let answer = client.workflows.submit_run(request).await;
        load.unanswered.fetch_sub(1, Ordering::SeqCst);
        match answer {
            Ok(response) => {
                let run = response.into_inner().run.context("no run in the answer")?.run_id;
                load.acknowledged.lock().expect("not poisoned").insert(request_id.to_owned(), run);
                return Ok(());
            }
            Err(status) => {
                load.cut.fetch_add(1, Ordering::SeqCst);
                ensure!(
                    matches!(
                        status.code(),
                        tonic::Code::Unavailable
                            | tonic::Code::Unknown
                            | tonic::Code::Cancelled
                            | tonic::Code::Internal
                    ),
                    "a submission was refused: {status:?}"
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    anyhow::bail!("`{request_id}` was never acknowledged")
}

/// What must hold after all kills, asked of the recorder and of the public history.
async fn check(client: &mut Client, recorder: &Recorder, acknowledged: &BTreeMap<String, String>) -> Result<()> {
    ensure!(acknowledged.len() > 20, "only {} runs were submitted", acknowledged.len());
    let mut outcomes: HashMap<String, SystemTime> = HashMap::new();
    for (request_id, run) in acknowledged {
        client.wait_for_end(run, Duration::from_secs(120)).await.with_context(|| format!("run of {request_id}"))?;
        let state = client.run(run).await?.state();
        ensure!(state == v1::RunState::Succeeded, "the run of `{request_id}` ended as {state:?}");
        let history = client.history(run).await?;
        for (index, event) in history.iter().enumerate() {
            ensure!(event.version == index as u64 + 1, "`{run}` has a gap before version {}", event.version);
        }
        for event in history.iter().filter(|event| event.event_type == "StepSucceeded") {
            let payload = mesh_tests::json(event.payload.as_ref());
            let Some(key) = effect_key(run, &payload) else { continue };
            let at = event.occur_time.context("no time")?;
            let at = SystemTime::UNIX_EPOCH + Duration::new(at.seconds as u64, at.nanos as u32);
            ensure!(outcomes.insert(key.clone(), at).is_none(), "two outcomes were recorded for `{key}`");
        }
    }

    let by_key = recorder.by_key();
    let (mut repeated, mut of_known) = (0, HashSet::new());
    for (key, outcome) in &outcomes {
        let requests =
            by_key.get(key).with_context(|| format!("`{key}` has an outcome and never reached the recorder"))?;
        of_known.insert(key.clone());
        repeated += requests.len() - 1;
        for request in requests {
            ensure!(request.came <= *outcome, "`{key}` was executed again after its outcome was recorded");
        }
    }
    ensure!(
        of_known.len() == acknowledged.len() * EFFECTS,
        "{} effects of {} runs",
        of_known.len(),
        acknowledged.len()
    );
    let runs: HashSet<&str> = acknowledged.values().map(String::as_str).collect();
    for key in by_key.keys() {
        ensure!(
            outcomes.contains_key(key) || !runs.iter().any(|run| key.starts_with(run)),
            "`{key}` was executed and has no outcome although its run has ended"
        );
    }
    println!(
        "{} runs, {} effects, {repeated} asked again because their outcome was unknown",
        runs.len(),
        of_known.len()
    );
    Ok(())
}

/// The idempotency key of an effect, from the event that recorded its outcome.
fn effect_key(run: &str, payload: &serde_json::Value) -> Option<String> {
    let step = payload.get("step")?.as_str()?;
    let attempt = payload.get("attempt")?.as_u64()?;
    match payload.get("item").and_then(serde_json::Value::as_u64) {
        Some(item) => Some(format!("{run}.{step}.{item}.{attempt}")),
        // The step as a whole also succeeds, without an effect of its own.
        None if step == "fan" => None,
        None => Some(format!("{run}.{step}.{attempt}")),
    }
}

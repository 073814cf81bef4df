//! The promise under crashes: a load whose every effect an outside recorder sees, and what must hold of it
//! when the node has died in the middle of it, however often.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};
use mesh_proto::v1;
use parking_lot::Mutex;
use serde_json::json;
use tokio::{sync::RwLock, task::JoinHandle};

use crate::{Client, Recorder, object};

/// The steps that have an effect each time they are executed; `fan` has one for each of its three items.
const STEPS: [&str; 3] = ["first", "fan", "last"];

/// Effects of one run, each with a key of its own.
const EFFECTS: usize = 5;

/// How long one submission may take to find a node that lives long enough: a watchdog. A kill strikes
/// whenever one is unanswered, so a submission may meet dozens of them.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(240);

/// How long a run may take to end once nothing dies any more: a watchdog.
const ENDS_WITHIN: Duration = Duration::from_secs(120);

/// What is submitted.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// The definition's name.
    pub name: &'static str,
    /// Its text. It has the steps `first`, `fan` over three items, and `last`, which post to `input.url`.
    pub definition: &'static str,
    /// Bytes of text that each run is given beside.
    pub pad_bytes: usize,
    /// How many submissions are under way at once.
    pub submitters: usize,
    /// How long each of them rests before its next; without it the load would outgrow what a small
    /// machine finishes.
    pub rest: Duration,
}

/// The load, and what was seen of it.
pub struct Storm {
    work: Work,
    client: RwLock<Client>,
    recorder: Recorder,
    unanswered: AtomicUsize,
    acknowledged: Mutex<BTreeMap<String, String>>,
    cut: AtomicU64,
    stop: AtomicBool,
    submitters: Mutex<Vec<JoinHandle<Result<()>>>>,
}

impl Storm {
    /// Publishes the definition and begins to submit.
    ///
    /// # Errors
    /// The service's status.
    pub async fn start(work: Work, mut client: Client, recorder: Recorder) -> Result<Arc<Self>> {
        client.publish(work.definition).await?;
        let storm = Arc::new(Self {
            work,
            client: RwLock::new(client),
            recorder,
            unanswered: AtomicUsize::new(0),
            acknowledged: Mutex::default(),
            cut: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            submitters: Mutex::default(),
        });
        for number in 0..work.submitters {
            let submitting = storm.clone();
            #[expect(clippy::disallowed_methods, reason = "the load belongs to the test, not to a kernel")]
            let task = tokio::spawn(async move { submitting.submit_on(number).await });
            storm.submitters.lock().push(task);
        }
        Ok(storm)
    }

    /// The next submissions go through this client.
    pub async fn moved_to(&self, client: Client) {
        *self.client.write().await = client;
    }

    /// Submissions that were sent and not answered.
    pub fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::SeqCst)
    }

    /// Submissions that met a dead node, or one that stood still, so far.
    pub fn cut(&self) -> u64 {
        self.cut.load(Ordering::SeqCst)
    }

    /// Submissions that were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.lock().len()
    }

    /// Ends the submitting and checks everything; answers how many runs there were.
    ///
    /// # Errors
    /// What does not hold.
    pub async fn settle(&self) -> Result<usize> {
        self.end(true).await
    }

    /// The same for a node whose clock is not ours: that no effect came after its outcome cannot be told
    /// from the times, so that no key came twice is asked instead.
    ///
    /// # Errors
    /// What does not hold.
    pub async fn settle_in_any_time(&self) -> Result<usize> {
        self.end(false).await
    }

    async fn end(&self, one_clock: bool) -> Result<usize> {
        self.stop.store(true, Ordering::SeqCst);
        let submitters = std::mem::take(&mut *self.submitters.lock());
        for submitter in submitters {
            submitter.await??;
        }
        let mut client = self.client.read().await.clone();
        let acknowledged = self.acknowledged.lock().clone();
        let mut outcomes = HashMap::new();
        for (request_id, run) in &acknowledged {
            let succeeded = of_run(&mut client, run).await.with_context(|| format!("run of `{request_id}`"))?;
            outcomes.extend(succeeded);
        }
        self.check_listed(&mut client, &acknowledged).await?;
        self.check_effects(&outcomes, &acknowledged, one_clock)?;
        Ok(acknowledged.len())
    }

    /// Submits one run after the other, each until it is acknowledged, with the same request id.
    async fn submit_on(&self, number: usize) -> Result<()> {
        for round in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            self.submit(number, round).await?;
            tokio::time::sleep(self.work.rest).await;
        }
        Ok(())
    }

    async fn submit(&self, number: usize, round: usize) -> Result<()> {
        let request_id = format!("{}-{number}-{round}", self.work.name);
        let pad = "x".repeat(self.work.pad_bytes);
        let input = json!({ "url": self.recorder.url(), "name": request_id, "pad": pad });
        let request = v1::SubmitRunRequest {
            definition: self.work.name.to_owned(),
            request_id: request_id.clone(),
            input: Some(object(&input)),
            ..Default::default()
        };
        let began = Instant::now();
        while began.elapsed() < ACKNOWLEDGED_WITHIN {
            let mut client = self.client.read().await.clone();
            self.unanswered.fetch_add(1, Ordering::SeqCst);
            let answer = client.workflows.submit_run(request.clone()).await;
            self.unanswered.fetch_sub(1, Ordering::SeqCst);
            match answer {
                Ok(response) => {
                    let run = response.into_inner().run.context("no run in the answer")?.run_id;
                    self.acknowledged.lock().insert(request_id, run);
                    return Ok(());
                }
                Err(status) => {
                    self.cut.fetch_add(1, Ordering::SeqCst);
                    use tonic::Code::{Cancelled, DeadlineExceeded, Internal, Unavailable, Unknown};
                    let is_cut =
                        matches!(status.code(), Unavailable | Unknown | Cancelled | Internal | DeadlineExceeded);
                    ensure!(is_cut, "a submission was refused: {status:?}");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        bail!("`{request_id}` was never acknowledged")
    }

    /// The lists show the runs that were acknowledged, each once, and no other.
    async fn check_listed(&self, client: &mut Client, acknowledged: &BTreeMap<String, String>) -> Result<()> {
        let mut listed = HashSet::new();
        let mut request = v1::ListRunsRequest { page_size: 500, ..Default::default() };
        request.filter = format!("definition = \"{}\"", self.work.name);
        loop {
            let page = client.workflows.list_runs(request.clone()).await?.into_inner();
            for run in page.runs {
                ensure!(run.state() == v1::RunState::Succeeded, "the list shows `{}` as {:?}", run.run_id, run.state());
                ensure!(listed.insert(run.run_id.clone()), "`{}` is listed twice", run.run_id);
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        let known: HashSet<String> = acknowledged.values().cloned().collect();
        ensure!(listed == known, "{} runs are listed and {} were acknowledged", listed.len(), known.len());
        Ok(())
    }

    /// What the recorder saw agrees with what the histories say: no effect after its outcome, none without.
    fn check_effects(
        &self,
        outcomes: &HashMap<String, SystemTime>,
        runs: &BTreeMap<String, String>,
        one_clock: bool,
    ) -> Result<()> {
        let by_key = self.recorder.by_key();
        let mut repeated = 0;
        for (key, outcome) in outcomes {
            let requests =
                by_key.get(key).with_context(|| format!("`{key}` has an outcome and never reached the recorder"))?;
            repeated += requests.len() - 1;
            ensure!(one_clock || requests.len() == 1, "`{key}` was executed {} times", requests.len());
            for request in requests {
                ensure!(
                    !one_clock || request.came <= *outcome,
                    "`{key}` was executed again after its outcome was recorded"
                );
            }
        }
        ensure!(outcomes.len() == runs.len() * EFFECTS, "{} effects of {} runs", outcomes.len(), runs.len());
        let runs: HashSet<&str> = runs.values().map(String::as_str).collect();
        for key in by_key.keys() {
            ensure!(
                outcomes.contains_key(key) || !runs.iter().any(|run| key.starts_with(run)),
                "`{key}` was executed and has no outcome although its run has ended"
            );
        }
        println!(
            "{} runs, {} effects, {repeated} asked again because their outcome was unknown",
            runs.len(),
            outcomes.len()
        );
        Ok(())
    }
}

/// The outcomes of a run by their keys, once it has ended well and its history has no gap.
async fn of_run(client: &mut Client, run: &str) -> Result<HashMap<String, SystemTime>> {
    client.wait_for_end(run, ENDS_WITHIN).await?;
    let state = client.run(run).await?.state();
    ensure!(state == v1::RunState::Succeeded, "it ended as {state:?}");
    let (mut outcomes, mut succeeded) = (HashMap::new(), HashSet::new());
    for (index, event) in client.history(run).await?.iter().enumerate() {
        ensure!(event.version == index as u64 + 1, "`{run}` has a gap before version {}", event.version);
        if event.event_type != "StepSucceeded" {
            continue;
        }
        let payload = crate::json(event.payload.as_ref());
        let item = payload.get("item").and_then(serde_json::Value::as_u64);
        ensure!(succeeded.insert((event.step_id.clone(), item)), "`{}` {item:?} succeeded twice", event.step_id);
        let Some(key) = effect_key(run, &payload) else { continue };
        let at = event.occur_time.context("no time")?;
        let at = SystemTime::UNIX_EPOCH + Duration::new(at.seconds as u64, at.nanos as u32);
        outcomes.insert(key, at);
    }
    Ok(outcomes)
}

/// The idempotency key of an effect, from the event that recorded its outcome. The outside sees one key for
/// all attempts at the same work: that of the first.
fn effect_key(run: &str, payload: &serde_json::Value) -> Option<String> {
    let step = payload.get("step")?.as_str().filter(|step| STEPS.contains(step))?;
    match payload.get("item").and_then(serde_json::Value::as_u64) {
        Some(item) => Some(format!("{run}.{step}.{item}.1")),
        // The step as a whole also succeeds, without an effect of its own.
        None if step == "fan" => None,
        None => Some(format!("{run}.{step}.1")),
    }
}

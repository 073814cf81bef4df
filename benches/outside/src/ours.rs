//! Our side: the release binary on a data folder of its own, driven over gRPC.
//!
//! A run is submitted by a unary call. Its end is seen on one stream for all runs, filtered to the
//! event by which a run succeeds. The client decodes only the fields that it needs.

use std::{
    collections::HashMap,
    fs,
    io::{ErrorKind, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::future::LocalBoxFuture;
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions, object};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinSet};
use tonic::{
    Request,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use crate::{
    measure::{STEPS, Slot, closed_count, closed_loop},
    process::resident,
    side::Side,
    worker,
};

const DEFINITION: &str = "ten-steps";
const SUBMIT: &str = "/mesh.v1.WorkflowService/SubmitRun";
const WATCH: &str = "/mesh.v1.WorkflowService/WatchRuns";

/// One tenant does all the work; its share of a node for many would be the limit.
pub(crate) const UNBOUNDED: [(&str, &str); 2] =
    [("MESH_TENANTS_COMMANDS_PER_SECOND", "10000000"), ("MESH_TENANTS_COMMANDS_BURST", "10000000")];

/// The name of our side when each step is recorded before the next begins.
pub(crate) const EACH: &str = "ours-each";

/// The name of our side when the steps' code is in a process of its own.
pub(crate) const WORKER: &str = "ours-worker";

/// What every step gets and gives back, on every side.
pub(crate) const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-.";

/// The name of a run in the answer to a submit; everything else is skipped.
#[derive(Clone, PartialEq, prost::Message)]
struct Submitted {
    #[prost(message, optional, tag = "1")]
    run: Option<Named>,
}

/// An item of the stream; everything but the run's name is skipped.
#[derive(Clone, PartialEq, prost::Message)]
struct Watched {
    #[prost(message, optional, tag = "2")]
    event: Option<Named>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Named {
    #[prost(string, tag = "1")]
    run_id: String,
}

/// Runs that somebody waits for, and runs that ended before anybody did.
#[derive(Default)]
struct Ends(Mutex<HashMap<String, Option<oneshot::Sender<()>>>>);

impl Ends {
    fn ended(&self, run: String) {
        let mut runs = self.0.lock();
        match runs.remove(&run) {
            Some(Some(waiter)) => drop(waiter.send(())),
            _ => drop(runs.insert(run, None)),
        }
    }

    async fn of(&self, run: String) -> Result<()> {
        let waiting = {
            let mut runs = self.0.lock();
            if runs.remove(&run).is_some() {
                return Ok(());
            }
            let (tell, told) = oneshot::channel();
            runs.insert(run, Some(tell));
            told
        };
        waiting.await.context("the stream of ended runs has broken off")
    }
}

/// How a start of the node went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started {
    /// Until it said that it is ready.
    pub(crate) time: Duration,
    /// Then. **Units**: bytes.
    pub(crate) resident: u64,
}

/// The node and a client.
pub(crate) struct Ours {
    name: &'static str,
    node: Node,
    data: PathBuf,
    pub(crate) started: Started,
    client: Client,
    /// The last run of a list that was read.
    last: Option<String>,
    seat: Seat,
    worker: Option<worker::Process>,
}

/// A tenant who submits and hears of ends.
pub(crate) struct Seat {
    caller: Caller,
    ends: Arc<Ends>,
    /// Holds the task that reads the stream.
    _stream: JoinSet<()>,
}

impl Seat {
    /// Takes it with a key of the tenant.
    async fn take(url: &str, key: &str) -> Result<Self> {
        let key: MetadataValue<Ascii> = format!("Bearer {key}").parse()?;
        let caller = Caller { channel: Grpc::new(Endpoint::new(url.to_owned())?.connect().await?), key };
        let ends = Arc::new(Ends::default());
        let stream = follow(url, &caller, ends.clone()).await?;
        Ok(Self { caller, ends, _stream: stream })
    }

    /// Submits a run of ten steps and waits for its end.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn run_once(&self) -> Result<()> {
        let run = self.caller.submit(DEFINITION, json!({"text": TEXT})).await?;
        self.ends.of(run).await
    }
}

#[derive(Clone)]
struct Caller {
    channel: Grpc<Channel>,
    key: MetadataValue<Ascii>,
}

impl Caller {
    fn with_key<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.key.clone());
        request
    }

    async fn submit(&self, definition: &str, input: Value) -> Result<String> {
        let message = v1::SubmitRunRequest {
            definition: definition.to_owned(),
            input: Some(object(&input)),
            ..Default::default()
        };
        let mut channel = self.channel.clone();
        channel.ready().await?;
        let codec = ProstCodec::<v1::SubmitRunRequest, Submitted>::new();
        let answer = channel.unary(self.with_key(message), PathAndQuery::from_static(SUBMIT), codec).await?;
        Ok(answer.into_inner().run.context("no run in the answer")?.run_id)
    }
}

impl Ours {
    /// Starts the node on a data folder and publishes the definition.
    ///
    /// # Errors
    /// When it does not start, or refuses the definition.
    pub(crate) async fn start(mesh: &Path, data: PathBuf) -> Result<Self> {
        Self::start_with(mesh, data, &UNBOUNDED).await
    }

    /// The same, and it records each step before the next begins, although they are pure.
    ///
    /// # Errors
    /// As [`Ours::start`].
    pub(crate) async fn start_each(mesh: &Path, data: PathBuf) -> Result<Self> {
        let mut settings = UNBOUNDED.to_vec();
        settings.push(("MESH_EFFECTS_COMPUTED_STEPS_MAX", "0"));
        Ok(Self { name: EACH, ..Self::start_with(mesh, data, &settings).await? })
    }

    /// The same, and its steps are done by a worker, a process of its own.
    ///
    /// # Errors
    /// As [`Ours::start`]; when the worker does not come.
    pub(crate) async fn start_worker(mesh: &Path, data: PathBuf) -> Result<Self> {
        let mut ours = Self { name: WORKER, ..Self::start(mesh, data).await? };
        ours.worker = Some(worker::Process::start(&ours.node.grpc, &ours.node.key()?)?);
        for _ in 0..500 {
            let request = v1::GetSkillRequest { name: worker::SKILL.to_owned() };
            let found = ours.client.skills.get_skill(request).await.ok();
            if found.and_then(|found| found.into_inner().skill).is_some_and(|skill| skill.workers == 1) {
                ours.publish(&definition(worker::SKILL)).await?;
                return Ok(ours);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("the worker has not come within ten seconds")
    }

    /// The same with these settings, and everything else at its default.
    ///
    /// # Errors
    /// As [`Ours::start`].
    pub(crate) async fn start_with(mesh: &Path, data: PathBuf, settings: &[(&str, &str)]) -> Result<Self> {
        let mut options = NodeOptions::new(&mesh.display().to_string(), &data);
        options.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let began = Instant::now();
        let node = Node::start(&options)?;
        let started = Started { time: began.elapsed(), resident: resident(&[node.pid()]) };
        let mut client = node.client().await?;
        client.publish(&definition("value.pass")).await?;
        let seat = Seat::take(&node.grpc, &node.key()?).await?;
        Ok(Self { name: "ours", node, data, started, client, last: None, seat, worker: None })
    }

    /// Whether it has used more than a tenth of a processor in the last fifth of a second.
    pub(crate) fn node_is_busy(&self) -> bool {
        let used = || crate::process::cpu(self.node.pid());
        let before = used();
        std::thread::sleep(Duration::from_millis(200));
        used() - before > 0.02
    }

    /// Where gRPC is served, and the first key.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub(crate) fn door(&self) -> Result<(String, String)> {
        Ok((self.node.grpc.clone(), self.node.key()?))
    }

    /// The secret of a new tenant that has the definition of ten steps.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn tenant(&mut self, name: &str) -> Result<String> {
        let tenants = &mut self.client.tenants;
        let request = v1::CreateTenantRequest { tenant_id: name.to_owned(), ..Default::default() };
        tenants.create_tenant(request).await?;
        let roles = vec!["admin".to_owned()];
        let request = v1::CreateApiKeyRequest {
            tenant_id: name.to_owned(),
            name: "admin".to_owned(),
            roles,
            ..Default::default()
        };
        let made = tenants.create_api_key(request).await?.into_inner();
        let request =
            v1::ListApiKeysRequest { tenant_id: name.to_owned(), min_position: made.position, ..Default::default() };
        tenants.list_api_keys(request).await?;
        Client::connect(&self.node.grpc, &made.secret).await?.publish(&definition("value.pass")).await?;
        Ok(made.secret)
    }

    /// The seat of whoever has this key.
    ///
    /// # Errors
    /// When it is not taken.
    pub(crate) async fn seat(&self, key: &str) -> Result<Seat> {
        Seat::take(&self.node.grpc, key).await
    }

    /// Executes so many runs, so many at a time.
    ///
    /// # Errors
    /// The first that fails.
    pub(crate) async fn execute(&self, runs: usize, in_flight: usize) -> Result<()> {
        closed_count(runs, in_flight, || self.seat.run_once()).await
    }

    /// Submits so many runs of a definition, so many at a time, and does not wait for their ends.
    ///
    /// # Errors
    /// The first that is refused.
    pub(crate) async fn submit(&self, definition: &str, runs: usize, in_flight: usize) -> Result<()> {
        let once = || async { self.seat.caller.submit(definition, json!({"text": TEXT})).await.map(drop) };
        closed_count(runs, in_flight, once).await
    }

    /// Submits a run of a definition and waits for its end.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn run_of(&self, definition: &str, input: &Value) -> Result<()> {
        let run = self.submit_one(definition, input).await?;
        self.seat.ends.of(run).await
    }

    /// Submits a run of a definition; its name.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn submit_one(&self, definition: &str, input: &Value) -> Result<String> {
        self.seat.caller.submit(definition, input.clone()).await
    }

    /// Submits so many runs of a definition, so many at a time; their names.
    ///
    /// # Errors
    /// The first that is refused.
    pub(crate) async fn submit_all(
        &self,
        definition: &str,
        input: &Value,
        runs: usize,
        in_flight: usize,
    ) -> Result<Vec<String>> {
        let names = Mutex::new(Vec::new());
        let once = || async {
            let name = self.submit_one(definition, input).await?;
            names.lock().push(name);
            Ok(())
        };
        closed_count(runs, in_flight, once).await?;
        Ok(names.into_inner())
    }

    /// Waits until all of these have succeeded.
    ///
    /// # Errors
    /// When the stream of ends breaks off.
    pub(crate) async fn ended(&self, runs: Vec<String>) -> Result<()> {
        for run in runs {
            self.seat.ends.of(run).await?;
        }
        Ok(())
    }

    /// Sends a signal to a run.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn signal(&mut self, run: &str, name: &str) -> Result<()> {
        let request = v1::SignalRunRequest { run_id: run.to_owned(), name: name.to_owned(), ..Default::default() };
        self.client.workflows.signal_run(request).await.map(drop).map_err(Into::into)
    }

    /// Publishes one more definition.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn publish(&mut self, text: &str) -> Result<()> {
        self.client.publish(text).await
    }

    /// Publishes an agent.
    ///
    /// # Errors
    /// The service's status.
    pub(crate) async fn publish_agent(&mut self, text: &str) -> Result<()> {
        let request = v1::PublishAgentRequest { source: text.to_owned(), ..Default::default() };
        self.client.agents.publish_agent(request).await?;
        Ok(())
    }

    /// Stops the node as its user would, and waits for its end.
    ///
    /// # Errors
    /// When it does not end well.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.node.terminate().map(drop)
    }

    /// Kills the node.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.node.kill()
    }

    /// How many runs have succeeded by the list, from the first page on.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(crate) async fn succeeded(&mut self) -> Result<u64> {
        let (mut count, mut page_token) = (0, String::new());
        loop {
            let filter = "state = SUCCEEDED".to_owned();
            let request = v1::ListRunsRequest { page_size: 500, page_token, filter, ..Default::default() };
            let page = self.client.workflows.list_runs(request).await?.into_inner();
            count += page.runs.len() as u64;
            self.last = page.runs.into_iter().last().map(|run| run.run_id).or(self.last.take());
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(count);
            }
        }
    }

    /// Whether the list has runs in one of these states: cheap to ask again and again.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(crate) async fn has_any(&mut self, states: &[&str]) -> Result<bool> {
        for state in states {
            let filter = format!("state = {state}");
            let request = v1::ListRunsRequest { page_size: 1, filter, ..Default::default() };
            if !self.client.workflows.list_runs(request).await?.into_inner().runs.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How much lies in the data folder. **Units**: bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn data_bytes(&self) -> Result<u64> {
        written(&self.data)
    }

    /// How much of the journal's files is written. **Units**: bytes.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn journal_bytes(&self) -> Result<u64> {
        written(&self.data.join("journal"))
    }

    async fn count(&mut self) -> Result<u64> {
        let count = self.succeeded().await?;
        let last = self.last.clone().context("no run has succeeded")?;
        let run = self.client.run(&last).await?;
        let done = run.steps.iter().filter(|step| step.state() == v1::StepState::Succeeded).count();
        ensure!(done == STEPS, "`{}` has {done} finished steps instead of {STEPS}", run.run_id);
        Ok(count)
    }
}

impl Side for Ours {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    fn servers(&self) -> Vec<u32> {
        vec![self.node.pid()]
    }

    fn helpers(&self) -> Vec<u32> {
        self.worker.iter().map(worker::Process::pid).collect()
    }

    fn measure(&mut self, in_flight: usize, length: Duration) -> LocalBoxFuture<'_, Result<Slot>> {
        Box::pin(closed_loop(in_flight, length, || self.seat.run_once()))
    }

    fn finished(&mut self) -> LocalBoxFuture<'_, Result<u64>> {
        Box::pin(self.count())
    }
}

/// Begins to read the stream of runs that succeed, on a connection of its own, and waits until it is
/// live.
async fn follow(url: &str, caller: &Caller, ends: Arc<Ends>) -> Result<JoinSet<()>> {
    let filter = v1::watch_runs_request::Target::Filter("state = SUCCEEDED".to_owned());
    let message = v1::WatchRunsRequest { target: Some(filter), ..Default::default() };
    let mut channel = Grpc::new(Endpoint::new(url.to_owned())?.connect().await?);
    channel.ready().await?;
    let codec = ProstCodec::<v1::WatchRunsRequest, Watched>::new();
    let path = PathAndQuery::from_static(WATCH);
    let mut stream = channel.server_streaming(caller.with_key(message), path, codec).await?.into_inner();
    // The first message says that the stream has caught up.
    stream.message().await?.context("the stream ended at once")?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            match stream.message().await {
                Ok(Some(Watched { event: Some(event) })) => ends.ended(event.run_id),
                Ok(Some(Watched { event: None })) => {}
                Ok(None) => return,
                Err(status) => return eprintln!("the stream of ended runs: {status}"),
            }
        }
    });
    Ok(tasks)
}

/// Ten steps that each call this skill with what the one before gave.
fn definition(skill: &str) -> String {
    let mut text = format!("name: {DEFINITION}\ntitle: Ten steps\nsteps:\n");
    text.push_str(&format!("  - {{ id: s1, skill: {skill}, with: {{ value: '${{input.text}}' }} }}\n"));
    for step in 2..=STEPS {
        let before = step - 1;
        text.push_str(&format!(
            "  - {{ id: s{step}, needs: s{before}, skill: {skill}, with: {{ value: '${{steps.s{before}.output.value}}' }} }}\n"
        ));
    }
    text.push_str(&format!("outputs: {{ text: '${{steps.s{STEPS}.output.value}}' }}\n"));
    text
}

/// Bytes of the files in a folder up to the zeros that they are filled with ahead of use.
fn written(folder: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        total += if path.is_dir() { written(&path)? } else { written_of(&path)? };
    }
    Ok(total)
}

fn written_of(path: &Path) -> Result<u64> {
    const PART: u64 = 1 << 20;
    let mut file = match fs::File::open(path) {
        // A running node renames and removes files.
        Err(gone) if gone.kind() == ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut end = file.metadata()?.len();
    let mut part = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(PART);
        file.seek(SeekFrom::Start(begin))?;
        part.clear();
        (&mut file).take(end - begin).read_to_end(&mut part)?;
        if let Some(last) = part.iter().rposition(|byte| *byte != 0) {
            return Ok(begin + last as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

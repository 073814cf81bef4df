//! What a node tells about itself, as a scraper and a collector see it.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mesh_proto::otlp::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::Span,
};
use mesh_proto::v1;
use mesh_tests::{Node, NodeOptions, get};
use parking_lot::Mutex;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

const WATCHDOG: Duration = Duration::from_secs(60);

const DEFINITION: &str = "
name: traced
steps:
  - { id: say, skill: text.echo, with: { text: hello } }
  - { id: fall, skill: flow.fail, needs: [say], with: { class: validation, message: it fell } }
";

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if request.metadata().get("x-collector-key").is_none_or(|key| key != "s3cret") {
            return Err(Status::unauthenticated("who are you?"));
        }
        self.0.lock().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn serve(&self, at: SocketAddr) -> Result<(SocketAddr, JoinHandle<()>)> {
        let listener = TcpListener::bind(at).await?;
        let at = listener.local_addr()?;
        let server = Server::builder().add_service(TraceServiceServer::new(self.clone()));
        let serving = async move {
            let _ended = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
        };
        Ok((at, mesh_kernel::task::spawn("collector", serving)))
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The spans about this run, when its root is among them.
    async fn run(&self, run: &str) -> Result<Vec<Span>> {
        let began = Instant::now();
        loop {
            let spans = self.spans();
            if let Some(root) = spans.iter().find(|span| text(span, "mesh.run") == run) {
                let trace = root.trace_id.clone();
                return Ok(spans.into_iter().filter(|span| span.trace_id == trace).collect());
            }
            ensure!(began.elapsed() < WATCHDOG, "the trace of `{run}` never came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn text(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|pair| pair.key == key);
    match found.and_then(|pair| pair.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

fn options(data: &std::path::Path, collector: SocketAddr) -> NodeOptions {
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data);
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}")),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=s3cret".to_owned()),
        ("OTEL_SERVICE_NAME", "factory".to_owned()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ("MESH_TELEMETRY_PATH_SAMPLE_ONE_IN", "1".to_owned()),
    ];
    options.settings.extend(settings.map(|(name, value)| (name.to_owned(), value)));
    options
}

fn named<'a>(spans: &'a [Span], name: &str) -> Result<&'a Span> {
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    spans.iter().find(|span| span.name == name).with_context(|| format!("no `{name}` in {names:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_one_trace_whatever_happens_to_the_node_and_the_collector() -> Result<()> {
    let data = tempfile::tempdir()?;
    let collector = Collector::default();
    let (at, serving) = collector.serve("127.0.0.1:0".parse()?).await?;
    let mut node = Node::start(&options(data.path(), at))?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;

    let run = client.submit("traced", "one", &serde_json::json!({})).await?;
    let spans = collector.run(&run).await?;
    let [root, say, fall, attempt] =
        ["run traced", "step say", "step fall", "fall #1"].map(|name| named(&spans, name)).map(Result::unwrap);
    ensure!(say.parent_span_id == root.span_id && fall.parent_span_id == root.span_id);
    ensure!(attempt.parent_span_id == fall.span_id);
    let codes = [root, say, fall, attempt].map(|span| span.status.as_ref().map_or(0, |status| status.code));
    ensure!(codes == [2, 1, 2, 2], "{codes:?}");
    ensure!(attempt.status.as_ref().is_some_and(|status| status.message.contains("it fell")));
    let trace = text(root, "mesh.trace_id").replace("trace-", "").replace('-', "");
    ensure!(mesh_kernel::envelope::hex::encode(&root.trace_id) == trace, "one cannot be found by the other");
    ensure!(root.start_time_unix_nano <= say.start_time_unix_nano);
    ensure!(say.end_time_unix_nano <= fall.start_time_unix_nano && fall.end_time_unix_nano <= root.end_time_unix_nano);

    // While the collector is away and the node is killed, nothing is forgotten.
    serving.abort();
    let _ended = serving.await;
    let missed = client.submit("traced", "two", &serde_json::json!({})).await?;
    client.wait_for_end(&missed, WATCHDOG).await?;
    node.kill()?;
    drop(node);
    let (_, _serving) = collector.serve(at).await?;
    let node = Node::start(&options(data.path(), at))?;
    let spans = collector.run(&missed).await?;
    named(&spans, "fall #1")?;

    let mut client = node.client().await?;
    let last = client.submit("traced", "three", &serde_json::json!({})).await?;
    collector.run(&last).await?;
    let runs: HashMap<String, BTreeSet<Vec<u8>>> =
        collector.spans().into_iter().fold(HashMap::new(), |mut runs, span| {
            let run = text(&span, "mesh.run");
            runs.entry(run).or_default().insert(span.span_id);
            runs
        });
    for run in [&run, &missed, &last] {
        ensure!(runs.get(run).is_some_and(|roots| roots.len() == 1), "`{run}` has more than one root");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampled_trace_has_the_eight_steps_of_the_path_below_its_run() -> Result<()> {
    let data = tempfile::tempdir()?;
    let collector = Collector::default();
    let (at, _serving) = collector.serve("127.0.0.1:0".parse()?).await?;
    let mut node = Node::start(&options(data.path(), at))?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;
    let run = client.submit("traced", "one", &serde_json::json!({})).await?;
    collector.run(&run).await?;
    // What was gathered and not sent is sent before the node ends.
    node.terminate()?;
    let spans = collector.run(&run).await?;
    let root = named(&spans, "run traced")?;
    for step in ["accept", "admit", "route", "deliver", "decide", "record", "apply", "announce"] {
        let below = spans.iter().filter(|span| span.name == step && span.parent_span_id == root.span_id);
        ensure!(below.count() > 0, "no `{step}` below the run");
    }
    let requests = collector.0.lock();
    for resource in requests.iter().flat_map(|request| &request.resource_spans) {
        let attributes = &resource.resource.as_ref().context("no resource")?.attributes;
        let resource = Span { attributes: attributes.clone(), ..Span::default() };
        ensure!(text(&resource, "service.name") == "factory");
        ensure!(text(&resource, "deployment.environment") == "test");
    }
    Ok(())
}

fn number(span: &Span, key: &str) -> i64 {
    let found = span.attributes.iter().find(|pair| pair.key == key);
    match found.and_then(|pair| pair.value.as_ref()?.value.as_ref()) {
        Some(Value::IntValue(number)) => *number,
        _ => -1,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_did_is_in_its_runs_trace_and_in_the_figures_and_what_was_said_is_in_neither() -> Result<()> {
    let data = tempfile::tempdir()?;
    let collector = Collector::default();
    let (at, _serving) = collector.serve("127.0.0.1:0".parse()?).await?;
    let mut options = options(data.path(), at);
    let cassette = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/agents/cassettes/triage");
    options.settings.push(("MESH_MODELS_CASSETTE".to_owned(), cassette.display().to_string()));
    options.settings.push(("OPENAI_MODEL".to_owned(), "gpt-4o".to_owned()));
    let node = Node::start(&options)?;
    let mut client = node.client().await?;
    let source = include_str!("../config/agents/triage.yaml").to_owned();
    client.agents.publish_agent(v1::PublishAgentRequest { source, ..Default::default() }).await?;
    let mut give = async |letter: &str| -> Result<v1::Run> {
        let request = v1::RunAgentRequest {
            name: "triage".to_owned(),
            goal: "Where does this letter go?".to_owned(),
            input: Some(mesh_tests::object(&serde_json::json!({ "letter": letter }))),
            ..Default::default()
        };
        let run = client.agents.run_agent(request).await?.into_inner().run.context("no run")?;
        client.wait_for_end(&run.run_id, WATCHDOG).await
    };
    let run = give("My invoice of May is wrong.").await?;
    let task = &run.steps.first().context("no step")?.task_id;
    let spans = loop {
        let spans = collector.run(&run.run_id).await?;
        if spans.iter().any(|span| span.name == "invoke_agent triage") {
            break spans;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let [agent, tool] = ["invoke_agent triage", "execute_tool text_echo"].map(|name| named(&spans, name));
    let (agent, tool) = (agent?, tool?);
    let asked = spans.iter().find(|span| span.span_id == agent.parent_span_id).context("the agent hangs nowhere")?;
    assert_eq!((text(asked, "mesh.task"), text(agent, "gen_ai.conversation.id")), (task.clone(), task.clone()));
    assert_eq!((text(agent, "gen_ai.agent.version"), text(tool, "mesh.skill")), ("1".into(), "text.echo".into()));
    let workflow = spans.iter().find(|span| text(span, "mesh.run") == run.run_id).context("no root")?;
    assert_eq!(text(workflow, "gen_ai.operation.name"), "invoke_workflow");
    let chats: Vec<&Span> = spans.iter().filter(|span| span.name == "chat gpt-4o").collect();
    assert_eq!(chats.len(), 2);
    for below in chats.iter().copied().chain([tool]) {
        assert_eq!(below.parent_span_id, agent.span_id, "{}", below.name);
    }
    let first = *chats.first().context("no chat")?;
    assert_eq!((first.kind, text(first, "gen_ai.provider.name").as_str()), (3, "openai"), "a client's span");
    assert_eq!((number(first, "gen_ai.usage.input_tokens"), number(first, "gen_ai.usage.output_tokens")), (142, 5));

    let failed = give("My invoice of May is right.").await?;
    let spans = loop {
        let spans = collector.run(&failed.run_id).await?;
        if spans.iter().any(|span| span.name == "invoke_agent triage") {
            break spans;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(text(named(&spans, "chat")?, "error.type"), "no-cassette-entry");
    let genai = collector.spans().into_iter().filter(|span| !text(span, "gen_ai.operation.name").is_empty());
    let told = format!("{:?}", genai.filter(|span| text(span, "mesh.run").is_empty()).collect::<Vec<_>>());
    for said in ["invoice", "billing", "mock-text", "You sort letters"] {
        ensure!(!told.contains(said), "`{said}` is told: {told}");
    }

    let (status, figures) = get(&format!("{}/metrics", node.http), Some(&node.key()?), WATCHDOG).await?;
    assert_eq!(status, 200, "{figures}");
    let samples = samples(&figures);
    let of = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"gpt-4o\",\
              mesh_endpoint=\"default\"";
    let is = |name: &str, more: &str| *samples.get(format!("{name}{{{of}{more}}}").as_str()).unwrap_or(&-1.0);
    let usage = "gen_ai_client_token_usage";
    assert_eq!(is(&format!("{usage}_sum"), ",gen_ai_token_type=\"input\""), 289.0, "{figures}");
    assert_eq!(is(&format!("{usage}_sum"), ",gen_ai_token_type=\"output\""), 21.0, "{figures}");
    assert_eq!(is(&format!("{usage}_bucket"), ",gen_ai_token_type=\"output\",le=\"16\""), 2.0, "{figures}");
    let took = "gen_ai_client_operation_duration_seconds";
    assert_eq!(is(&format!("{took}_count"), ""), 2.0, "{figures}");
    assert_eq!(is(&format!("{took}_bucket"), ",le=\"81.92\""), 2.0, "{figures}");
    assert_eq!(is(&format!("{took}_count"), ",error_type=\"no-cassette-entry\""), 1.0, "{figures}");
    Ok(())
}

/// The samples of a text, by name and labels.
fn samples(text: &str) -> HashMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_count_what_was_done_and_name_no_entity() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path()))?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;
    let mut runs = Vec::new();
    for n in 0..3 {
        let run = client.submit("traced", &n.to_string(), &serde_json::json!({})).await?;
        client.wait_for_end(&run, WATCHDOG).await?;
        runs.push(run);
    }
    let _refused = client.submit("nowhere", "none", &serde_json::json!({})).await.unwrap_err();
    let url = format!("{}/metrics", node.http);
    let told = |name: &'static str, fits: fn(f64) -> bool| {
        let (url, key) = (url.clone(), node.key());
        async move {
            let began = Instant::now();
            loop {
                let (status, text) =
                    get(&url, Some(&key.as_ref().map_err(|e| anyhow::anyhow!("{e}"))?.clone()), WATCHDOG).await?;
                ensure!(status == 200, "{status}: {text}");
                if samples(&text).get(name).is_some_and(|value| fits(*value)) {
                    return anyhow::Ok(text);
                }
                ensure!(began.elapsed() < WATCHDOG, "`{name}` is never as it should be:\n{text}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    // The runs are counted anew every ten seconds.
    told("mesh_runs{state=\"failed\"}", |failed| failed >= 3.0).await?;
    // What runs leave behind them comes to the lists a little later; nothing more does.
    let text = told("mesh_follower_lag_bytes{follower=\"lists\"}", |lag| lag == 0.0).await?;
    let samples = samples(&text);
    let is = |name: &str| *samples.get(name).unwrap_or(&-1.0);
    assert_eq!(is("mesh_grpc_requests_total{method=\"WorkflowService/SubmitRun\",code=\"OK\"}"), 3.0, "{text}");
    assert_eq!(is("mesh_grpc_requests_total{method=\"WorkflowService/SubmitRun\",code=\"NOT_FOUND\"}"), 1.0, "{text}");
    let handled = "platform=\"control-plane\",kind=\"run\",tenant=\"default\",outcome=\"handled\"";
    ensure!(is(&format!("mesh_messages_total{{{handled}}}")) >= 9.0, "{text}");
    ensure!(is("mesh_message_handling_seconds_count{platform=\"control-plane\",kind=\"run\"}") >= 9.0, "{text}");
    ensure!(is("mesh_journal_appends_total{outcome=\"recorded\"}") >= 10.0, "{text}");
    ensure!(is("mesh_journal_flush_seconds_count") >= 1.0 && is("mesh_journal_writable") == 1.0, "{text}");
    ensure!(runs.iter().all(|run| !text.contains(run.as_str())), "a run is named");
    Ok(())
}

//! What must still work at the sizes that are promised: bodies of 8 MB, runs of a thousand steps,
//! floods. And what must add up afterwards.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use mesh::{config, node};
use mesh_proto::{rpc, v1};
use mesh_tests::{Client, Doomed, Node, NodeOptions, json};
use prost::Message as _;
use serde_json::json;
use tonic::{Code, Status};

const WATCHDOG: Duration = Duration::from_secs(120);

const LARGE: &str = r"
name: large
inputSchema:
  type: object
  required: [body]
  properties: { body: { type: string } }
steps:
  - id: pass
    skill: value.pass
    with: { value: '${ input.body }' }
outputs:
  body: ${steps.pass.output.value}
";

/// A text of 8 MB in which no part looks like another.
fn eight_megabytes() -> String {
    (0..524_288_u32).map(|n| format!("{:016x}", u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_eight_megabytes_goes_through_a_run_and_comes_back() -> Result<()> {
    let data = tempfile::tempdir()?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    let mut node = Node::start(&options)?;
    let mut client = node.client().await?;
    client.publish(LARGE).await?;
    let text = eight_megabytes();
    assert_eq!(text.len(), 8 << 20);
    let run = client.submit("large", "large-1", &json!({ "body": text })).await?;
    let ended = client.wait_for_end(&run, WATCHDOG).await?;
    assert_eq!(ended.state(), v1::RunState::Succeeded, "{:?}", ended.failure);
    ensure!(ended.encoded_len() < 64 << 10, "a run is read without its bodies: {} bytes", ended.encoded_len());

    let outputs = ended.outputs.context("no outputs")?;
    let reference = json(outputs.fields.get("body"));
    let digest = reference.get("$ref").and_then(|digest| digest.as_str()).context("the output is not large")?;
    // What was acknowledged is there after a crash as well.
    node.kill()?;
    node = Node::start(&options)?;
    let body = node.client().await?.content(digest).await?;
    let came_back: String = serde_json::from_slice(&body)?;
    ensure!(came_back == text, "what came back is something else");
    Ok(())
}

/// A thousand steps, each but the first of a layer needing three of the layer before.
fn thousand_steps() -> String {
    let step = |n: usize| {
        let needs: Vec<String> = match n / 50 {
            0 => Vec::new(),
            layer => (0..3).map(|k| format!("s{}", (layer - 1) * 50 + (n + k * 7) % 50)).collect(),
        };
        format!("  - {{ id: s{n}, skill: value.pass, needs: [{}], with: {{ value: {n} }} }}\n", needs.join(", "))
    };
    format!("name: thousand\nsteps:\n{}", (0..1000).map(step).collect::<String>())
}

/// Reads the run until it shows this version: an event is told as soon as it is durable, and applied a
/// moment later.
async fn read_up_to(reader: &mut Client, run: &str, version: u64) -> Result<()> {
    let began = Instant::now();
    loop {
        let run = reader.run(run).await?;
        ensure!(run.steps.len() == 1000, "{} steps", run.steps.len());
        if run.version >= version {
            return Ok(());
        }
        ensure!(began.elapsed() < WATCHDOG, "version {} is read and {version} was told", run.version);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_thousand_steps_finishes_and_is_watched_and_read_meanwhile() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path()))?;
    let mut client = node.client().await?;
    client.publish(&thousand_steps()).await?;
    let run = client.submit("thousand", "thousand-1", &json!({})).await?;
    let target = Some(v1::watch_runs_request::Target::RunId(run.clone()));
    let request = v1::WatchRunsRequest { target, start: v1::WatchStart::Beginning.into(), ..Default::default() };
    let mut watch = client.workflows.watch_runs(request).await?.into_inner();
    let mut reader = node.client().await?;
    let (mut succeeded, mut last, mut read) = (BTreeMap::new(), 0, 0);
    let began = Instant::now();
    loop {
        let message = tokio::time::timeout(WATCHDOG, watch.message()).await.context("the watch stands still")??;
        let Some(v1::watch_runs_response::Item::Event(event)) = message.context("the watch ended")?.item else {
            continue;
        };
        assert_eq!(event.version, last + 1, "an event is missing or came twice");
        last = event.version;
        match event.event_type.as_str() {
            "StepSucceeded" | "StepComputed" => *succeeded.entry(event.step_id).or_insert(0) += 1,
            "RunSucceeded" => break,
            _ => {}
        }
        if last % 400 == 0 {
            read_up_to(&mut reader, &run, last).await?;
            read += 1;
        }
    }
    println!("1,000 steps in {:?}, read {read} times meanwhile", began.elapsed());
    ensure!(read > 0, "nobody has read it");
    assert_eq!(succeeded.len(), 1000);
    ensure!(succeeded.values().all(|times| *times == 1), "a step succeeded twice");
    let ended = reader.run(&run).await?;
    assert_eq!((ended.state(), ended.version), (v1::RunState::Succeeded, last));
    Ok(())
}

/// What is published again and again: each time one message to one entity.
const FLOODED: &str = "name: flooded\nsteps: [{ id: a, skill: text.echo, with: { text: b } }]\n";

/// A node within this process, so that what became of all messages can be asked of the kernel itself.
async fn node_within(data: &std::path::Path, settings: &[(&str, &str)]) -> Result<(node::RunningNode, Client)> {
    let always = [("MESH_SERVER_LISTEN", "127.0.0.1:0"), ("MESH_SERVER_HTTP_LISTEN", "127.0.0.1:0")];
    let environment = always.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let layers =
        config::Layers { data: data.to_path_buf(), environment: environment.collect(), ..config::Layers::default() };
    let node = node::start(&config::Config::load(&layers)?).await?;
    let client = Client::connect(&format!("http://{}", node.grpc), &node.key).await?;
    Ok((node, client))
}

/// How long a caller is asked to wait, when it is told so.
fn retry_delay(status: &Status) -> Option<Duration> {
    let details = rpc::Status::decode(status.details()).ok()?.details;
    let told = details.iter().find(|any| any.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = rpc::RetryInfo::decode(told.value.as_slice()).ok()?.retry_delay?;
    Some(Duration::new(delay.seconds.try_into().ok()?, delay.nanos.try_into().ok()?))
}

async fn publish(client: &mut Client, request_id: String) -> Result<(), Status> {
    let source = v1::DefinitionSource { text: FLOODED.to_owned(), file_name: String::new() };
    let body = Some(v1::publish_definition_request::Body::Source(source));
    let request = v1::PublishDefinitionRequest { body, request_id, ..Default::default() };
    client.workflows.publish_definition(request).await.map(drop)
}

/// Sends it until it is taken, waiting as long as it is told to. Answers how often it was told to wait.
async fn insist(mut client: Client, request_id: String) -> Result<u32> {
    let began = Instant::now();
    let mut told = 0;
    while let Err(status) = publish(&mut client, request_id.clone()).await {
        ensure!(status.code() == Code::ResourceExhausted, "{status:?}");
        let delay = retry_delay(&status).with_context(|| format!("no RetryInfo: {status:?}"))?;
        ensure!(delay > Duration::ZERO && began.elapsed() < WATCHDOG, "told to wait {delay:?} once more");
        told += 1;
        tokio::time::sleep(delay).await;
    }
    Ok(told)
}

/// The deepest mailbox of the tree.
fn depth(node: &v1::ActorNode) -> u64 {
    node.children.iter().map(depth).max().unwrap_or_default().max(node.mailbox_depth)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_told_to_wait_and_every_message_that_was_taken_is_accounted_for() -> Result<()> {
    const MAILBOX: u64 = 8;
    let data = tempfile::tempdir()?;
    let settings = [
        ("MESH_ACTORS_MAILBOX_ITEMS_MAX", "8"),
        ("MESH_ACTORS_SLEEP_AFTER", "1s"),
        ("MESH_TENANTS_COMMANDS_BURST", "50"),
        ("MESH_TENANTS_COMMANDS_PER_SECOND", "30"),
    ];
    let (node, mut client) = node_within(data.path(), &settings).await?;
    // One run whose record is damaged while it sleeps: what it is sent becomes dead letters.
    let key = client.issue("approver", &["approver"]).await?;
    let mut approver = Client::connect(&format!("http://{}", node.grpc), &key).await?;
    Doomed::provoke(data.path(), "default", &mut client, &mut approver, "mark-of-the-damaged-run").await?;

    let flood: Vec<_> = (0..300).map(|n| insist(client.clone(), format!("flood-{n}"))).collect();
    let mut looker = client.clone();
    let look = async {
        let mut deepest = 0;
        loop {
            let tree = looker.telemetry.get_actor_tree(v1::GetActorTreeRequest::default()).await;
            // Looking may be told to wait as well; the next look will do.
            deepest = tree.map_or(deepest, |tree| deepest.max(tree.into_inner().root.as_ref().map_or(0, depth)));
            ensure!(deepest <= MAILBOX, "{deepest} messages wait in one mailbox");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let told: u32 = tokio::select! {
        told = futures_util::future::try_join_all(flood) => told?.iter().sum(),
        looked = look => { looked?; unreachable!("it looks until the flood is over") }
    };
    println!("300 messages were taken after {told} were told to wait");
    ensure!(told > 0, "nobody was told to wait");

    // Quiet: everything that was taken was handled, or expired, or lies among the dead letters.
    let began = Instant::now();
    let counts = loop {
        let counts = node.mesh().directory().counts();
        if counts.queued_bytes == 0 && counts.accepted == counts.handled + counts.expired + counts.dead {
            break counts;
        }
        ensure!(began.elapsed() < WATCHDOG, "it does not add up: {counts:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    ensure!(counts.handled >= 300, "{counts:?}");
    // The flood has used the tenant's quota up; it fills again at 100 requests a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let letters = client.dead_letters.list_dead_letters(v1::ListDeadLettersRequest::default()).await?.into_inner();
    ensure!(counts.dead == 1 && letters.dead_letters.len() == 1, "{counts:?}, letters: {letters:#?}");
    node.stop().await
}

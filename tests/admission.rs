//! What may come in, as callers meet it: commands that wait for an approval, quotas and bounds of
//! reads, what is kept of denials, inputs that are checked whatever their size.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mesh_kernel::tenant::Denials;
use mesh_proto::{rpc, v1};
use mesh_tests::{Client, Node, NodeOptions, json, object};
use prost::Message;
use serde_json::{Value, json};
use tonic::{Code, Status};

const WAITS: &str = r"
name: waits
inputSchema:
  type: object
  properties: { text: { type: string } }
steps:
  - id: say
    skill: text.echo
    with: { text: hello }
  - id: ship
    needs: [say]
    approval: { title: 'Ship it?' }
";

fn start(settings: &[(&str, &str)]) -> Result<(tempfile::TempDir, NodeOptions, Node)> {
    let data = tempfile::tempdir()?;
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    options.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let node = Node::start(&options)?;
    Ok((data, options, node))
}

fn details(status: &Status) -> Result<(rpc::ErrorInfo, Option<rpc::RetryInfo>)> {
    let details = rpc::Status::decode(status.details())?.details;
    let named = |name: &str| details.iter().find(|any| any.type_url.ends_with(name)).map(|any| any.value.as_slice());
    let info = rpc::ErrorInfo::decode(named("ErrorInfo").context("no ErrorInfo")?)?;
    Ok((info, named("RetryInfo").map(rpc::RetryInfo::decode).transpose()?))
}

fn cancel(run_id: &str, request_id: &str, reason: &str) -> v1::CancelRunRequest {
    v1::CancelRunRequest {
        run_id: run_id.to_owned(),
        request_id: request_id.to_owned(),
        reason: reason.to_owned(),
        ..Default::default()
    }
}

/// Sends a command that must wait, and answers the id of its approval.
async fn waits(client: &mut Client, request: v1::CancelRunRequest) -> Result<String> {
    let status = client.workflows.cancel_run(request).await.err().context("it was done without an approval")?;
    ensure!(status.code() == Code::FailedPrecondition, "{status}");
    let (info, _) = details(&status)?;
    let approval = info.metadata.get("approval").context("no approval in the details")?.clone();
    ensure!(info.reason == "KER-0032" && status.message().contains(&approval), "{status}");
    Ok(approval)
}

/// The journal's events of the caller's tenant, from the beginning until now.
async fn events(client: &mut Client) -> Result<Vec<v1::Envelope>> {
    let journal = v1::JournalTail { start: v1::WatchStart::Beginning.into(), ..Default::default() };
    let request = v1::TailRequest { source: Some(v1::tail_request::Source::Journal(journal)) };
    let mut stream = client.telemetry.tail(request).await?.into_inner();
    let mut events = Vec::new();
    while let Some(message) = stream.message().await? {
        match message.item {
            Some(v1::tail_response::Item::Event(event)) => events.push(event.envelope.context("no envelope")?),
            Some(v1::tail_response::Item::CaughtUp(_)) => return Ok(events),
            other => bail!("an exact tail has no {other:?}"),
        }
    }
    bail!("the tail ended")
}

fn of_type<'a>(events: &'a [v1::Envelope], name: &str) -> Vec<&'a v1::Envelope> {
    events.iter().filter(|event| event.event_type == name).collect()
}

async fn running(client: &mut Client, request_id: &str) -> Result<String> {
    client.submit("waits", request_id, &json!({})).await
}

/// `mesh …` with JSON on stdout.
fn mesh(node: &Node, arguments: &[&str]) -> Result<Value> {
    let (status, out, err) = node.mesh(&[arguments, &["--output", "json"]].concat())?;
    ensure!(status == 0, "mesh {arguments:?}: {status}: {err}");
    Ok(serde_json::from_str(&out)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_waits_for_its_approval_and_is_done_once_whoever_dies() -> Result<()> {
    let (_data, options, mut node) = start(&[("MESH_POLICY_REQUIRE_APPROVAL", "CancelRun")])?;
    let mut admin = node.client().await?;
    admin.publish(WAITS).await?;
    let mut client = admin.keyed(&node.grpc, "dev", &["developer"]).await?;
    let run_id = running(&mut client, "one").await?;

    let approval = waits(&mut client, cancel(&run_id, "stop", "enough")).await?;
    assert_eq!(waits(&mut client, cancel(&run_id, "stop", "enough")).await?, approval, "the repeat asks anew");
    let other = client.workflows.cancel_run(cancel(&run_id, "stop", "other")).await.expect_err("another body");
    assert_eq!(other.code(), Code::AlreadyExists);
    ensure!(client.run(&run_id).await?.state() != v1::RunState::Cancelled, "it was done without the approval");

    // The question outlives the process, and so does the decision.
    node.kill()?;
    node = Node::start(&options)?;
    let listed = mesh(&node, &["approvals", "list"])?;
    let found =
        listed["approvals"].as_array().context("no list")?.iter().find(|found| found["approvalId"] == *approval);
    let found = found.with_context(|| format!("`{approval}` is not listed: {listed}"))?;
    assert_eq!((found["runId"].as_str(), found["requestedBy"].as_str()), (Some(run_id.as_str()), Some("key:dev")));
    let shown = mesh(&node, &["approvals", "get", &approval])?;
    assert_eq!(shown["subject"]["command"], "CancelRun");
    assert_eq!(shown["subject"]["payload"]["reason"], "enough");
    let digest = shown["digest"].as_str().context("no digest")?;
    let decided = mesh(&node, &["approvals", "decide", &approval, "--approve", "--digest", digest])?;
    assert_eq!(decided["state"], "APPROVAL_STATE_GRANTED");
    node.kill()?;
    node = Node::start(&options)?;

    let mut admin = node.client().await?;
    let mut client = admin.keyed(&node.grpc, "dev-2", &["developer"]).await?;
    let run = client.wait_for_end(&run_id, Duration::from_secs(20)).await?;
    assert_eq!(run.state(), v1::RunState::Cancelled);
    let began = Instant::now();
    let told = loop {
        let told = events(&mut admin).await?;
        if !of_type(&told, "CommandReleased").is_empty() {
            break told;
        }
        ensure!(began.elapsed() < Duration::from_secs(20), "what came of it was never recorded");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let asked = of_type(&told, "RunCancelled");
    assert_eq!(asked.len(), 1, "it was sent more than once");
    let headers = asked[0].headers.as_ref().context("no headers")?;
    assert_eq!(headers.admitted_by, format!("approval:{approval}"));
    assert_eq!(headers.principal.as_ref().map(|principal| principal.name.as_str()), Some("key:dev"));
    assert_eq!(of_type(&told, "ApprovalGranted")[0].trace_id, asked[0].trace_id, "the decision left its trace");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_gets_the_first_answer_after_a_yes_and_the_reason_after_a_no() -> Result<()> {
    let (_data, _, node) = start(&[("MESH_POLICY_REQUIRE_APPROVAL", "CancelRun")])?;
    let mut admin = node.client().await?;
    admin.publish(WAITS).await?;
    let mut client = admin.keyed(&node.grpc, "dev", &["developer"]).await?;
    let (yes, no) = (running(&mut client, "yes").await?, running(&mut client, "no").await?);
    for (run, decision) in [(&yes, v1::ApprovalDecision::Approve), (&no, v1::ApprovalDecision::Reject)] {
        let approval_id = waits(&mut client, cancel(run, "stop", "enough").with_id(run)).await?;
        let request = v1::GetApprovalRequest { approval_id: approval_id.clone() };
        let seen = admin.approvals.get_approval(request).await?.into_inner().approval.context("no approval")?;
        let decide = v1::DecideApprovalRequest {
            approval_id,
            decision: decision.into(),
            digest: seen.digest,
            comment: "as we said".to_owned(),
            ..Default::default()
        };
        let own = client.approvals.decide_approval(decide.clone()).await.expect_err("a developer decides nothing");
        assert_eq!(own.code(), Code::PermissionDenied);
        admin.approvals.decide_approval(decide).await?;
    }
    let first = client.workflows.cancel_run(cancel(&yes, "stop", "enough").with_id(&yes)).await?.into_inner();
    let again = client.workflows.cancel_run(cancel(&yes, "stop", "enough").with_id(&yes)).await?.into_inner();
    assert_eq!(first.position, again.position);
    client.wait_for_end(&yes, Duration::from_secs(20)).await?;
    assert_eq!(of_type(&events(&mut admin).await?, "RunCancelled").len(), 1);

    let refused = client.workflows.cancel_run(cancel(&no, "stop", "enough").with_id(&no)).await.expect_err("a no");
    ensure!(refused.code() == Code::FailedPrecondition && refused.message().contains("as we said"), "{refused}");
    ensure!(client.run(&no).await?.state() != v1::RunState::Cancelled, "what was refused was done");
    Ok(())
}

trait WithId {
    fn with_id(self, run: &str) -> Self;
}

impl WithId for v1::CancelRunRequest {
    /// A request id of its own for each run.
    fn with_id(mut self, run: &str) -> Self {
        self.request_id = format!("{}-{run}", self.request_id);
        self
    }
}

/// How often each action was denied, as the audit keeps it.
fn denied(events: &[v1::Envelope]) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for event in of_type(events, "DenialsRecorded") {
        let payload: Value = serde_json::from_slice(&event.payload)?;
        let denials: Denials = serde_json::from_value(payload)?;
        for line in denials.denied {
            ensure!(line.samples.len() <= 3, "{line:?}");
            *counts.entry(line.action).or_default() += line.count;
        }
    }
    Ok(counts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denials_are_kept_in_batches_and_at_the_stop() -> Result<()> {
    let (_data, options, mut node) = start(&[("MESH_POLICY_DENIALS_EVERY", "1h")])?;
    let mut admin = node.client().await?;
    let mut viewer = admin.keyed(&node.grpc, "reader", &["viewer"]).await?;
    for _ in 0..200 {
        let refused = viewer.tenants.list_api_keys(v1::ListApiKeysRequest::default()).await.expect_err("denied");
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    let create = v1::CreateTenantRequest { tenant_id: "mine".to_owned(), ..Default::default() };
    let refused = viewer.tenants.create_tenant(create).await.expect_err("denied");
    assert_eq!(refused.code(), Code::PermissionDenied);
    ensure!(denied(&events(&mut admin).await?)?.is_empty(), "a denial was written before its time");
    node.terminate()?;

    node = Node::start(&options)?;
    let told = events(&mut node.client().await?).await?;
    assert_eq!(of_type(&told, "DenialsRecorded").len(), 1, "a flood of denials was more than one event");
    assert_eq!(denied(&told)?, BTreeMap::from([("CreateTenant".to_owned(), 1), ("ListKeys".to_owned(), 200)]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_take_quota_and_a_tenant_has_so_many_streams_and_no_more() -> Result<()> {
    let settings = [
        ("MESH_TENANTS_COMMANDS_PER_SECOND", "1"),
        ("MESH_TENANTS_COMMANDS_BURST", "40"),
        ("MESH_TENANTS_STREAMS_MAX", "2"),
    ];
    let (_data, _, node) = start(&settings)?;
    let mut client = node.client().await?;
    let watch = || v1::WatchRunsRequest {
        target: Some(v1::watch_runs_request::Target::Filter(String::new())),
        ..Default::default()
    };
    let signals = || v1::TailRequest { source: Some(v1::tail_request::Source::Signals(v1::SignalTail::default())) };
    let one = client.workflows.watch_runs(watch()).await?.into_inner();
    let _two = client.telemetry.tail(signals()).await?.into_inner();
    let refused = client.telemetry.tail(signals()).await.expect_err("a third stream");
    assert_eq!((refused.code(), details(&refused)?.0.reason.as_str()), (Code::ResourceExhausted, "TEN-0002"));
    ensure!(details(&refused)?.1.is_some_and(|retry| retry.retry_delay.is_some()), "no word about when to retry");
    drop(one);
    let began = Instant::now();
    // The node hears that the reader went a moment later.
    while client.telemetry.tail(signals()).await.is_err() {
        ensure!(began.elapsed() < Duration::from_secs(10), "a stream that ended made no room");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let mut code = Code::Ok;
    for _ in 0..60 {
        if let Err(status) = client.workflows.list_runs(v1::ListRunsRequest::default()).await {
            code = status.code();
            ensure!(details(&status)?.1.is_some(), "no word about when to retry");
        }
    }
    assert_eq!(code, Code::ResourceExhausted, "a flood of lists took no quota");
    Ok(())
}

fn bodies(data: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(data) else { return 0 };
    let count = |path: &Path| if path.is_dir() { bodies(path) } else { 1 };
    entries.flatten().map(|entry| count(&entry.path())).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_input_is_checked_as_a_small_one_is_and_only_kept_when_it_is_submitted() -> Result<()> {
    let (data, _, node) = start(&[])?;
    let content = data.path().join("content");
    let mut client = node.client().await?;
    client.publish(WAITS).await?;
    let submit = |id: &str, input: &Value, validate_only| v1::SubmitRunRequest {
        definition: "waits".to_owned(),
        request_id: id.to_owned(),
        input: Some(object(input)),
        validate_only,
        ..Default::default()
    };
    let large = json!({ "text": "long ".repeat(40_000) });
    let wrong = json!({ "text": vec!["no text"; 20_000] });
    client.workflows.submit_run(submit("a", &large, true)).await?;
    for only in [true, false] {
        let refused = client.workflows.submit_run(submit("b", &wrong, only)).await.expect_err("no text");
        ensure!(refused.code() == Code::InvalidArgument && refused.message().contains("/text"), "{refused}");
    }
    assert_eq!(bodies(&content), 0, "a body was kept that nobody submitted");
    let run = client.workflows.submit_run(submit("a", &large, false)).await?.into_inner().run.context("no run")?;
    assert_eq!(bodies(&content), 1);
    let run = client.run(&run.run_id).await?;
    let kept = json(run.input.context("no input")?.fields.get("text"));

    let known = json!({ "text": kept });
    client.workflows.submit_run(submit("c", &known, false)).await?;
    let missing = json!({ "text": { "$ref": format!("sha256:{}", "0".repeat(64)), "bytes": 5 } });
    let no_reference = json!({ "text": { "$ref": "elsewhere" } });
    for input in [missing, no_reference] {
        let refused = client.workflows.submit_run(submit("d", &input, false)).await.expect_err("no such body");
        assert_eq!(refused.code(), Code::InvalidArgument, "{input}: {refused}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_says_what_it_calls_and_a_decision_stays_on_its_trace() -> Result<()> {
    let (_data, _, node) = start(&[])?;
    let mut admin = node.client().await?;
    admin.publish(WAITS).await?;
    let mut client = admin.keyed(&node.grpc, "dev", &["developer"]).await?;
    let run_id = running(&mut client, "one").await?;
    let uses: Vec<String> = client.run(&run_id).await?.steps.into_iter().map(|step| step.uses).collect();
    assert_eq!(uses, ["text.echo", ""]);
    let began = Instant::now();
    let approval = loop {
        let listed = admin.approvals.list_approvals(v1::ListApprovalsRequest::default()).await?.into_inner().approvals;
        if let Some(approval) = listed.into_iter().next() {
            break approval;
        }
        ensure!(began.elapsed() < Duration::from_secs(10), "no approval");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let decide = v1::DecideApprovalRequest {
        approval_id: approval.approval_id,
        decision: v1::ApprovalDecision::Approve.into(),
        digest: approval.digest,
        ..Default::default()
    };
    admin.approvals.decide_approval(decide).await?;
    let run = client.wait_for_end(&run_id, Duration::from_secs(10)).await?;
    let told = events(&mut admin).await?;
    assert_eq!(of_type(&told, "ApprovalGranted")[0].trace_id, run.trace_id);
    Ok(())
}

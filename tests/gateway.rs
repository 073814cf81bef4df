//! The contract as a client meets it: submitting once, watching without loss, lists that say how far
//! they know, errors that a program can read.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use mesh_proto::{rpc, v1};
use mesh_tests::{Client, Node, NodeOptions, json, object};
use prost::Message;
use tonic::{Code, Status, Streaming};

const DEFINITION: &str = r"
name: watched
inputSchema:
  type: object
  required: [text]
  properties: { text: { type: string } }
steps:
  - id: say
    skill: text.echo
    with: { text: '${ input.text }' }
  - id: ship
    needs: [say]
    approval: { title: 'Ship what was said?' }
  - id: done
    needs: [ship]
    skill: text.echo
    with: { text: done }
";

fn start() -> Result<(tempfile::TempDir, NodeOptions, Node)> {
    let data = tempfile::tempdir()?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    let node = Node::start(&options)?;
    Ok((data, options, node))
}

fn request(request_id: &str, text: &str) -> v1::SubmitRunRequest {
    v1::SubmitRunRequest {
        definition: "watched".to_owned(),
        request_id: request_id.to_owned(),
        input: Some(object(&serde_json::json!({ "text": text }))),
        ..Default::default()
    }
}

/// Waits until the run asks for an approval, and answers its id.
async fn asked(client: &mut Client, run_id: &str) -> Result<String> {
    let mut stream = one(client, run_id, "").await?;
    while let Some(message) = stream.message().await? {
        if let Some(v1::watch_runs_response::Item::Event(event)) = message.item
            && event.event_type == "ApprovalRequested"
        {
            let payload = json(event.payload.as_ref());
            return Ok(payload.get("approval").and_then(|id| id.as_str()).context("no approval")?.to_owned());
        }
    }
    bail!("`{run_id}` asked for no approval")
}

async fn one(client: &mut Client, run_id: &str, cursor: &str) -> Result<Streaming<v1::WatchRunsResponse>, Status> {
    let target = Some(v1::watch_runs_request::Target::RunId(run_id.to_owned()));
    let request = v1::WatchRunsRequest { target, cursor: cursor.to_owned(), ..Default::default() };
    Ok(client.workflows.watch_runs(request).await?.into_inner())
}

async fn all(client: &mut Client, filter: &str, cursor: &str) -> Result<Streaming<v1::WatchRunsResponse>, Status> {
    let request = v1::WatchRunsRequest {
        target: Some(v1::watch_runs_request::Target::Filter(filter.to_owned())),
        cursor: cursor.to_owned(),
        start: v1::WatchStart::Beginning.into(),
        keep_open: false,
    };
    Ok(client.workflows.watch_runs(request).await?.into_inner())
}

/// Cursor and event id of each event up to the present, or to the stream's end.
async fn told(mut stream: Streaming<v1::WatchRunsResponse>) -> Result<Vec<(String, String)>> {
    let mut told = Vec::new();
    while let Some(message) = stream.message().await? {
        match message.item {
            Some(v1::watch_runs_response::Item::Event(event)) => told.push((message.cursor, event.event_id)),
            Some(v1::watch_runs_response::Item::CaughtUp(_)) => break,
            None => bail!("a message that says nothing"),
        }
    }
    Ok(told)
}

async fn tailed(client: &mut Client, cursor: &str) -> Result<Vec<(String, String)>> {
    let journal =
        v1::JournalTail { cursor: cursor.to_owned(), start: v1::WatchStart::Beginning.into(), ..Default::default() };
    let request = v1::TailRequest { source: Some(v1::tail_request::Source::Journal(journal)) };
    let mut stream = client.telemetry.tail(request).await?.into_inner();
    let mut told = Vec::new();
    while let Some(message) = stream.message().await? {
        match message.item {
            Some(v1::tail_response::Item::Event(event)) => {
                told.push((message.cursor, event.envelope.context("no envelope")?.event_id));
            }
            Some(v1::tail_response::Item::CaughtUp(_)) => return Ok(told),
            other => bail!("an exact tail has no {other:?}"),
        }
    }
    bail!("the tail ended")
}

fn ids(told: &[(String, String)]) -> Vec<&str> {
    told.iter().map(|(_, id)| id.as_str()).collect()
}

async fn decide(client: &mut Client, approver: &mut Client, run_id: &str) -> Result<v1::Approval> {
    let approval_id = asked(client, run_id).await?;
    let seen = loop {
        // The reaction that opens it follows the run by a moment.
        let request = v1::GetApprovalRequest { approval_id: approval_id.clone() };
        match approver.approvals.get_approval(request).await {
            Ok(found) => break found.into_inner().approval.context("no approval")?,
            Err(status) if status.code() == Code::NotFound => tokio::task::yield_now().await,
            Err(status) => return Err(status.into()),
        }
    };
    ensure!(seen.state() == v1::ApprovalState::Pending, "{seen:?}");
    let request = v1::DecideApprovalRequest {
        approval_id,
        decision: v1::ApprovalDecision::Approve.into(),
        digest: seen.digest.clone(),
        ..Default::default()
    };
    let decided = approver.approvals.decide_approval(request).await?.into_inner().approval.context("no approval")?;
    ensure!(decided.state() == v1::ApprovalState::Granted, "{decided:?}");
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cursor_goes_on_where_it_stood_even_after_a_kill() -> Result<()> {
    let (_data, options, mut node) = start()?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;
    let mut approver = client.keyed(&node.grpc, "approver", &["approver"]).await?;
    let mut runs = Vec::new();
    for n in 0..3 {
        let run = client.workflows.submit_run(request(&format!("watch-{n}"), "hello")).await?.into_inner().run;
        runs.push(run.context("no run")?.run_id);
    }
    for run in &runs {
        decide(&mut client, &mut approver, run).await?;
        client.wait_for_end(run, std::time::Duration::from_secs(60)).await?;
    }

    let filter = "definition = \"watched\"";
    let whole_run = told(one(&mut client, &runs[0], "").await?).await?;
    let whole_filter = told(all(&mut client, filter, "").await?).await?;
    let whole_tail = tailed(&mut client, "").await?;
    ensure!(whole_run.len() >= 8, "{whole_run:?}");
    ensure!(ids(&whole_filter).iter().collect::<BTreeSet<_>>().len() == whole_filter.len(), "an event came twice");
    ensure!(whole_filter.len() >= 3 * whole_run.len(), "the filter lost events");

    for _ in 0..2 {
        for (at, (cursor, _)) in whole_run.iter().enumerate() {
            let rest = told(one(&mut client, &runs[0], cursor).await?).await?;
            assert_eq!(ids(&rest), ids(&whole_run[at + 1..]), "one run, behind event {at}");
        }
        for (at, (cursor, _)) in whole_filter.iter().enumerate() {
            let rest = told(all(&mut client, filter, cursor).await?).await?;
            assert_eq!(ids(&rest), ids(&whole_filter[at + 1..]), "a filter, behind event {at}");
        }
        for (at, (cursor, _)) in whole_tail.iter().enumerate() {
            let rest = tailed(&mut client, cursor).await?;
            assert_eq!(ids(&rest), ids(&whole_tail[at + 1..]), "the tail, behind event {at}");
        }
        node.kill()?;
        node = Node::start(&options)?;
        client = node.client().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_is_done_once_and_a_list_waits_until_it_knows_it() -> Result<()> {
    let (_data, _, node) = start()?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;

    let first = client.workflows.submit_run(request("once", "hello")).await?.into_inner();
    let second = client.workflows.submit_run(request("once", "hello")).await?.into_inner();
    let run = first.run.context("no run")?;
    ensure!(!first.repeated && second.repeated, "the second is the repeat");
    assert_eq!(second.run.context("no run")?.run_id, run.run_id);
    let other = client.workflows.submit_run(request("once", "other")).await.expect_err("another body");
    assert_eq!(other.code(), Code::AlreadyExists);

    let list = v1::ListRunsRequest { min_position: first.position, ..Default::default() };
    let listed = client.workflows.list_runs(list).await?.into_inner();
    ensure!(listed.position >= first.position, "{listed:?}");
    assert_eq!(listed.runs.iter().map(|run| run.run_id.as_str()).collect::<Vec<_>>(), [run.run_id.as_str()]);

    let mut only = request("checked", "hello");
    only.validate_only = true;
    client.workflows.submit_run(only.clone()).await?;
    only.input = Some(object(&serde_json::json!({ "text": 3 })));
    let refused = client.workflows.submit_run(only).await.expect_err("a number is no text");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let listed = client.workflows.list_runs(v1::ListRunsRequest::default()).await?.into_inner();
    assert_eq!(listed.runs.len(), 1, "what is only validated makes no run");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_leaves_no_child_behind_however_early_it_is_cancelled() -> Result<()> {
    let (_data, _, node) = start()?;
    let mut client = node.client().await?;
    client.publish("name: child\nsteps: [{ id: hear, signal: { name: go } }]\n").await?;
    client.publish("name: parent\nsteps: [{ id: sub, workflow: { definition: child } }]\n").await?;
    let cancelled = (0..60).map(|n| {
        let mut client = client.clone();
        async move {
            let run_id = client.submit("parent", &format!("parent-{n}"), &serde_json::json!({})).await?;
            let request = v1::CancelRunRequest { run_id, ..Default::default() };
            client.workflows.cancel_run(request).await?;
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(cancelled).await?;

    let began = std::time::Instant::now();
    let mut quiet = 0;
    while quiet < 20 {
        let request = v1::ListRunsRequest { page_size: 500, ..Default::default() };
        let runs = client.workflows.list_runs(request).await?.into_inner().runs;
        let left: Vec<_> = runs.iter().filter(|run| run.state() != v1::RunState::Cancelled).collect();
        // A child may still be on its way: it must stay quiet for a while.
        quiet = if left.is_empty() { quiet + 1 } else { 0 };
        ensure!(began.elapsed() < std::time::Duration::from_secs(60), "left behind: {left:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let letters = client.dead_letters.list_dead_letters(v1::ListDeadLettersRequest::default()).await?.into_inner();
    ensure!(letters.dead_letters.is_empty(), "{:#?}", letters.dead_letters);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_acts_on_what_was_seen_or_is_told_that_it_changed() -> Result<()> {
    let (_data, _, node) = start()?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;
    let run = client.workflows.submit_run(request("etag", "hello")).await?.into_inner().run.context("no run")?;
    asked(&mut client, &run.run_id).await?;

    let pause =
        |etag: &str| v1::PauseRunRequest { run_id: run.run_id.clone(), etag: etag.to_owned(), ..Default::default() };
    let stale = client.workflows.pause_run(pause("\"v1\"")).await.expect_err("the run has moved on");
    assert_eq!(stale.code(), Code::Aborted);
    let now = client.run(&run.run_id).await?;
    let paused = client.workflows.pause_run(pause(&now.etag)).await?.into_inner().run.context("no run")?;
    assert_eq!(paused.state(), v1::RunState::Paused);
    assert_eq!(paused.trace_id, run.trace_id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_shows_what_is_approved_and_is_not_given_to_oneself() -> Result<()> {
    let (_data, _, node) = start()?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;
    let mut approver = client.keyed(&node.grpc, "approver", &["approver"]).await?;
    let run = client.workflows.submit_run(request("approve", "hello")).await?.into_inner().run.context("no run")?;
    let seen = decide(&mut client, &mut approver, &run.run_id).await?;
    assert_eq!((seen.run_id.as_str(), seen.title.as_str()), (run.run_id.as_str(), "Ship what was said?"));
    ensure!(seen.subject.is_some(), "what is approved is not shown: {seen:?}");

    let mine = client.workflows.submit_run(request("mine", "hello")).await?.into_inner().run.context("no run")?;
    let refused = decide(&mut client.clone(), &mut client, &mine.run_id).await.expect_err("own request");
    let status = refused.downcast_ref::<Status>().context("no status")?;
    assert_eq!(status.code(), Code::PermissionDenied);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_names_its_code_and_the_fields_that_were_wrong() -> Result<()> {
    let (_data, _, node) = start()?;
    let mut client = node.client().await?;
    let text = "name: broken\nsteps:\n  - id: a\n    skil: text.echo\n    needs: [b]\n";
    let source = v1::DefinitionSource { text: text.to_owned(), file_name: "broken.yaml".to_owned() };
    let publish = v1::PublishDefinitionRequest {
        body: Some(v1::publish_definition_request::Body::Source(source)),
        ..Default::default()
    };
    let refused = client.workflows.publish_definition(publish).await.expect_err("two mistakes");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = rpc::Status::decode(refused.details())?.details;
    let named = |name: &str| details.iter().find(|any| any.type_url.ends_with(name)).map(|any| any.value.as_slice());
    let info = rpc::ErrorInfo::decode(named("google.rpc.ErrorInfo").context("no ErrorInfo")?)?;
    assert_eq!((info.domain.as_str(), info.reason.as_str()), ("mesh", "DEF-0001"));
    let bad = rpc::BadRequest::decode(named("google.rpc.BadRequest").context("no BadRequest")?)?;
    let told: Vec<&str> = bad.field_violations.iter().map(|violation| violation.description.as_str()).collect();
    ensure!(told.len() == 2 && told[0].starts_with("broken.yaml:4:"), "{told:?}");
    Ok(())
}

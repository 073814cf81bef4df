//! The command line against a running node: what steers a run, what goes on telling, what shuts a
//! tenant out.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions, Recorder};
use serde_json::{Value, json};
use tonic::Code;

const WATCHDOG: Duration = Duration::from_secs(60);

const STEERED: &str = r"
name: steered
inputSchema: { type: object, required: [url], properties: { url: { type: string } } }
steps:
  - id: hear
    signal: { name: go }
  - id: call
    needs: [hear]
    skill: http.post
    with: { url: '${ input.url }', body: { name: steered } }
    retry: { maxAttempts: 1 }
";

fn start() -> Result<(tempfile::TempDir, Node)> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path()))?;
    Ok((data, node))
}

/// What a command that must succeed prints, as JSON.
fn told(node: &Node, arguments: &[&str]) -> Result<Value> {
    let (code, out, error) = node.mesh(&[arguments, &["--output", "json"]].concat())?;
    ensure!(code == 0, "mesh {arguments:?} ended with {code}: {error}");
    serde_json::from_str(&out).with_context(|| format!("mesh {arguments:?} printed {out}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_paused_resumed_and_retried_by_command() -> Result<()> {
    let (_data, node) = start()?;
    let mut client = node.client().await?;
    let recorder = Recorder::start(Duration::ZERO).await?;
    recorder.fail("steered", 1);
    client.publish(STEERED).await?;
    let run = client.submit("steered", "steered", &json!({ "url": recorder.url() })).await?;

    assert_eq!(told(&node, &["runs", "pause", &run, "--reason", "lunch"])?["state"], "RUN_STATE_PAUSED");
    told(&node, &["runs", "signal", &run, "go"])?;
    assert_eq!(client.run(&run).await?.state(), v1::RunState::Paused);
    ensure!(recorder.records().is_empty(), "a paused run has called out");

    told(&node, &["runs", "resume", &run])?;
    let failed = client.wait_for_end(&run, WATCHDOG).await?;
    assert_eq!((failed.state(), recorder.records().len()), (v1::RunState::Failed, 1));

    let (code, _, error) = node.mesh(&["runs", "resume", &run])?;
    ensure!(code == 3 && error.contains("Failed"), "{code}: {error}");
    told(&node, &["runs", "retry", &run])?;
    assert_eq!(client.wait_for_end(&run, WATCHDOG).await?.state(), v1::RunState::Succeeded);
    assert_eq!(recorder.records().len(), 2, "once refused, once taken");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_are_told_as_they_happen() -> Result<()> {
    let (_data, node) = start()?;
    let mut client = node.client().await?;
    let tail = node.follow(&["tail", "--signals", "--output", "json"])?;
    // Signals are live: what happened before the tail was open is not told, so it is asked until then.
    let mut asked = 0;
    let line = loop {
        let definition = format!("name: seen-{asked}\nsteps: [{{ id: a, skill: text.echo, with: {{ text: b }} }}]\n");
        client.publish(&definition).await?;
        match tail.wait_for(Duration::from_millis(500), |line| line.contains("/definition/seen-")) {
            Ok(line) => break line,
            Err(error) => ensure!(asked < 60, "{error}"),
        }
        asked += 1;
    };
    let signal: Value = serde_json::from_str(&line)?;
    let address = signal["signal"]["address"].as_str().context("no address")?;
    ensure!(address.starts_with("default/control-plane/definition/seen-"), "{line}");
    Ok(())
}

const TALKING: &str = r"
name: talking
steps:
  - id: first
    skill: text.echo
    with: { text: said before }
  - id: hear
    needs: [first]
    signal: { name: go }
  - id: second
    needs: [hear]
    skill: text.echo
    with: { text: said after }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_followed_until_the_run_ends() -> Result<()> {
    let (_data, node) = start()?;
    let mut client = node.client().await?;
    client.publish(TALKING).await?;
    let run = client.submit("talking", "talking", &json!({})).await?;
    let logs = node.follow(&["logs", &run, "-f"])?;
    logs.wait_for(WATCHDOG, |line| line.contains("said before"))?;
    told(&node, &["runs", "signal", &run, "go"])?;
    logs.wait_for(WATCHDOG, |line| line.contains("said after"))?;
    let (code, rest) = logs.end(WATCHDOG)?;
    assert_eq!(code, 0, "{rest:?}");
    ensure!(!rest.iter().any(|line| line.contains("said")), "told twice: {rest:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_tenant_is_shut_out_and_let_in_again() -> Result<()> {
    let (_data, node) = start()?;
    told(&node, &["tenants", "create", "acme"])?;
    let made = told(&node, &["keys", "create", "dev", "--tenant", "acme", "--role", "developer"])?;
    let secret = made["secret"].as_str().context("no secret")?.to_owned();
    let mut client = Client::connect(&node.grpc, &secret).await?;
    let list = v1::ListRunsRequest::default;
    let until = async |client: &mut Client, accepted: bool| -> Result<()> {
        for _ in 0..600 {
            match client.workflows.list_runs(list()).await {
                Ok(_) if accepted => return Ok(()),
                Err(status) if !accepted && status.code() == Code::Unauthenticated => return Ok(()),
                Ok(_) => {}
                Err(status) => ensure!(status.code() == Code::Unauthenticated, "{status:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("the key was never {}", if accepted { "accepted" } else { "refused" })
    };
    until(&mut client, true).await?;
    let disabled = told(&node, &["tenants", "disable", "acme", "--reason", "unpaid"])?;
    assert_eq!(disabled["state"], "TENANT_STATE_DISABLED");
    until(&mut client, false).await?;
    told(&node, &["tenants", "enable", "acme"])?;
    until(&mut client, true).await
}

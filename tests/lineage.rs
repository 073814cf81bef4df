//! Lineage of a node that runs: what a run came from, after a restart, a damage and a restored backup.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions};
use serde_json::{Value, json};

const WATCHDOG: Duration = Duration::from_secs(60);

const DEFINITION: &str = r"
name: told
inputSchema: { type: object, required: [text], properties: { text: { type: string } } }
steps:
  - id: second
    needs: [first]
    skill: text.echo
    with: { text: '${ steps.first.output.text }!' }
  - id: first
    skill: text.echo
    with: { text: '${ input.text }' }
  - id: each
    needs: [second]
    forEach: { items: '${[1, 2]}', skill: text.echo }
    with: { text: '${ steps.second.output.text }' }
outputs: { text: '${ steps.second.output.text }' }
";

fn options(data: &Path) -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data)
}

/// At once: an answer holds all that was durable when it was asked for.
async fn why(client: &mut Client, node: &str) -> Result<v1::WhyResponse> {
    let request = v1::WhyRequest { node: node.to_owned(), page_size: 500, ..Default::default() };
    Ok(client.lineage.why(request).await?.into_inner())
}

fn names(nodes: &[v1::LineageNode]) -> Vec<&str> {
    nodes.iter().map(|node| node.name.as_str()).collect()
}

/// Entities in different shards may be told of in another order.
fn sorted(nodes: &[v1::LineageNode]) -> Vec<&str> {
    let mut names = names(nodes);
    names.sort_unstable();
    names
}

async fn ran(client: &mut Client, request: &str) -> Result<String> {
    let run = client.submit("told", request, &json!({ "text": request })).await?;
    let ended = client.wait_for_end(&run, WATCHDOG).await?;
    ensure!(ended.state() == v1::RunState::Succeeded, "{ended:#?}");
    Ok(run)
}

/// What the command prints, which must succeed.
fn told(node: &Node, arguments: &[&str]) -> Result<String> {
    let (code, out, error) = node.mesh(&[&["lineage"], arguments].concat())?;
    ensure!(code == 0, "mesh lineage {arguments:?} ended with {code}: {error}");
    Ok(out)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_of_what_a_run_gave_leads_to_its_steps_and_to_who_submitted_it() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&options(data.path()))?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;
    let (one, two) = (ran(&mut client, "one").await?, ran(&mut client, "two").await?);
    let answer = why(&mut client, &format!("result/run/{one}")).await?;
    let all = names(&answer.nodes);
    for wanted in [
        format!("run/{one}"),
        format!("result/step/{one}/first"),
        format!("call/{one}/second/1"),
        format!("result/step/{one}/each/1"),
        "workflow/told@1".to_owned(),
        "skill/text.echo".to_owned(),
    ] {
        ensure!(all.contains(&wanted.as_str()), "`{wanted}` is not among {all:#?}");
    }
    ensure!(all.iter().any(|name| name.starts_with("principal/")), "nobody submitted it: {all:#?}");
    ensure!(all.iter().all(|name| !name.contains(&two)), "another run has no part in it: {all:#?}");
    let chain = names(&answer.chain);
    ensure!(chain.contains(&format!("run/{one}").as_str()), "{chain:#?}");
    ensure!(chain.last().is_some_and(|last| last.starts_with("principal/")), "{chain:#?}");
    // What flowed from step to step.
    let path = v1::PathRequest {
        from: format!("result/step/{one}/first"),
        to: format!("call/{one}/second/1"),
        ..Default::default()
    };
    assert_eq!(client.lineage.path(path).await?.into_inner().edges.len(), 1);

    let page = told(&node, &["why", &format!("result/run/{one}")])?;
    ensure!(page.lines().count() <= 24 && page.contains("because of") && page.contains(&one), "{page}");
    let whole = told(&node, &["why", &format!("result/run/{one}"), "--all", "--kind", "Principal"])?;
    ensure!(whole.contains("principal/"), "{whole}");
    let json: Value = serde_json::from_str(&told(&node, &["impact", "workflow/told@1", "--output", "json"])?)?;
    ensure!(json["counts"].as_array().context("counts")?.iter().any(|count| count["kind"] == "Run"), "{json:#}");
    ensure!(told(&node, &["diff", &one, &two])?.contains(&format!("only of {one}")));
    ensure!(told(&node, &["common", &one, &two])?.contains("workflow/told@1"));
    ensure!(told(&node, &["path", &format!("result/run/{one}"), &one])?.contains("PRODUCED_BY"));
    ensure!(told(&node, &["get", &one])?.contains("USED workflow/told@1"));
    let prov: Value = serde_json::from_str(&told(&node, &["export", &one, "--impact", "--form", "prov"])?)?;
    ensure!(prov["activity"].as_object().is_some_and(|all| all.len() > 5), "{prov:#}");
    ensure!(told(&node, &["export", &one, "--impact"])?.starts_with("digraph"));
    let (code, _, error) = node.mesh(&["lineage", "why", "run-none"])?;
    ensure!(code == 4 && error.contains("run-none"), "{code}: {error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lineage_is_the_same_after_a_kill_after_a_damage_and_on_a_restored_node() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [data, copy, new] = ["data", "copy", "new"].map(|name| folder.path().join(name));
    let mut node = Node::start(&options(&data))?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;
    let run = ran(&mut client, "one").await?;
    let result = format!("result/run/{run}");
    let first = why(&mut client, &result).await?;
    let (code, _, error) = node.mesh(&["backup", &copy.to_string_lossy()])?;
    ensure!(code == 0, "{error}");
    node.kill()?;

    let mut node = Node::start(&options(&data))?;
    let again = why(&mut node.client().await?, &result).await?;
    assert_eq!((names(&again.nodes), names(&again.chain)), (names(&first.nodes), names(&first.chain)), "read back");
    node.kill()?;

    fs::write(data.join("lineage/default/graph"), "damaged")?;
    let mut node = Node::start(&options(&data))?;
    let again = why(&mut node.client().await?, &result).await?;
    assert_eq!(sorted(&again.nodes), sorted(&first.nodes), "made anew from the journal");
    node.kill()?;

    let [from, to] = [&copy, &new].map(|path| path.to_string_lossy().into_owned());
    let restored = Command::new(env!("CARGO_BIN_EXE_mesh")).args(["restore", &from, "--data", &to]).output()?;
    ensure!(restored.status.success(), "{restored:?}");
    ensure!(!new.join("lineage").exists(), "it is made anew, not copied");
    let node = Node::start(&options(&new))?;
    let again = why(&mut node.client().await?, &result).await?;
    assert_eq!(sorted(&again.nodes), sorted(&first.nodes), "of a restored journal");
    Ok(())
}

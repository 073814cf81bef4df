//! One tenant's flood and everybody else: told by the order in which work is done, not by time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions, Recorder};
use serde_json::json;

const WATCHDOG: Duration = Duration::from_secs(120);

const DEFINITION: &str = r"
name: posted
inputSchema:
  type: object
  required: [url, name]
  properties: { url: { type: string }, name: { type: string } }
steps:
  - id: post
    skill: http.post
    timeout: 10m
    with: { url: '${ input.url }', body: { name: '${ input.name }' } }
";

/// Effects that may be under way at once, in the node and for one tenant.
const AT_ONCE: usize = 4;
/// How much the flood has waiting.
const FLOOD: usize = 300;
/// How many runs the other tenant has.
const FEW: usize = 16;
/// How much of the flood may go before them in one turn: the kernel's quantum.
const TURN: usize = 16;

async fn tenant(node: &Node, operator: &mut Client, name: &str) -> Result<Client> {
    let request = v1::CreateTenantRequest { tenant_id: name.to_owned(), ..Default::default() };
    operator.tenants.create_tenant(request).await?;
    let request = v1::CreateApiKeyRequest {
        tenant_id: name.to_owned(),
        name: "admin".to_owned(),
        roles: vec!["admin".to_owned()],
        ..Default::default()
    };
    let made = operator.tenants.create_api_key(request).await?.into_inner();
    let request =
        v1::ListApiKeysRequest { tenant_id: name.to_owned(), min_position: made.position, ..Default::default() };
    operator.tenants.list_api_keys(request).await?;
    let mut client = Client::connect(&node.grpc, &made.secret).await?;
    client.publish(DEFINITION).await?;
    Ok(client)
}

async fn submit(client: &mut Client, recorder: &Recorder, who: &str, runs: usize) -> Result<Vec<String>> {
    let mut submitted = Vec::new();
    for n in 0..runs {
        let name = format!("{who}-{n}");
        submitted.push(client.submit("posted", &name, &json!({ "url": recorder.url(), "name": name })).await?);
    }
    Ok(submitted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_comes_behind_anothers_flood_is_served_in_turn() -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    for name in ["MESH_EFFECTS_CONCURRENT_MAX", "MESH_EFFECTS_TENANT_CONCURRENT_MAX"] {
        options.settings.push((name.to_owned(), AT_ONCE.to_string()));
    }
    let node = Node::start(&options)?;
    let recorder = Recorder::start(Duration::ZERO).await?;
    recorder.hold();
    let mut operator = node.client().await?;
    let mut flooding = tenant(&node, &mut operator, "flooding").await?;
    let mut few = tenant(&node, &mut operator, "few").await?;

    // The flood has every place there is, and three hundred runs that wait for one.
    let flood = submit(&mut flooding, &recorder, "flood", FLOOD).await?;
    let began = Instant::now();
    while recorder.records().len() < AT_ONCE {
        ensure!(began.elapsed() < WATCHDOG, "the flood does not begin: {:?}", recorder.records());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let after = submit(&mut few, &recorder, "few", FEW).await?;
    for run in &after {
        while few.run(run).await?.state() != v1::RunState::Running {
            ensure!(began.elapsed() < WATCHDOG, "`{run}` does not begin");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    ensure!(recorder.records().len() == AT_ONCE, "more than {AT_ONCE} effects are under way");
    recorder.release();
    for run in &after {
        few.wait_for_end(run, WATCHDOG).await?;
    }
    for run in &flood {
        flooding.wait_for_end(run, WATCHDOG).await?;
    }

    let name = |record: &mesh_tests::Recorded| record.body["name"].as_str().unwrap_or_default().to_owned();
    let order: Vec<String> = recorder.records().iter().map(name).collect();
    ensure!(order.len() == FLOOD + FEW, "{} effects were done, some twice", order.len());
    let last = order.iter().rposition(|name| name.starts_with("few")).unwrap_or_default();
    // Behind what was under way and one turn of the flood's; some may be overtaken on their way out.
    ensure!(last < AT_ONCE + TURN + FEW + AT_ONCE, "the last of the few was number {last}: {:?}", &order[..=last]);
    Ok(())
}

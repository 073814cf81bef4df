//! A tenant that is deleted is gone: no byte of it is left in the data folder, whenever the node dies
//! meanwhile, and nothing of another tenant is touched.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Doomed, Node, NodeOptions, Recorder, json};
use tonic::Code;

const WATCHDOG: Duration = Duration::from_secs(60);

/// The slug of the tenant that goes, and a word in whatever else it has.
const GONE: &str = "zebratenant";
const WORD: &str = "quaggasecret";
/// The same of the one that stays.
const KEPT: &str = "okapitenant";
const OTHER: &str = "tapirsecret";

fn definition(word: &str) -> String {
    format!(
        r"
name: {word}-definition
inputSchema:
  type: object
  required: [url, text]
  properties: {{ url: {{ type: string }}, text: {{ type: string }} }}
steps:
  - id: say
    skill: text.echo
    with: {{ text: '${{ input.text }}' }}
  - id: {word}-post
    needs: [say]
    skill: http.post
    with: {{ url: '${{ input.url }}', body: {{ word: {word} }} }}
  - id: nap
    needs: [{word}-post]
    timer: {{ duration: 2s }}
  - id: last
    needs: [nap]
    skill: http.post
    with: {{ url: '${{ input.url }}', body: {{ word: {word}-last }} }}
"
    )
}

fn options(data: &Path) -> NodeOptions {
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data);
    // Everything sleeps soon, and what has some events leaves a snapshot.
    let settings = [
        ("MESH_JOURNAL_SEGMENT_BYTES", "16 MiB"),
        ("MESH_ACTORS_SLEEP_AFTER", "1s"),
        ("MESH_JOURNAL_SNAPSHOT_EVERY", "8"),
    ];
    options.settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    options
}

/// Files below a folder in which one of the words stands, or in whose name it does.
fn files_with(folder: &Path, words: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    // What is gone by now, the node has removed.
    let Ok(entries) = fs::read_dir(folder) else { return Ok(found) };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if words.iter().any(|word| name.contains(word)) {
            found.push(path.clone());
        }
        if path.is_dir() {
            found.extend(files_with(&path, words)?);
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            found.extend(words.iter().any(|word| text.contains(word)).then_some(path));
        }
    }
    Ok(found)
}

/// What a tenant has of everything.
struct Furnished {
    secret: String,
    client: Client,
    /// It has ended, with a large body.
    ended: String,
    body: String,
    /// It waits for a timer or for an effect.
    going: String,
}

async fn furnish(node: &Node, data: &Path, tenant: &str, word: &str, url: &str, slow: &str) -> Result<Furnished> {
    let mut operator = node.client().await?;
    let request =
        v1::CreateTenantRequest { tenant_id: tenant.to_owned(), title: format!("{word} title"), ..Default::default() };
    operator.tenants.create_tenant(request).await?;
    let request = v1::CreateApiKeyRequest {
        tenant_id: tenant.to_owned(),
        name: format!("{word}-key"),
        roles: ["admin", "developer", "approver"].map(str::to_owned).to_vec(),
        ..Default::default()
    };
    let made = operator.tenants.create_api_key(request).await?.into_inner();
    let request =
        v1::ListApiKeysRequest { tenant_id: tenant.to_owned(), min_position: made.position, ..Default::default() };
    operator.tenants.list_api_keys(request).await?;
    let mut client = Client::connect(&node.grpc, &made.secret).await?;
    client.publish(&definition(word)).await?;
    let name = format!("{word}-definition");
    let text = word.repeat(10_000);
    let ended = client.submit(&name, "one", &serde_json::json!({ "url": url, "text": text })).await?;
    let run = client.wait_for_end(&ended, WATCHDOG).await?;
    ensure!(run.state() == v1::RunState::Succeeded, "{run:#?}");
    let body = json(run.input.context("no input")?.fields.get("text"));
    let body = body.get("$ref").and_then(|digest| digest.as_str()).context("the text is not large")?.to_owned();
    client.keyed(&node.grpc, &format!("{word}-approver"), &["approver"]).await?;
    let mut approver = client.keyed(&node.grpc, "second", &["approver"]).await?;
    // The journal of this test is read as a whole later on.
    Doomed::provoke(data, tenant, &mut client, &mut approver, &format!("{word}-doomed")).await?.damage.mend()?;
    let document = v1::NewDocument {
        path: format!("{word}.md"),
        body: format!("# {word}\n\nThe harbour keeps {word}.\n").into(),
        ..Default::default()
    };
    let ingest = v1::IngestDocumentsRequest {
        collection: format!("{word}-docs"),
        source: Some(v1::KnowledgeSource { name: word.to_owned(), ..Default::default() }),
        documents: vec![document],
        ..Default::default()
    };
    client.knowledge.ingest_documents(ingest).await?;
    client.indexed(&format!("{word}-docs")).await?;
    let build = v1::BuildContextRequest { intent: format!("what is {word}"), ..Default::default() };
    client.knowledge.build_context(build).await?;
    client.wait_for_sleep(&format!("{tenant}/control-plane/run/{ended}"), WATCHDOG).await?;
    client.submit(&name, "timer", &serde_json::json!({ "url": url, "text": word })).await?;
    let going = client.submit(&name, "effect", &serde_json::json!({ "url": slow, "text": word })).await?;
    Ok(Furnished { secret: made.secret, client, ended, body, going })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_deleted_tenant_no_byte_is_left_and_another_is_whole() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let recorder = Recorder::start(Duration::ZERO).await?;
    let slow = Recorder::start(Duration::from_secs(3)).await?;
    let mut node = Node::start(&options(&data))?;
    let mut kept = furnish(&node, &data, KEPT, OTHER, &recorder.url(), &slow.url()).await?;
    let gone = furnish(&node, &data, GONE, WORD, &recorder.url(), &slow.url()).await?;
    let found = files_with(&data, &[GONE, WORD])?;
    for part in ["journal/", "content/", "knowledge/", "dead-letters/", "lineage/", "logs/", "readmodel", "/snap-"] {
        let lies_there = |path: &PathBuf| path.to_string_lossy().contains(part);
        ensure!(found.iter().any(lies_there), "nothing of it lies in `{part}` before it is deleted: {found:?}");
    }

    let (code, _, told) = node.mesh(&["tenants", "delete", GONE])?;
    ensure!(code == 2 && told.contains("--yes"), "{code}: {told}");
    let (code, _, told) = node.mesh(&["tenants", "delete", GONE, "--yes", "--etag", "v1"])?;
    ensure!(code != 0 && !files_with(&data, &[GONE])?.is_empty(), "deleted though it was another: {told}");
    let (code, shown, told) = node.mesh(&["tenants", "delete", GONE, "--yes"])?;
    ensure!(code == 0 && shown.contains("deleting") && shown.contains("is gone"), "{code}: {shown}{told}");
    let before = posted(&recorder) + posted(&slow);
    let left = files_with(&data, &[GONE, WORD])?;
    ensure!(left.is_empty(), "left: {left:?}");

    // Its effect that was under way has ended by now, and its timer is due: neither leaves anything.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let left = files_with(&data, &[GONE, WORD])?;
    ensure!(left.is_empty(), "came back: {left:?}");
    ensure!(posted(&recorder) + posted(&slow) == before, "it went on: {:?} {:?}", recorder.records(), slow.records());

    let refused = Client::connect(&node.grpc, &gone.secret).await?.run(&gone.ended).await;
    ensure!(refused.is_err_and(|error| error.to_string().contains("not accepted")), "its key still works");
    let mut operator = node.client().await?;
    let again = v1::CreateTenantRequest { tenant_id: GONE.to_owned(), ..Default::default() };
    let refused = operator.tenants.create_tenant(again.clone()).await;
    ensure!(refused.is_err_and(|status| status.code() == Code::FailedPrecondition), "its name was used again");
    is_whole(&mut kept).await?;
    let (code, _, told) = node.mesh(&["tenants", "delete", "default", "--yes"])?;
    ensure!(code == 3 && told.contains("operator's key"), "{code}: {told}");

    node.terminate()?;
    drop(node);
    let node = Node::start(&options(&data))?;
    kept.client = Client::connect(&node.grpc, &kept.secret).await?;
    is_whole(&mut kept).await?;
    let refused = node.client().await?.tenants.create_tenant(again).await;
    ensure!(refused.is_err_and(|status| status.code() == Code::FailedPrecondition), "its name was used again");
    let left = files_with(&data, &[GONE, WORD])?;
    ensure!(left.is_empty(), "left after a start: {left:?}");
    let (code, told, _) = node.mesh(&["doctor", "--verify"])?;
    ensure!(code == 0, "{told}");
    Ok(())
}

/// What the deleted tenant did in the outside world.
fn posted(recorder: &Recorder) -> usize {
    recorder.records().iter().filter(|record| record.body.to_string().contains(WORD)).count()
}

/// Everything that the tenant has is there, and goes on.
async fn is_whole(kept: &mut Furnished) -> Result<()> {
    let ended = kept.client.run(&kept.ended).await?;
    ensure!(ended.state() == v1::RunState::Succeeded, "{ended:#?}");
    ensure!(kept.client.content(&kept.body).await? == serde_json::to_vec(&OTHER.repeat(10_000))?, "another body");
    let listed = kept.client.workflows.list_runs(v1::ListRunsRequest::default()).await?.into_inner().runs;
    ensure!(listed.len() >= 3, "{listed:#?}");
    let letters = v1::ListDeadLettersRequest::default();
    ensure!(!kept.client.dead_letters.list_dead_letters(letters).await?.into_inner().dead_letters.is_empty());
    let going = kept.client.wait_for_end(&kept.going, WATCHDOG).await?;
    ensure!(going.state() == v1::RunState::Succeeded, "{going:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_goes_on_when_the_node_was_killed_in_the_middle_of_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let recorder = Recorder::start(Duration::ZERO).await?;
    let mut node = Node::start(&options(&data))?;
    furnish(&node, &data, GONE, WORD, &recorder.url(), &recorder.url()).await?;
    let mut client = node.client().await?;
    let request = v1::DeleteTenantRequest { tenant_id: GONE.to_owned(), ..Default::default() };
    client.tenants.delete_tenant(request).await?;
    for millis in [0, 15, 40, 80, 160] {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        node.kill()?;
        node = Node::start(&options(&data))?;
    }
    let began = Instant::now();
    loop {
        let left = files_with(&data, &[GONE, WORD])?;
        if left.is_empty() {
            break;
        }
        ensure!(began.elapsed() < WATCHDOG, "left: {left:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let listed = node.client().await?.tenants.list_tenants(v1::ListTenantsRequest::default()).await?.into_inner();
    ensure!(listed.tenants.len() == 1, "{listed:#?}");
    Ok(())
}

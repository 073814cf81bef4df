//! Runs that ended long ago are archived: they stay in lists and can be read, also when the lists are made
//! anew; what they took is freed.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions, json};
use tonic::Code;

const WATCHDOG: Duration = Duration::from_secs(90);

fn definition(name: &str) -> String {
    format!("name: {name}\nsteps: [{{ id: say, skill: text.echo, with: {{ text: done }} }}]\n")
}

fn options(data: &Path) -> NodeOptions {
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data);
    let settings = [
        ("MESH_RETENTION_RUNS", "2s"),
        ("MESH_RETENTION_OVERRIDES", "default/kept=1d"),
        ("MESH_RETENTION_CHECK_EVERY", "1s"),
        ("MESH_JOURNAL_SEGMENT_BYTES", "16 MiB"),
        ("MESH_ACTORS_COMMAND_TIMEOUT", "5s"),
    ];
    options.settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    options
}

/// Submits a run and waits for its end.
async fn ended(client: &mut Client, definition: &str, request: &str, text: &str) -> Result<String> {
    let run = client.submit(definition, request, &serde_json::json!({ "text": text })).await?;
    let shown = client.wait_for_end(&run, WATCHDOG).await?;
    ensure!(shown.state() == v1::RunState::Succeeded, "{shown:#?}");
    Ok(run)
}

async fn archived(client: &mut Client, run: &str) -> Result<v1::Run> {
    let began = Instant::now();
    loop {
        let shown = client.run(run).await?;
        if shown.archive_time.is_some() {
            return Ok(shown);
        }
        ensure!(began.elapsed() < WATCHDOG, "never archived: {shown:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn listed(client: &mut Client, run: &str) -> Result<Option<v1::Run>> {
    let request = v1::ListRunsRequest { page_size: 500, ..Default::default() };
    let runs = client.workflows.list_runs(request).await?.into_inner().runs;
    Ok(runs.into_iter().find(|listed| listed.run_id == run))
}

/// The digest under which the run's large text lies.
fn body(run: &v1::Run) -> Result<String> {
    let text = json(run.input.as_ref().context("no input")?.fields.get("text"));
    Ok(text.get("$ref").and_then(|digest| digest.as_str()).context("the text is not large")?.to_owned())
}

fn holds(folder: &Path, word: &str) -> Result<bool> {
    for entry in fs::read_dir(folder)? {
        let bytes = fs::read(entry?.path()).unwrap_or_default();
        if String::from_utf8_lossy(&bytes).contains(word) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_run_is_listed_and_read_and_nothing_of_it_goes_on() -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut node = Node::start(&options(data.path()))?;
    let mut client = node.client().await?;
    client.publish(&definition("short")).await?;
    client.publish(&definition("kept")).await?;
    let large = "w".repeat(100_000);
    let run = ended(&mut client, "short", "one", &format!("short{large}")).await?;
    let kept = ended(&mut client, "kept", "two", &format!("kept{large}")).await?;
    let before = client.run(&run).await?;
    let after = archived(&mut client, &run).await?;
    let bare = |run: &v1::Run| v1::Run { archive_time: None, ..run.clone() };
    assert_eq!(bare(&before), bare(&after), "an archived run is shown otherwise");

    let row = listed(&mut client, &run).await?.context("an archived run is not listed")?;
    ensure!(row.archive_time.is_some() && row.state() == v1::RunState::Succeeded, "{row:#?}");
    let request = v1::GetRunHistoryRequest { run_id: run.clone(), include_timeline: true, ..Default::default() };
    let history = client.workflows.get_run_history(request).await?.into_inner();
    ensure!(history.events.is_empty() && history.archive_time.is_some(), "{history:#?}");
    ensure!(history.timeline.starts_with("archived "), "{history:#?}");

    let again = client.submit("short", "one", &serde_json::json!({ "text": format!("short{large}") })).await?;
    assert_eq!(again, run, "the same request has submitted another run");
    let other = v1::SubmitRunRequest {
        definition: "short".to_owned(),
        request_id: "one".to_owned(),
        input: Some(mesh_tests::object(&serde_json::json!({ "text": "other" }))),
        ..Default::default()
    };
    let refused = client.workflows.submit_run(other).await.err().context("another body was taken")?;
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    let cancel = v1::CancelRunRequest { run_id: run.clone(), ..Default::default() };
    let refused = client.workflows.cancel_run(cancel).await.err().context("it was cancelled")?;
    ensure!(refused.code() == Code::FailedPrecondition && refused.message().contains("archived"), "{refused}");
    let target = Some(v1::watch_runs_request::Target::RunId(run.clone()));
    let watch = v1::WatchRunsRequest { target, start: v1::WatchStart::Beginning.into(), ..Default::default() };
    let refused = client.workflows.watch_runs(watch).await.err().context("it can be watched")?;
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");

    // Its body goes, and another's stays, however often it was looked.
    let began = Instant::now();
    while client.content(&body(&after)?).await.is_ok() {
        ensure!(began.elapsed() < WATCHDOG, "the body of an archived run stays");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let whole = client.run(&kept).await?;
    ensure!(whole.archive_time.is_none() && !client.content(&body(&whole)?).await?.is_empty(), "{whole:#?}");

    // Lists that are made anew have no event of it.
    node.terminate()?;
    drop(node);
    for file in ["readmodel.sqlite", "readmodel.sqlite-wal", "readmodel.sqlite-shm"] {
        let _may_not_be_there = fs::remove_file(data.path().join(file));
    }
    let node = Node::start(&options(data.path()))?;
    let mut client = node.client().await?;
    let began = Instant::now();
    let anew = loop {
        if let Some(anew) = listed(&mut client, &run).await? {
            break anew;
        }
        ensure!(began.elapsed() < WATCHDOG, "lists that were made anew do not show it");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(anew, row, "lists that were made anew show it otherwise");
    ensure!(client.run(&run).await? == after, "another run after a start");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_archived_runs_took_is_freed_and_a_deleted_tenants_archive_goes() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&options(data.path()))?;
    let mut operator = node.client().await?;
    let request = v1::CreateTenantRequest { tenant_id: "quaggas".to_owned(), ..Default::default() };
    operator.tenants.create_tenant(request).await?;
    let request = v1::CreateApiKeyRequest {
        tenant_id: "quaggas".to_owned(),
        name: "ci".to_owned(),
        roles: vec!["admin".to_owned(), "developer".to_owned()],
        ..Default::default()
    };
    let made = operator.tenants.create_api_key(request).await?.into_inner();
    let request =
        v1::ListApiKeysRequest { tenant_id: "quaggas".to_owned(), min_position: made.position, ..Default::default() };
    operator.tenants.list_api_keys(request).await?;
    let mut client = Client::connect(&node.grpc, &made.secret).await?;
    client.publish(&definition("short")).await?;
    // More than one segment: only what is not written to any more is freed.
    let text = "quaggaword".repeat(6_000);
    let mut runs = Vec::new();
    for n in 0..320 {
        let input = serde_json::json!({ "text": text, "n": n });
        runs.push(client.submit("short", &format!("run-{n}"), &input).await?);
    }
    let journal = data.path().join("journal");
    let first = journal.join("seg-0000000001.log");
    ensure!(journal.join("seg-0000000002.log").exists(), "everything fits into one segment");
    for run in &runs {
        archived(&mut client, run).await?;
    }
    let began = Instant::now();
    while fs::read(&first).is_ok_and(|first| String::from_utf8_lossy(&first).contains("quaggaword")) {
        ensure!(began.elapsed() < WATCHDOG, "the room of archived runs is not given back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let foreign = operator.run(&runs[0]).await;
    ensure!(foreign.is_err_and(|error| error.to_string().contains("there is no run")), "another tenant's archived run");

    ensure!(holds(data.path(), "quaggaword")?, "nothing is archived");
    let (code, _, told) = node.mesh(&["tenants", "delete", "quaggas", "--yes"])?;
    ensure!(code == 0, "{told}");
    ensure!(!holds(data.path(), "quagga")? && !holds(&journal, "quagga")?, "bytes of its archive are left");
    Ok(())
}

//! `small_disk MESH FOLDER`: a node whose data folder lies on a small file system of its own, which fills up,
//! gets room again, and is made read-only. FOLDER is the mount point of a tmpfs of some hundred MB that this
//! process may mount anew.
//!
//! A full disk refuses new work with a delay, goes on reading, finishes from its reserve what it can, and
//! takes everything again as soon as there is room. On a read-only one no node starts, and it says why.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use mesh_proto::rpc;
use mesh_tests::{Client, Node, NodeOptions};
use prost::Message as _;
use serde_json::json;
use tonic::{Code, Status};

const WATCHDOG: Duration = Duration::from_secs(60);

const DEFINITION: &str = r"
name: kept
inputSchema: { type: object, required: [pad], properties: { pad: { type: string } } }
steps:
  - { id: go, signal: { name: go } }
  - { id: say, needs: [go], skill: text.echo, with: { text: done } }
";

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(mesh), Some(folder)) = (arguments.next(), arguments.next()) else {
        bail!("the binary and a mount point are expected: small_disk MESH FOLDER")
    };
    let mut options = NodeOptions::new(&mesh.to_string_lossy(), &folder.join("data"));
    let settings = [("MESH_JOURNAL_SEGMENT_BYTES", "16 MiB"), ("MESH_JOURNAL_FREE_BYTES_MIN", "4 MiB")];
    options.settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let log = tempfile::NamedTempFile::new()?;
    options.stderr = Some(log.path().to_path_buf());
    let mut node = Node::start(&options)?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;
    let mut taken = vec![submit(&mut client, 0).await?];

    fill(&folder)?;
    let refused = until_refused(&mut client, &mut taken).await?;
    println!("full after {} runs: {}", taken.len(), refused.message());
    ensure!(retry_delay(&refused).is_some_and(|delay| !delay.is_zero()), "no delay is told: {refused:?}");
    for run in &taken {
        client.run(run).await.context("reading on a full disk")?;
    }
    let first = taken.first().context("nothing was taken")?.clone();
    signal(&mut client, &first).await.context("what runs already goes on from the reserve")?;
    client.wait_for_end(&first, WATCHDOG).await?;

    fs::remove_file(folder.join("ballast"))?;
    let began = Instant::now();
    loop {
        match submit(&mut client, 1_000_000).await {
            Ok(run) => break taken.push(run),
            Err(status) => ensure!(began.elapsed() < WATCHDOG, "with room again it still refuses: {status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("with room again it took new work after {:?}", began.elapsed());
    node.kill()?;

    remount(&folder, "ro")?;
    let started = Node::start(&options);
    remount(&folder, "rw")?;
    ensure!(started.is_err(), "a node has started on a read-only folder");
    let said = fs::read_to_string(log.path())?;
    let why = said.lines().rev().find(|line| line.to_lowercase().contains("read-only"));
    println!("on a read-only folder: {}", why.with_context(|| format!("it does not say why: {said}"))?);

    let node = Node::start(&options)?;
    let mut client = node.client().await?;
    for run in taken.iter().skip(1) {
        signal(&mut client, run).await.with_context(|| format!("`{run}` was acknowledged"))?;
    }
    for run in &taken {
        client.wait_for_end(run, WATCHDOG).await?;
    }
    ensure!(!fs::read_to_string(log.path())?.contains("panicked"), "something panicked");
    println!("{} acknowledged runs, all there, all ended", taken.len());
    Ok(())
}

async fn submit(client: &mut Client, number: usize) -> Result<String, Status> {
    let request = mesh_proto::v1::SubmitRunRequest {
        definition: "kept".to_owned(),
        request_id: format!("kept-{number}"),
        input: Some(mesh_tests::object(&json!({ "pad": "x".repeat(50_000) }))),
        ..Default::default()
    };
    let run = client.workflows.submit_run(request).await?.into_inner().run;
    Ok(run.map(|run| run.run_id).unwrap_or_default())
}

async fn signal(client: &mut Client, run: &str) -> Result<()> {
    let request = mesh_proto::v1::SignalRunRequest {
        run_id: run.to_owned(),
        name: "go".to_owned(),
        request_id: format!("go-{run}"),
        ..Default::default()
    };
    client.workflows.signal_run(request).await?;
    Ok(())
}

/// Submits until the disk takes no more.
async fn until_refused(client: &mut Client, taken: &mut Vec<String>) -> Result<Status> {
    for number in 1..5_000 {
        match submit(client, number).await {
            Ok(run) => taken.push(run),
            Err(status) if status.code() == Code::ResourceExhausted => return Ok(status),
            Err(status) => bail!("refused, and not for the disk: {status:?}"),
        }
    }
    bail!("the disk never became full")
}

fn retry_delay(status: &Status) -> Option<Duration> {
    let details = rpc::Status::decode(status.details()).ok()?.details;
    let told = details.iter().find(|any| any.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = rpc::RetryInfo::decode(told.value.as_slice()).ok()?.retry_delay?;
    Duration::try_from(delay).ok()
}

/// Writes until nothing fits any more.
fn fill(folder: &Path) -> Result<()> {
    let mut ballast = File::create(folder.join("ballast"))?;
    let part = vec![1; 64 * 1024];
    while ballast.write_all(&part).is_ok() {}
    Ok(())
}

fn remount(folder: &Path, how: &str) -> Result<()> {
    let ran = Command::new("mount").arg("-o").arg(format!("remount,{how}")).arg(folder).status()?;
    ensure!(ran.success(), "it could not be made {how}");
    Ok(())
}

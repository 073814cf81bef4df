//! A backup that is taken under load, restored elsewhere: paused, whole, and going on when told to.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions, Recorder};
use parking_lot::Mutex;

const WATCHDOG: Duration = Duration::from_secs(120);

const DEFINITION: &str = r"
name: saved
inputSchema:
  type: object
  required: [url, name]
  properties: { url: { type: string }, name: { type: string } }
steps:
  - id: post
    skill: http.post
    with: { url: '${ input.url }', body: { name: '${ input.name }' } }
  - id: nap
    needs: [post]
    timer: { duration: 1s }
  - id: last
    needs: [nap]
    skill: http.post
    with: { url: '${ input.url }', body: { name: '${ input.name }-last' } }
";

fn options(data: &Path) -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data)
}

/// Runs the command line and answers exit code and both outputs.
fn mesh(arguments: &[&str], data: &Path) -> Result<(i32, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_mesh"))
        .args(arguments)
        .arg("--data")
        .arg(data)
        .env_remove("MESH_API_KEY")
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned()))
}

/// Submits without end; what was acknowledged stands in the list.
async fn submitter(
    mut client: Client,
    url: String,
    list: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
) -> Result<()> {
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("run-{n}");
        let run = client.submit("saved", &name, &serde_json::json!({ "url": url, "name": name })).await?;
        list.lock().push(run);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_backup_goes_on_after_it_and_not_before_it_is_told_to() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [data, copy, new] = ["data", "copy", "new"].map(|name| folder.path().join(name));
    let copied = copy.to_string_lossy().into_owned();
    let recorder = Recorder::start(Duration::from_millis(300)).await?;
    let mut node = Node::start(&options(&data))?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;
    let (list, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let load = mesh_kernel::task::spawn("load", submitter(client.clone(), recorder.url(), list.clone(), stop.clone()));
    while list.lock().len() < 50 {
        ensure!(!load.is_finished(), "the load ended");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = list.lock().clone();
    let (code, told) = mesh(&["backup", &copied], &data)?;
    ensure!(code == 0, "{told}");
    stop.store(true, Ordering::Relaxed);
    load.await??;
    ensure!(list.lock().len() > before.len(), "nothing was submitted meanwhile");
    let (again, told) = mesh(&["backup", &copied], &data)?;
    ensure!(again == 1 && told.contains("not empty"), "{again}: {told}");
    let (_, page) = mesh_tests::get(&format!("{}/metrics", node.http), Some(&node.key()?), WATCHDOG).await?;
    ensure!(
        page.contains("\nmesh_backup_last_timestamp_seconds 1") && page.contains("\nmesh_archive_bytes "),
        "{page}"
    );
    node.kill()?;
    drop(node);
    let (_, told) = mesh(&["doctor"], &data)?;
    ensure!(told.contains(&format!("in {copied}")) && told.contains("archived runs"), "{told}");

    let (code, told) = mesh(&["restore", &copied], &new)?;
    ensure!(code == 0 && told.contains("paused"), "{code}: {told}");
    // The old node's requests end; from now on every one would be the restored node's.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let asked = recorder.records().len();
    let mut node = Node::start(&options(&new))?;
    let mut client = node.client().await?;
    let mut waiting = 0;
    for run in &before {
        waiting += usize::from(client.run(run).await?.state() == v1::RunState::Running);
    }
    ensure!(waiting > 0, "every run had ended before the backup: nothing would be paused");
    let refused = client.submit("saved", "new", &serde_json::json!({ "url": recorder.url(), "name": "x" })).await;
    ensure!(refused.is_err_and(|error| error.to_string().contains("paused")), "a paused node took a run");
    let (_, page) = mesh_tests::get(&format!("{}/", node.http), Some(&node.key()?), Duration::from_secs(10)).await?;
    ensure!(page.contains("mesh resume-node"), "the page does not say that the node is paused");
    let (_, told) = mesh(&["doctor"], &new)?;
    ensure!(told.contains("restored from a backup and paused") && told.contains("none was taken"), "{told}");
    // Longer than the timer that runs wait for.
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(recorder.records().len() == asked, "a paused node did something");
    node.terminate()?;
    drop(node);

    let (code, told) = mesh(&["resume-node"], &new)?;
    ensure!(code == 0, "{told}");
    let mut node = Node::start(&options(&new))?;
    let mut client = node.client().await?;
    for run in &before {
        let ended = client.wait_for_end(run, WATCHDOG).await?;
        ensure!(ended.state() == v1::RunState::Succeeded, "{ended:?}");
    }
    let (code, told) = mesh(&["doctor", "--verify"], &new)?;
    ensure!(code == 0, "{told}");
    node.terminate()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_stopped_node_that_was_cut_or_changed_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let copy = folder.path().join("copy");
    let copied = copy.to_string_lossy().into_owned();
    let mut node = Node::start(&options(&data))?;
    node.client().await?.publish(DEFINITION).await?;
    node.terminate()?;
    let (code, told) = mesh(&["backup", &copied], &data)?;
    ensure!(code == 0, "{told}");

    let last = copy.join("backup.json");
    let text = std::fs::read(&last)?;
    std::fs::remove_file(&last)?;
    let (code, told) = mesh(&["restore", &copied], &folder.path().join("cut"))?;
    ensure!(code == 1 && told.contains("no whole backup"), "{code}: {told}");
    std::fs::write(&last, text)?;
    let key = copy.join("beside/operator.key");
    let whole = std::fs::read(&key)?;
    std::fs::write(&key, [&whole[..whole.len() - 1], b"!"].concat())?;
    let (code, told) = mesh(&["restore", &copied], &folder.path().join("other-key"))?;
    ensure!(code == 1 && told.contains("operator.key") && told.contains("damaged at byte 0"), "{code}: {told}");
    std::fs::write(&key, whole)?;

    let mut logs: Vec<_> = std::fs::read_dir(copy.join("store"))?.flatten().map(|entry| entry.path()).collect();
    logs.sort_by_key(|path| std::fs::metadata(path).map_or(0, |metadata| metadata.len()));
    let largest = logs.last().context("the store has files")?;
    let mut bytes = std::fs::read(largest)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(largest, bytes)?;
    let changed = folder.path().join("changed");
    let (code, told) = mesh(&["restore", &copied], &changed)?;
    ensure!(code == 1 && told.contains("damaged at byte"), "{code}: {told}");
    ensure!(changed.join("paused").exists(), "what was half restored would not be paused");
    Ok(())
}

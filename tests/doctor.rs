//! `mesh doctor` with the real binary: on nothing, on a stopped node, a running one, a killed one, and on
//! a journal with a flipped bit.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use mesh_tests::{Node, NodeOptions};

/// Exit code, and each check with its state and what was found.
type Told = (i32, BTreeMap<String, (String, String)>);

fn doctor(data: &Path, more: &[&str]) -> Result<Told> {
    let output = Command::new(env!("CARGO_BIN_EXE_mesh"))
        .args(["doctor", "--output", "json", "--data"])
        .arg(data)
        .args(more)
        .env_remove("MESH_API_KEY")
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let found: Vec<serde_json::Value> = serde_json::from_str(&text).with_context(|| text.clone())?;
    let word = |finding: &serde_json::Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let checks = found.iter().map(|f| (word(f, "check"), (word(f, "state"), word(f, "found"))));
    for finding in &found {
        ensure!(word(finding, "state") == "ok" || !word(finding, "advice").is_empty(), "no advice: {finding}");
    }
    Ok((output.status.code().unwrap_or(-1), checks.collect()))
}

fn state<'a>(told: &'a Told, check: &str) -> &'a str {
    told.1.get(check).map_or("", |(state, _)| state.as_str())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_works_with_a_node_up_down_and_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let told = doctor(&data, &[])?;
    ensure!(told.0 == 0 && state(&told, "data folder") == "ok", "{told:?}");
    ensure!(!data.exists(), "looking made a folder");

    let options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), &data);
    let mut node = Node::start(&options)?;
    let told = doctor(&data, &["--verify"])?;
    for check in [
        "settings",
        "files",
        "disk",
        "first key",
        "formats",
        "node",
        "journal",
        "followers",
        "quarantine",
        "runs",
        "verify",
    ] {
        ensure!(matches!(state(&told, check), "ok" | "warn"), "`{check}` in {told:?}");
    }
    ensure!(told.1["node"].1.contains(&node.pid().to_string()), "{told:?}");
    ensure!(told.1.contains_key("flush") && told.1.contains_key("clock"), "{told:?}");

    node.kill()?;
    let told = doctor(&data, &["--verify"])?;
    ensure!(state(&told, "node") == "warn" && state(&told, "verify") == "ok" && told.0 == 0, "{told:?}");

    let mut node = Node::start(&options)?;
    node.terminate()?;
    let told = doctor(&data, &[])?;
    ensure!(state(&told, "node") == "ok" && told.0 == 0, "{told:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_the_journal_is_found_and_ends_with_1() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut node = Node::start(&NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), folder.path()))?;
    let mut client = node.client().await?;
    client.publish("name: one\nsteps: [{ id: a, skill: text.echo, with: { text: b } }]\n").await?;
    node.terminate()?;
    let journal = folder.path().join("journal");
    let mut logs: Vec<_> = std::fs::read_dir(&journal)?.flatten().map(|entry| entry.path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    let first = logs.first().context("no segment")?;
    let mut bytes = std::fs::read(first)?;
    // Within the first batch, behind the segment's header.
    bytes[4096 + 100] ^= 1;
    std::fs::write(first, bytes)?;
    let told = doctor(folder.path(), &["--verify"])?;
    ensure!(told.0 == 1 && state(&told, "verify") == "fail", "{told:?}");
    ensure!(told.1["verify"].1.contains("byte"), "it does not say where: {told:?}");
    Ok(())
}

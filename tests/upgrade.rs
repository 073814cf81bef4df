//! What an earlier program wrote, today's program reads and goes on with.
//!
//! `tests/fixtures/node-N` is the data folder of a whole node, made by a program of that time: a run that
//! waits, its snapshot, an archived run. `tests/fixtures/events.txt` is the form of every event that was ever
//! written. When something is added, this makes the next folder and completes the list:
//!
//! ```text
//! MESH_MAKE_FIXTURE=1 cargo test -p mesh --test upgrade
//! ```

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions};

const WATCHDOG: Duration = Duration::from_secs(60);

/// Where events are declared.
const MESSAGES: [&str; 25] = [
    "actors/agents/src/budget/mod.rs",
    "actors/agents/src/catalogue.rs",
    "actors/agents/src/context.rs",
    "actors/agents/src/definition/mod.rs",
    "actors/agents/src/task/messages.rs",
    "actors/platforms/src/control_plane/messages.rs",
    "actors/platforms/src/devops/messages.rs",
    "actors/platforms/src/governance/messages.rs",
    "actors/platforms/src/knowledge/messages.rs",
    "actors/platforms/src/product/messages.rs",
    "actors/platforms/src/runtime_cloud/messages.rs",
    "actors/workflows/src/catalogue/mod.rs",
    "actors/workflows/src/limit/mod.rs",
    "actors/workflows/src/run/messages.rs",
    "skills/src/catalogue/mod.rs",
    "skills/src/contract/failure.rs",
    "skills/src/contract/instructions.rs",
    "skills/src/contract/manifest.rs",
    "skills/src/contract/rate.rs",
    "skills/src/contract/reach.rs",
    "skills/src/contract/workloads.rs",
    "skills/src/models/chat.rs",
    "skills/src/models/exchange.rs",
    "skills/src/models/fault.rs",
    "skills/src/models/purse.rs",
];

const DEFINITION: &str = r"
name: waits
steps:
  - id: say
    skill: text.echo
    with: { text: '${ input.text }' }
  - id: go
    needs: [say]
    signal: { name: go }
  - id: end
    needs: [go]
    skill: text.echo
    with: { text: ended }
";
const SHORT: &str = "name: short\nsteps: [{ id: say, skill: text.echo, with: { text: done } }]\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixtures() -> PathBuf {
    root().join("tests/fixtures")
}

fn is_made() -> bool {
    std::env::var_os("MESH_MAKE_FIXTURE").is_some()
}

/// The folders that there are, oldest first.
fn folders() -> Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = fs::read_dir(fixtures())?.flatten().map(|entry| entry.path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

/// Makes a folder of today's program.
async fn make(to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let folder = tempfile::tempdir()?;
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), folder.path());
    let settings = [
        ("MESH_RETENTION_OVERRIDES", "default/short=1s"),
        ("MESH_RETENTION_CHECK_EVERY", "1s"),
        ("MESH_JOURNAL_SNAPSHOT_EVERY", "1"),
        ("MESH_JOURNAL_SEGMENT_BYTES", "16 MiB"),
    ];
    options.settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut node = Node::start(&options)?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;
    client.publish(SHORT).await?;
    let short = client.submit("short", "short", &serde_json::json!({})).await?;
    client.submit("waits", "waits", &serde_json::json!({ "text": "w".repeat(70_000) })).await?;
    let began = Instant::now();
    while client.run(&short).await?.archive_time.is_none() {
        ensure!(began.elapsed() < WATCHDOG, "no run is archived");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    node.terminate()?;
    for part in ["journal", "content", "cursors"] {
        copy(&folder.path().join(part), &to.join(part))?;
    }
    for file in ["archive.sqlite", "archive.sqlite-wal", "operator.key"] {
        fs::copy(folder.path().join(file), to.join(file))?;
    }
    Ok(())
}

/// Copies a folder. What a journal fills with zeros ahead of use is left out: it ends where its records do.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let mut bytes = match path.is_dir() {
            true => {
                copy(&path, &to.join(name))?;
                continue;
            }
            false => fs::read(&path)?,
        };
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| (last + 1).next_multiple_of(8));
        if name.to_string_lossy().starts_with("seg-") {
            bytes.truncate(used);
        }
        if used > 0 && name != "lock" {
            fs::write(to.join(name), bytes)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_an_earlier_node_wrote_is_opened_and_its_run_finishes() -> Result<()> {
    if is_made() {
        fs::create_dir_all(fixtures())?;
        make(&fixtures().join(format!("node-{}", folders()?.len() + 1))).await?;
    }
    let all = folders()?;
    ensure!(!all.is_empty(), "there is no folder in tests/fixtures");
    for fixture in all {
        let name = fixture.display().to_string();
        let has_snapshot = fs::read_dir(fixture.join("journal"))?
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("snap-"));
        ensure!(has_snapshot, "{name}: no snapshot in it");
        let folder = tempfile::tempdir()?;
        copy(&fixture, folder.path())?;
        let key = folder.path().join("operator.key");
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let mut node = Node::start(&NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), folder.path()))?;
        finishes(&mut node.client().await?).await.with_context(|| name.clone())?;
        node.terminate()?;
        let (code, told, _) = node.mesh(&["doctor", "--verify"])?;
        ensure!(code == 0, "{name}: {told}");
    }
    Ok(())
}

async fn finishes(client: &mut Client) -> Result<()> {
    let began = Instant::now();
    let runs = loop {
        let runs = client.workflows.list_runs(v1::ListRunsRequest::default()).await?.into_inner().runs;
        if runs.len() == 2 {
            break runs;
        }
        // Archived ones come into lists that were made anew when the first look for them is over.
        ensure!(began.elapsed() < WATCHDOG, "{runs:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let of = |definition: &str| runs.iter().find(|run| run.definition == definition).cloned();
    let archived = client.run(&of("short").context("no archived run")?.run_id).await?;
    ensure!(archived.archive_time.is_some() && archived.state() == v1::RunState::Succeeded, "{archived:#?}");
    let run_id = of("waits").context("no waiting run")?.run_id;
    let signal = v1::SignalRunRequest { run_id: run_id.clone(), name: "go".to_owned(), ..Default::default() };
    client.workflows.signal_run(signal).await?;
    let ended = client.wait_for_end(&run_id, WATCHDOG).await?;
    ensure!(ended.state() == v1::RunState::Succeeded, "{ended:#?}");
    Ok(())
}

/// The fields of everything that is written of a file: `file Type.Variant.field: Form`, and the attributes
/// that say how it is spelled.
fn forms(file: &str) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(root().join(file)).with_context(|| file.to_owned())?;
    let mut forms = BTreeSet::new();
    let (mut of, mut variant, mut attributes) = (String::new(), String::new(), Vec::new());
    for line in text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")) {
        let trimmed = line.trim();
        let depth = line.len() - line.trim_start().len();
        let words: Vec<&str> = trimmed.split_whitespace().collect();
        if trimmed.starts_with("#[serde") {
            attributes.push(trimmed.to_owned());
            continue;
        }
        let said = attributes.join(" ");
        match (depth, words.as_slice()) {
            (0, ["pub", "enum" | "struct", name, ..]) => {
                of = name.trim_end_matches([';', '{']).to_owned();
                variant.clear();
                forms.insert(format!("{file} {of} {said}").trim().to_owned());
            }
            (0, ["}", ..]) => of.clear(),
            (4, ["pub", field, ..]) if !of.is_empty() && field.ends_with(':') => {
                forms.insert(format!("{file} {of}.{} {said}", trimmed.trim_end_matches(',')).trim().to_owned());
            }
            (4, [name, ..]) if !of.is_empty() && name.starts_with(char::is_uppercase) => {
                variant = name.split(['(', '{', ',']).next().unwrap_or_default().to_owned();
                forms.insert(
                    format!("{file} {of}.{} {said}", trimmed.trim_end_matches([',', ' ', '{'])).trim().to_owned(),
                );
            }
            (8, [field, ..]) if !of.is_empty() && !variant.is_empty() && field.ends_with(':') => {
                forms.insert(
                    format!("{file} {of}.{variant}.{} {said}", trimmed.trim_end_matches(',')).trim().to_owned(),
                );
            }
            _ => {}
        }
        if !trimmed.starts_with("#[") && !trimmed.starts_with("//") {
            attributes.clear();
        }
    }
    Ok(forms)
}

#[test]
fn no_event_that_was_written_is_removed_or_changed() -> Result<()> {
    let mut today = BTreeSet::new();
    for file in MESSAGES {
        // What is told and not kept may change.
        today.extend(forms(file)?.into_iter().filter(|form| !form.contains("Command")));
    }
    let list = fixtures().join("events.txt");
    let kept: BTreeSet<String> = fs::read_to_string(&list).unwrap_or_default().lines().map(str::to_owned).collect();
    let gone: Vec<&String> = kept.difference(&today).collect();
    ensure!(
        gone.is_empty(),
        "events were written in these forms, and journals hold them for good. Take them back, or read the old form \
         by an upcast with a test of the old bytes, and only then strike them out of {}:\n{gone:#?}",
        list.display()
    );
    if is_made() {
        fs::create_dir_all(fixtures())?;
        fs::write(&list, today.iter().map(|form| format!("{form}\n")).collect::<String>())?;
    }
    let new: Vec<&String> = today.difference(&kept).collect();
    ensure!(
        new.is_empty() || is_made(),
        "new forms, to be kept from now on: `MESH_MAKE_FIXTURE=1 cargo test -p mesh --test upgrade`:\n{new:#?}"
    );
    Ok(())
}

//! A peer: a process that runs so many agents at a time, says in its last line what that cost, and ends.

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use tokio::process::Command;

use crate::{
    agents::{Load, Seen},
    options::Agents,
};

/// The bare loop, and the same with answers that stream.
pub(super) const BARE: &str = "bare";
pub(super) const BARE_STREAM: &str = "bare-stream";

/// The other in Rust.
pub(super) const RIG: &str = "rig";

/// The client that the peers in Python are built on, in a bare loop.
pub(super) const FLOOR: &str = "openai-python";

/// The frameworks in Python; the best of them is the best only when all were measured.
pub(super) const FRAMEWORKS: [&str; 4] = ["langgraph", "openai-agents", "pydantic-ai", "agent-framework"];

/// Whoever takes longer than this hangs.
const WATCHDOG: Duration = Duration::from_secs(300);

/// Whether a side of this name is such a process.
pub(super) fn is_one(name: &str) -> bool {
    in_rust(name) || name == FLOOR || FRAMEWORKS.contains(&name)
}

/// Whether it is fast enough for as many runs as ours.
pub(super) fn in_rust(name: &str) -> bool {
    [BARE, BARE_STREAM, RIG].contains(&name)
}

#[derive(Deserialize)]
struct Said {
    version: String,
    runs: usize,
    seconds: f64,
    cpu_seconds: f64,
    rest_bytes: u64,
    peak_bytes: u64,
}

/// Runs it once, in a process of its own; what it says, and its version.
///
/// # Errors
/// When it does not end well, with the last line of its log.
pub(super) async fn measure(options: &Agents, name: &str, load: &Load<'_>) -> Result<(Seen, String)> {
    let log = load.folder.join(format!("{name}.log"));
    let output = command(options, name)?
        .args(["--url", load.url])
        .args(["--in-flight", &load.in_flight.to_string()])
        .args(["--runs", &load.runs.to_string()])
        .args(["--warm", &load.warm.to_string()])
        .env("OPENAI_API_KEY", "none")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log)?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("`{name}` cannot be started"))?
        .wait_with_output();
    let output = tokio::time::timeout(WATCHDOG, output).await;
    let output = output.with_context(|| format!("`{name}` has not ended within {WATCHDOG:?}"))??;
    ensure!(output.status.success(), "`{name}` ended with {}: {}", output.status, last_line(&log));
    let text = String::from_utf8_lossy(&output.stdout);
    let line =
        text.lines().rev().find(|line| line.starts_with('{')).with_context(|| format!("`{name}` said `{text}`"))?;
    let said: Said = serde_json::from_str(line).with_context(|| format!("`{name}` said `{line}`"))?;
    ensure!(said.runs == load.runs, "`{name}` did {} runs instead of {}", said.runs, load.runs);
    let seen = Seen {
        runs: said.runs,
        seconds: said.seconds,
        cpu: said.cpu_seconds,
        rest: said.rest_bytes,
        peak: said.peak_bytes,
    };
    Ok((seen, said.version))
}

fn command(options: &Agents, name: &str) -> Result<Command> {
    Ok(match name {
        BARE | BARE_STREAM => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("bare-agent");
            if name == BARE_STREAM {
                command.arg("--stream");
            }
            command
        }
        RIG => Command::new(&options.rig),
        name if is_one(name) => {
            let mut command = Command::new(&options.python);
            // One file for each; a file must not be named as the package that it imports.
            command.arg(options.scripts.join(format!("run_{}.py", name.replace('-', "_"))));
            command
        }
        other => bail!("`{other}` is no peer"),
    })
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("its log is empty").to_owned()
}

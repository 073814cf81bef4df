//! Our side: the real node on a fresh data folder, and runs whose one step is the agent.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::{
    agents::{Load, Seen},
    measure::closed_count,
    options::Agents,
    ours::{Ours, UNBOUNDED},
    process::{cpu, peak_resident},
    side::Side as _,
};

/// Our side, every call and every answer of it flushed to disk.
pub(super) const OURS: &str = "ours";

/// The same with its data folder in memory: what durability costs without the disk.
pub(super) const MEMORY: &str = "ours-memory";

/// Where Linux has a file system in memory.
const IN_MEMORY: &str = "/dev/shm";

/// Runs that do not end within this time hang.
const WATCHDOG: Duration = Duration::from_secs(300);

/// The tool: a native skill that gives back what it got, as the peers' does.
const AGENT: &str = "\
name: bench
title: Looks keys up
class: small
instructions: Look up what you are asked for.
tools: [value.pass]
";

const WORKFLOW: &str = "\
name: one-agent
title: One agent
steps:
  - { id: ask, agent: bench, with: { goal: '${input.goal}' } }
outputs: { answer: '${steps.ask.output}' }
";

/// Whether a side of this name is ours.
pub(super) fn is_one(name: &str) -> bool {
    [OURS, MEMORY].contains(&name)
}

/// The names of the models, and where they are asked. Answers do not stream, as those of the peers.
fn models(url: &str) -> String {
    format!(
        "endpoints:\n  default: {{ url: '{url}', stream: false }}\n\
         classes:\n  small: [{{ endpoint: default, model: bench }}]\n"
    )
}

/// Starts a node, runs the agents, and stops it.
///
/// # Errors
/// A node that does not start, and a run that does not end.
pub(super) async fn measure(options: &Agents, name: &str, load: &Load<'_>) -> Result<(Seen, String)> {
    let folder = match name {
        MEMORY => tempfile::tempdir_in(IN_MEMORY).context("there is no file system in memory")?,
        _ => tempfile::tempdir_in(load.folder)?,
    };
    let mut ours = start(options, folder.path().join("data"), load.url).await?;
    let once = || async { ours.run_of("one-agent", &json!({ "goal": "Look up a and b." })).await };
    let timed = async {
        closed_count(load.warm, load.in_flight, once).await?;
        quiet(&ours).await;
        let (began, used) = (Instant::now(), used(&ours));
        closed_count(load.runs, load.in_flight, once).await?;
        anyhow::Ok((began.elapsed(), used))
    };
    let Ok(timed) = tokio::time::timeout(WATCHDOG, timed).await else {
        let failed = ours.has_any(&["FAILED"]).await?;
        bail!("the runs of ours did not end within {WATCHDOG:?}{}", if failed { ": some have failed" } else { "" });
    };
    let (time, before) = timed?;
    // What is written behind the runs, lists above all, is part of what they cost.
    quiet(&ours).await;
    let seen = Seen {
        runs: load.runs,
        seconds: time.as_secs_f64(),
        cpu: used(&ours) - before,
        rest: ours.started.resident,
        peak: ours.servers().into_iter().map(peak_resident).sum(),
    };
    let version = ours.version();
    ours.stop()?;
    Ok((seen, version))
}

async fn start(options: &Agents, data: PathBuf, url: &str) -> Result<Ours> {
    fs::create_dir_all(&data)?;
    fs::write(data.join("models.yaml"), models(url))?;
    let mut ours = Ours::start_with(&options.mesh, data, &UNBOUNDED).await?;
    publish_agent(&mut ours, AGENT).await?;
    ours.publish(WORKFLOW).await?;
    Ok(ours)
}

/// Publishes the agent.
///
/// # Errors
/// Always, for as long as a node knows neither agents nor the file of its models.
async fn publish_agent(_ours: &mut Ours, _text: &str) -> Result<()> {
    bail!("not yet: the node has no agents that could be published")
}

fn used(ours: &Ours) -> f64 {
    ours.servers().into_iter().map(cpu).sum()
}

async fn quiet(ours: &Ours) {
    while ours.node_is_busy() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

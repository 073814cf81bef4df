//! How soon an empty node is ready, and how soon one that was killed has resumed its unfinished runs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    measure::quantile,
    options::Ready,
    ours::Ours,
    process::load,
    report::{MIB, rounded},
    side::Side as _,
};

/// Waits for longer than it takes to submit all runs and to kill the node; then there is one step left.
const WAITING: &str = "name: waiting\ntitle: Waits and goes on\nsteps:\n  - { id: wait, timer: 20s }\n  \
                       - { id: go-on, needs: wait, skill: value.pass, with: { value: '${input.text}' } }\n";
const WAIT: Duration = Duration::from_secs(20);

/// Measures and reports.
///
/// # Errors
/// A node that does not start, and runs that do not go on.
pub(crate) async fn run(options: &Ready) -> Result<()> {
    std::fs::create_dir_all(&options.work)?;
    let work = tempfile::tempdir_in(&options.work)?;
    let before = load();
    let (mut times, mut resident, mut version) = (Vec::new(), 0, String::new());
    for start in 0..options.starts {
        let ours = Ours::start(&options.mesh, work.path().join(format!("empty-{start}"))).await?;
        times.push(ours.started.time);
        resident = resident.max(ours.started.resident);
        version = ours.version();
        ours.stop()?;
    }
    let (p50, worst) = (ms(quantile(&times, 0.5)), ms(quantile(&times, 1.0)));
    let mib = resident as f64 / MIB;
    println!("ready on an empty folder: {p50:.0} ms (p50 of {}), {worst:.0} ms at worst, {mib:.0} MiB", times.len());

    let resumed = resume(options, work.path().join("resume")).await?;
    println!(
        "{} unfinished runs, killed: ready in {:.0} ms, all went on and ended within {:.0} ms of the start",
        options.runs,
        ms(resumed.ready),
        ms(resumed.all)
    );
    println!(
        "{}",
        json!({
            "bench": "ready", "versions": {"ours": version}, "load": {"before": before, "after": load()},
            "work": {"ours": options.runs, "peers": {}},
            "ours": {
                "readyP50Ms": rounded(p50, 0), "readyWorstMs": rounded(worst, 0), "readyMib": rounded(mib, 0),
                "readyWithUnfinishedMs": rounded(ms(resumed.ready), 0),
                "resumedMs": rounded(ms(resumed.all), 0),
            },
            "peers": {}, "ratio": {}, "limit": {},
        })
    );
    Ok(())
}

struct Resumed {
    ready: Duration,
    all: Duration,
}

/// Every run waits for a timer that falls due while the node is dead; resumed is a run that has ended.
/// The time has the reading of the whole list in it, which tells that it has.
async fn resume(options: &Ready, data: std::path::PathBuf) -> Result<Resumed> {
    let mut ours = Ours::start(&options.mesh, data.clone()).await?;
    ours.publish(WAITING).await?;
    let submitting = Instant::now();
    ours.submit("waiting", options.runs, 64).await?;
    ensure!(submitting.elapsed() < WAIT, "it took longer to submit the runs than they wait");
    ours.kill()?;
    tokio::time::sleep(WAIT + Duration::from_secs(1)).await;

    let began = Instant::now();
    let mut ours = Ours::start(&options.mesh, data).await?;
    let ready = ours.started.time;
    let unfinished = ["CREATED", "RUNNING", "WAITING"];
    while ours.has_any(&unfinished).await? || ours.succeeded().await? < options.runs as u64 {
        ensure!(began.elapsed() < Duration::from_secs(120), "not all runs went on within two minutes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Resumed { ready, all: began.elapsed() })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

//! What a node costs as finished runs pile up: nothing may grow faster than its cause, and the start
//! may not grow with them.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    options::Growth,
    ours::Ours,
    process::{Meter, load},
    report::{MIB, rounded},
    side::Side as _,
};

/// Measures and reports.
///
/// # Errors
/// A node that does not start, and a run that fails.
pub(crate) async fn run(options: &Growth) -> Result<()> {
    std::fs::create_dir_all(&options.work)?;
    let work = tempfile::tempdir_in(&options.work)?;
    let data = work.path().join("ours");
    let before = load();
    let mut ours = Ours::start(&options.mesh, data.clone()).await?;
    let (version, mut done, mut points) = (ours.version(), 0, Vec::new());
    println!(
        "{:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "finished", "steps/s", "p50 ms", "peak MiB", "disk MiB", "start ms", "then MiB"
    );
    for runs in &options.runs {
        ours.execute(runs.saturating_sub(done), options.in_flight).await?;
        let meter = Meter::start(&ours.servers());
        let slot = ours.measure(options.in_flight, Duration::from_secs(options.seconds)).await?;
        let cost = meter.stop();
        let disk = ours.data_bytes()? as f64 / MIB;
        ours.stop()?;
        ours = Ours::start(&options.mesh, data.clone()).await?;
        done = ours.succeeded().await? as usize;
        let started = ours.started;
        let (start_ms, start_mib) = (started.time.as_secs_f64() * 1000.0, started.resident as f64 / MIB);
        println!(
            "{done:>10} {:>10.0} {:>10.3} {:>10.0} {disk:>10.0} {start_ms:>10.0} {start_mib:>10.0}",
            slot.steps_per_second(),
            slot.step_ms(0.5),
            cost.peak as f64 / MIB,
        );
        points.push(json!({
            "finished": done,
            "stepsPerSecond": rounded(slot.steps_per_second(), 0),
            "stepP50Ms": rounded(slot.step_ms(0.5), 3),
            "peakMib": rounded(cost.peak as f64 / MIB, 0),
            "diskMib": rounded(disk, 0),
            "startMs": rounded(start_ms, 0),
            "startMib": rounded(start_mib, 0),
        }));
    }
    ensure!(ours.finished().await? > 0, "no run is in the list");
    println!(
        "{}",
        json!({
            "bench": "growth", "versions": {"ours": version}, "load": {"before": before, "after": load()},
            "work": {"ours": done, "peers": {}}, "ours": points, "peers": {}, "ratio": {}, "limit": {},
        })
    );
    Ok(())
}

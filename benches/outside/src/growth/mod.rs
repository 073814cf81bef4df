//! What a node costs as something grows: nothing may grow faster than its cause.

mod finished;
mod history;
mod queue;
mod tenants;

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use crate::{
    options::Growth,
    ours::Started,
    process::{Cost, load},
    report::{MIB, rounded},
};

/// Measures and reports.
///
/// # Errors
/// A node that does not start, and a run that fails.
pub(crate) async fn run(options: &Growth) -> Result<()> {
    std::fs::create_dir_all(&options.work)?;
    let before = load();
    let mut ours = Map::new();
    for of in &options.of {
        let work = tempfile::tempdir_in(&options.work)?;
        let data = work.path().join("ours");
        let points = match of.as_str() {
            "finished" => finished::run(options, data).await?,
            "history" => history::run(options, data).await?,
            "tenants" => tenants::run(options, data).await?,
            "queue" => queue::run(options, data).await?,
            other => bail!("`{other}` does not grow here: finished, history, tenants and queue do (--of)"),
        };
        ours.insert(of.clone(), Value::Array(points));
    }
    println!(
        "{}",
        json!({
            "bench": "growth", "versions": {"ours": env!("CARGO_PKG_VERSION")},
            "load": {"before": before, "after": load()}, "work": {"ours": ours.len(), "peers": {}},
            "ours": ours, "peers": {}, "ratio": {}, "limit": {},
        })
    );
    Ok(())
}

/// The columns that every table has, and those of the last line.
fn point(cause: usize, steps_per_second: f64, cost: &Cost, disk: u64, started: Started) -> Value {
    let (start_ms, start_mib) = (started.time.as_secs_f64() * 1000.0, started.resident as f64 / MIB);
    let (peak, disk) = (cost.peak as f64 / MIB, disk as f64 / MIB);
    println!("{cause:>10} {steps_per_second:>10.0} {peak:>10.0} {disk:>10.0} {start_ms:>10.0} {start_mib:>10.0}");
    json!({
        "cause": cause,
        "stepsPerSecond": rounded(steps_per_second, 0),
        "peakMib": rounded(peak, 0),
        "diskMib": rounded(disk, 0),
        "startMs": rounded(start_ms, 0),
        "startMib": rounded(start_mib, 0),
    })
}

fn head(cause: &str) {
    println!(
        "{:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        cause, "steps/s", "peak MiB", "disk MiB", "start ms", "then MiB"
    );
}

//! The table for people and the line for machines.

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::{
    durable::{Results, Seen},
    measure::{STEPS, quantile},
    ours::{EACH, WORKER},
};

/// **Units**: bytes.
pub(crate) const MIB: f64 = 1024.0 * 1024.0;

/// Prints both.
///
/// # Errors
/// When the line cannot be written as JSON.
pub(crate) fn durable(results: &Results, levels: &[usize]) -> Result<()> {
    println!("\n10-step workflows, flushed; load {:.1} before, {:.1} after", results.load[0], results.load[1]);
    println!(
        "{:<20} {:>9} {:>10} {:>10} {:>10} {:>8} {:>8} {:>9} {:>9} {:>9}",
        "", "in flight", "steps/s", "p50 ms", "p99 ms", "runs", "MiB", "CPU/1k", "steps'", "driver's"
    );
    for ((name, level), seen) in &results.seen {
        row(name, *level, seen);
    }
    for (writers, slot) in &results.bare {
        let per_second = slot.runs.len() as f64 / slot.time.as_secs_f64();
        let (p50, p99) = (quantile(&slot.runs, 0.5), quantile(&slot.runs, 0.99));
        let what = if *writers == 1 { "bare flush" } else { "bare group commit" };
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
        println!("{what:<20} {writers:>9} {per_second:>10.0} {:>10.3} {:>10.3}", ms(p50), ms(p99));
    }
    println!("ours: the steps are pure, and a run computes them itself, in one append; ours-each: each is recorded");
    println!(
        "before the next begins, as the peers do it; ours-worker: and its code is in another process, as theirs is."
    );
    println!("a step of ours writes {} bytes to the journal; the bare rows write as many", results.bytes_per_step);
    println!("CPU/1k: seconds on a processor for 1000 steps, of the servers, of the processes with the steps' code,");
    println!("and of the driver. MiB: peak resident memory of the server processes.");
    println!("finished by their own interfaces: {:?}", results.finished);
    println!("{}", serde_json::to_string(&line(results, levels))?);
    Ok(())
}

fn row(name: &str, level: usize, seen: &Seen) {
    println!(
        "{name:<20} {level:>9} {:>10.0} {:>10.3} {:>10.3} {:>8} {:>8.0} {:>9.3} {:>9.3} {:>9.3}",
        seen.slot.steps_per_second(),
        seen.slot.step_ms(0.5),
        seen.slot.step_ms(0.99),
        seen.slot.runs.len(),
        seen.servers.peak as f64 / MIB,
        seen.per_thousand(seen.servers.cpu),
        seen.per_thousand(seen.helpers.cpu),
        seen.per_thousand(seen.servers.driver_cpu),
    );
}

impl Seen {
    fn per_thousand(&self, seconds: f64) -> f64 {
        seconds * 1000.0 / (self.slot.ended * STEPS) as f64
    }

    fn json(&self) -> Value {
        json!({
            "stepsPerSecond": rounded(self.slot.steps_per_second(), 0),
            "stepP50Ms": rounded(self.slot.step_ms(0.5), 3),
            "stepP99Ms": rounded(self.slot.step_ms(0.99), 3),
            "peakMib": rounded(self.servers.peak as f64 / MIB, 0),
            "cpuPer1000": rounded(self.per_thousand(self.servers.cpu), 3),
            "stepsCpuPer1000": rounded(self.per_thousand(self.helpers.cpu), 3),
            "driverCpuPer1000": rounded(self.per_thousand(self.servers.driver_cpu), 3),
        })
    }
}

fn line(results: &Results, levels: &[usize]) -> Value {
    let side = |name: &str| -> Map<String, Value> {
        let of_side = results.seen.iter().filter(|((side, _), _)| *side == name);
        of_side.map(|((_, level), seen)| (format!("c{level}"), seen.json())).collect()
    };
    let names = || results.finished.keys().filter(|name| !["ours", EACH, WORKER].contains(*name));
    let peers: Map<_, _> = names().map(|name| ((*name).to_owned(), Value::Object(side(name)))).collect();
    let work: Map<_, _> = names().map(|name| ((*name).to_owned(), json!(results.finished.get(name)))).collect();
    json!({
        "bench": "durable",
        "versions": results.versions,
        "load": {"before": results.load[0], "after": results.load[1]},
        "work": {"ours": results.finished.get("ours"), "peers": work},
        "ours": side("ours"),
        "oursEach": side(EACH),
        "oursWorker": side(WORKER),
        "peers": peers,
        "ratio": ratios(results, levels),
        "limit": limits(results, levels),
    })
}

/// Our sides, and what stands before and behind the levels of their ratios.
const SIDES: [(&str, [&str; 2]); 3] = [("ours", ["", ""]), (EACH, ["each_", ""]), (WORKER, ["", "_worker"])];

/// Ours over Restate's: steps in a second, and memory at the highest level.
fn ratios(results: &Results, levels: &[usize]) -> Map<String, Value> {
    let mut ratios = Map::new();
    for (level, (side, [prefix, suffix])) in levels.iter().flat_map(|level| SIDES.map(|side| (level, side))) {
        let (Some(ours), Some(theirs)) = (results.seen.get(&(side, *level)), results.seen.get(&("restate", *level)))
        else {
            continue;
        };
        let ratio = ours.slot.steps_per_second() / theirs.slot.steps_per_second();
        ratios.insert(format!("{prefix}c{level}{suffix}"), rounded(ratio, 2));
        if Some(level) == levels.iter().max() {
            let memory = ours.servers.peak as f64 / theirs.servers.peak as f64;
            ratios.insert(format!("{prefix}memory{suffix}"), rounded(memory, 2));
        }
    }
    ratios
}

/// One in flight: our step's median over the bare flush's. More: our steps over the bare appends.
fn limits(results: &Results, levels: &[usize]) -> Map<String, Value> {
    let mut limits = Map::new();
    for (level, (side, [prefix, suffix])) in levels.iter().flat_map(|level| SIDES.map(|side| (level, side))) {
        let (Some(ours), Some(bare)) = (results.seen.get(&(side, *level)), results.bare.get(level)) else {
            continue;
        };
        let limit = match level {
            1 => ours.slot.step_ms(0.5) / (quantile(&bare.runs, 0.5).as_secs_f64() * 1000.0),
            _ => ours.slot.steps_per_second() * bare.time.as_secs_f64() / bare.runs.len() as f64,
        };
        limits.insert(format!("{prefix}c{level}{suffix}"), rounded(limit, 3));
    }
    limits
}

/// For the line: so many digits behind the point.
pub(crate) fn rounded(value: f64, digits: i32) -> Value {
    let scale = 10_f64.powi(digits);
    json!((value * scale).round() / scale)
}

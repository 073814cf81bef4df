//! The same agent on all sides in turn: three turns with a model that answers at once, and two calls of a
//! tool that does nothing, so that what is measured is the loop around them.

mod bare;
mod model_server;
mod ours;
mod peer;
mod report;

use std::{collections::BTreeMap, path::Path};

use anyhow::{Result, bail, ensure};

pub(crate) use self::{bare::run as run_bare, model_server::run as run_model_server};
use crate::{options::Agents, process};

/// What one side does in one measurement.
struct Load<'a> {
    url: &'a str,
    /// For its logs and its data.
    folder: &'a Path,
    in_flight: usize,
    runs: usize,
    /// Runs before those that count.
    warm: usize,
}

/// What one side did in one measurement.
#[derive(Debug, Clone, Copy)]
struct Seen {
    runs: usize,
    seconds: f64,
    /// Time on processors, the user's and the system's, of the process that runs the agents.
    /// **Units**: seconds.
    cpu: f64,
    /// Resident memory before its first run. **Units**: bytes.
    rest: u64,
    /// The most that it ever had. **Units**: bytes.
    peak: u64,
}

impl Seen {
    /// **Units**: microseconds.
    fn cpu_per_turn(&self) -> f64 {
        self.cpu * 1e6 / (self.runs as u64 * model_server::TURNS) as f64
    }

    fn runs_per_second(&self) -> f64 {
        self.runs as f64 / self.seconds
    }
}

/// What was seen of everything.
#[derive(Default)]
struct Results {
    versions: BTreeMap<String, String>,
    /// Before the first measurement, and after the last.
    load: [f64; 2],
    /// Turns by the model server's count.
    turns: BTreeMap<String, u64>,
    /// One for each round.
    seen: BTreeMap<(String, usize), Vec<Seen>>,
    /// Sides that failed, and why: nothing of theirs is told.
    failed: BTreeMap<String, String>,
}

/// Measures and reports.
///
/// # Errors
/// A side that failed: after the report, which names it.
pub(crate) async fn run(options: &Agents) -> Result<()> {
    let mut sides = options.only.clone();
    sides.extend(options.with_rig.then(|| peer::RIG.to_owned()));
    for name in &sides {
        ensure!(ours::is_one(name) || peer::is_one(name), "`{name}` is no side (--only)");
    }
    ensure!(!options.levels.contains(&0) && options.rounds > 0, "at least one run in flight, and one round");
    std::fs::create_dir_all(&options.work)?;
    let work = tempfile::tempdir_in(&options.work)?;
    let server = model_server::Process::start()?;
    let mut results = Results { load: [process::load(), 0.0], ..Results::default() };
    for round in 0..options.rounds {
        for level in &options.levels {
            // Another begins each round, so that none always has the quietest or the warmest moment.
            let (behind, first) = sides.split_at(round % sides.len().max(1));
            for name in first.iter().chain(behind) {
                one(options, name, *level, &server, work.path(), &mut results).await;
            }
        }
    }
    results.load[1] = process::load();
    for failed in results.failed.keys() {
        results.seen.retain(|(name, _), _| name != failed);
        results.turns.remove(failed);
    }
    report::print(&results, &options.levels)?;
    let failed: Vec<_> = results.failed.iter().map(|(name, why)| format!("`{name}`: {why}")).collect();
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("sides that failed, of which nothing is told: {}", failed.join("; ")),
    }
}

/// One measurement; a side that fails is not measured again.
async fn one(
    options: &Agents,
    name: &str,
    level: usize,
    server: &model_server::Process,
    folder: &Path,
    results: &mut Results,
) {
    if results.failed.contains_key(name) {
        return;
    }
    match measure(options, name, level, server, folder).await {
        Ok((seen, version, turns)) => {
            eprintln!(
                "{name:>16} {level:>4} in flight: {:>8.0} us/turn, {:>7.0} runs/s",
                seen.cpu_per_turn(),
                seen.runs_per_second()
            );
            results.versions.insert(name.to_owned(), version);
            *results.turns.entry(name.to_owned()).or_default() += turns;
            results.seen.entry((name.to_owned(), level)).or_default().push(seen);
        }
        Err(error) => {
            eprintln!("{name:>16} {level:>4} in flight: {error:#}");
            results.failed.insert(name.to_owned(), format!("{error:#}"));
        }
    }
}

async fn measure(
    options: &Agents,
    name: &str,
    in_flight: usize,
    server: &model_server::Process,
    folder: &Path,
) -> Result<(Seen, String, u64)> {
    let fast = ours::is_one(name) || peer::in_rust(name);
    let runs = if fast { options.runs } else { options.python_runs };
    let url = server.url();
    // A tenth warms up, and not fewer than are in flight.
    let load = Load { url: &url, folder, in_flight, runs, warm: (runs / 10).max(in_flight) };
    let before = server.count().await?;
    let (seen, version) = match ours::is_one(name) {
        true => ours::measure(options, name, &load).await?,
        false => peer::measure(options, name, &load).await?,
    };
    let turns = server.count().await? - before;
    let expected = (load.runs + load.warm) as u64 * model_server::TURNS;
    ensure!(turns == expected, "the model was asked {turns} times by `{name}`, not {expected} times as it should");
    Ok((seen, version, turns))
}

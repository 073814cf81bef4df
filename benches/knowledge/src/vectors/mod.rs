//! `benches/compare vectors`: the same vectors and queries for all sides, each side in a process of its own.
//!
//! A side builds and saves its index once. Then, round by round, each side in its turn loads it and answers all
//! queries at each of several widths: curves of recall and speed, of which those points are compared that reach the
//! same recall.

mod data;
mod ours;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

pub(crate) use ours::{Side, side};

/// Options of `vectors`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Data sets, each so many vectors of so many numbers.
    #[arg(long, value_delimiter = ',', default_value = "100000x384,1000000x128")]
    sets: Vec<String>,
    /// How many queries there are.
    #[arg(long, default_value_t = 1000)]
    queries: usize,
    /// How often the sides take turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Which sides run: ours, hnswlib, usearch, faiss, qdrant.
    #[arg(long, value_delimiter = ',', default_value = "ours,hnswlib,usearch,faiss,qdrant")]
    only: Vec<String>,
    /// Where data and indexes lie.
    #[arg(long)]
    work: PathBuf,
    /// The interpreter that has the peers.
    #[arg(long)]
    python: PathBuf,
    /// The folder of the peers' script.
    #[arg(long)]
    scripts: PathBuf,
}

/// What one side did with one data set.
#[derive(Debug)]
struct Seen {
    side: String,
    built: Value,
    rounds: Vec<Value>,
}

/// One data set, and what all sides did with it.
#[derive(Debug)]
struct Set {
    rows: usize,
    dimensions: usize,
    seen: Vec<Seen>,
}

/// Runs the comparison and prints it.
///
/// # Errors
/// When a side fails.
pub(crate) fn compare(options: &Options) -> Result<()> {
    let before = load();
    let mut sets = Vec::new();
    for set in &options.sets {
        let numbers = set.split_once('x').and_then(|(rows, of)| Some((rows.parse().ok()?, of.parse().ok()?)));
        let (rows, dimensions) = numbers.with_context(|| format!("`{set}` is no data set: 100000x384 is one"))?;
        let folder = options.work.join(set);
        fs::create_dir_all(&folder)?;
        data::make(&folder, rows, dimensions, options.queries)?;
        sets.push(Set { rows, dimensions, seen: turns(options, &folder, dimensions)? });
    }
    report::print(&sets, options.queries, [before, load()]);
    Ok(())
}

fn turns(options: &Options, folder: &Path, dimensions: usize) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for side in &options.only {
        eprintln!("{}: {side} builds", folder.display());
        seen.push(Seen {
            side: side.clone(),
            built: run(options, side, "build", folder, dimensions)?,
            rounds: Vec::new(),
        });
    }
    for round in 1..=options.rounds {
        let phase = if round == options.rounds { "search-and-write" } else { "search" };
        for seen in &mut seen {
            eprintln!("{}: {} searches, round {round}", folder.display(), seen.side);
            seen.rounds.push(run(options, &seen.side, phase, folder, dimensions)?);
        }
    }
    Ok(seen)
}

/// Runs one side in a process of its own; its last line is what it saw.
fn run(options: &Options, side: &str, phase: &str, folder: &Path, dimensions: usize) -> Result<Value> {
    let mut command = if side == "ours" {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("vectors-side");
        command
    } else {
        let mut command = Command::new(&options.python);
        command.arg(options.scripts.join("run.py")).arg(side);
        command
    };
    let done = command.arg(phase).arg(folder).arg(dimensions.to_string()).stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        bail!("{side} failed to {phase}: {said}");
    }
    serde_json::from_str(said.trim_end().lines().last().unwrap_or_default())
        .with_context(|| format!("{side} said `{said}`"))
}

/// The machine's load of the last minute.
fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

//! The lineage graph beside petgraph's. Each side runs in a process of its own, so that what one has allocated is
//! not what another is charged with; all make the same edges from the same numbers.

mod allocated;
mod made;
mod ours;
mod peers;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// How many nodes are asked about in each direction.
const STARTS: usize = 1_000;

/// What is measured, and where its files go.
struct Plan {
    edges: usize,
    side: String,
    work: PathBuf,
}

/// Measures one side: `--edges N --side ours|stable|csr|edges --work FOLDER`. `edges` writes the graph for peers in
/// other languages. The last line is JSON.
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let mut plan = Plan { edges: 1_000_000, side: "ours".into(), work: std::env::temp_dir() };
    for pair in arguments.chunks(2) {
        match pair {
            [key, value] if key == "--edges" => plan.edges = value.parse().context("--edges")?,
            [key, value] if key == "--side" => plan.side.clone_from(value),
            [key, value] if key == "--work" => plan.work = value.into(),
            _ => bail!("`{}` is not understood", pair.join(" ")),
        }
    }
    let made = made::Made::new(plan.edges);
    let told = match plan.side.as_str() {
        "ours" => ours::measure(&made, &plan.work)?,
        "stable" => peers::stable(&made, &plan.work)?,
        "csr" => peers::csr(&made),
        "edges" => made.write(&plan.work)?,
        other => bail!("`{other}` is no side: ours, stable, csr, edges"),
    };
    println!("{told}");
    Ok(())
}

/// Asks for all closures, and gives what it took and how many nodes each had.
fn asked(starts: &[u32], mut closure: impl FnMut(u32) -> usize) -> Value {
    // Once without a clock: pages and caches are as in the midst of work.
    for start in starts.iter().take(50) {
        closure(*start);
    }
    let (mut took, mut sizes) = (Vec::with_capacity(starts.len()), Vec::with_capacity(starts.len()));
    for start in starts {
        let began = Instant::now();
        sizes.push(closure(*start) as f64);
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    let total: f64 = sizes.iter().sum();
    json!({
        "p50_us": quantile(&mut took, 0.5), "p99_us": quantile(&mut took, 0.99),
        "nodes_p50": quantile(&mut sizes, 0.5), "nodes_p99": quantile(&mut sizes, 0.99), "nodes": total,
    })
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

/// **Units**: millions a second.
fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64() / 1e6
}

//! The table for people and the line for machines.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{Results, Seen, ours, peer};
use crate::report::{MIB, rounded};

/// Prints both.
///
/// # Errors
/// When the line cannot be written as JSON.
pub(super) fn print(results: &Results, levels: &[usize]) -> Result<()> {
    println!("\nan agent of 3 turns and 2 calls; load {:.1} before, {:.1} after", results.load[0], results.load[1]);
    println!(
        "{:<16} {:>9} {:>12} {:>17} {:>8} {:>8} {:>9} {:>9}",
        "", "in flight", "CPU us/turn", "least to most", "x bare", "runs/s", "rest MiB", "peak MiB"
    );
    for ((name, level), seen) in &results.seen {
        let cpu: Vec<f64> = seen.iter().map(Seen::cpu_per_turn).collect();
        let (least, most) =
            cpu.iter().fold((f64::MAX, 0.0_f64), |(least, most), one| (least.min(*one), most.max(*one)));
        let times = over(results, name, peer::BARE, *level).map_or_else(|| "-".to_owned(), |it| format!("{it:.1}"));
        println!(
            "{name:<16} {level:>9} {:>12.0} {:>17} {times:>8} {:>8.0} {:>9.1} {:>9.1}",
            median(cpu),
            format!("{least:.0} to {most:.0}"),
            median_of(seen, Seen::runs_per_second),
            median_of(seen, |one| one.rest as f64) / MIB,
            median_of(seen, |one| one.peak as f64) / MIB,
        );
    }
    println!(
        "CPU: of the process that runs the agents, for each answer of the model; medians of {} rounds.",
        rounds(results)
    );
    println!("x bare: the median of the rounds' ratios. Turns by the model server's count: {:?}", results.turns);
    for (name, why) in &results.failed {
        println!("FAILED, and left out of everything: {name}: {why}");
    }
    println!("{}", serde_json::to_string(&line(results, levels))?);
    Ok(())
}

fn rounds(results: &Results) -> usize {
    results.seen.values().map(Vec::len).max().unwrap_or_default()
}

fn line(results: &Results, levels: &[usize]) -> Value {
    let names = || results.turns.keys().filter(|name| !ours::is_one(name));
    let peers: Map<_, _> = names().map(|name| (name.clone(), Value::Object(side(results, name)))).collect();
    let work: Map<_, _> = names().map(|name| (name.clone(), json!(results.turns.get(name)))).collect();
    json!({
        "bench": "agents",
        "versions": results.versions,
        "load": {"before": results.load[0], "after": results.load[1]},
        "work": {"ours": results.turns.get(ours::OURS), "peers": work},
        "rounds": rounds(results),
        "ours": side(results, ours::OURS),
        "oursMemory": side(results, ours::MEMORY),
        "peers": peers,
        "failed": results.failed,
        "ratio": ratios(results, levels),
        "limit": {},
    })
}

fn side(results: &Results, name: &str) -> Map<String, Value> {
    let of_side = results.seen.iter().filter(|((side, _), _)| side == name);
    of_side.map(|((_, level), seen)| (format!("c{level}"), told(seen))).collect()
}

fn told(seen: &[Seen]) -> Value {
    json!({
        "cpuUsPerTurn": rounded(median_of(seen, Seen::cpu_per_turn), 1),
        "runsPerSecond": rounded(median_of(seen, Seen::runs_per_second), 1),
        "restMib": rounded(median_of(seen, |one| one.rest as f64) / MIB, 1),
        "peakMib": rounded(median_of(seen, |one| one.peak as f64) / MIB, 1),
    })
}

/// Those at the highest level have the plain names; what was not measured has none.
fn ratios(results: &Results, levels: &[usize]) -> Map<String, Value> {
    let mut ratios = Map::new();
    for level in levels {
        let suffix = if Some(level) == levels.iter().max() { String::new() } else { format!("_c{level}") };
        let mut tell = |name: &str, ratio: Option<f64>| {
            ratios.extend(ratio.map(|ratio| (format!("{name}{suffix}"), rounded(ratio, 2))));
        };
        tell("bare", over(results, peer::BARE, ours::OURS, *level));
        tell("best_python", of_frameworks(|name| over(results, name, ours::OURS, *level)));
        tell("rig", over(results, peer::RIG, ours::MEMORY, *level));
        let peak = |name: &str| Some(median_of(results.seen.get(&(name.to_owned(), *level))?, |one| one.peak as f64));
        tell("memory", peak(ours::OURS).zip(of_frameworks(peak)).map(|(ours, theirs)| ours / theirs));
    }
    ratios
}

/// The least of all frameworks in Python; nothing when one of them is missing, for it might be the best.
fn of_frameworks(of: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let all: Option<Vec<f64>> = peer::FRAMEWORKS.into_iter().map(of).collect();
    all?.into_iter().min_by(f64::total_cmp)
}

/// The CPU of one side for a turn over that of another: the median of the ratios within each round.
fn over(results: &Results, one: &str, other: &str, level: usize) -> Option<f64> {
    let seen = |name: &str| results.seen.get(&(name.to_owned(), level));
    let pairs = seen(one)?.iter().zip(seen(other)?);
    Some(median(pairs.map(|(one, other)| one.cpu_per_turn() / other.cpu_per_turn()).collect()))
}

fn median_of(seen: &[Seen], of: impl Fn(&Seen) -> f64) -> f64 {
    median(seen.iter().map(of).collect())
}

/// The one in the middle; of two, the mean.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => low.midpoint(*high),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds in which a turn of this side took so many microseconds.
    fn measured(results: &mut Results, name: &str, rounds: &[f64]) {
        let seen = |us: &f64| Seen { runs: 1_000, seconds: 1.0, cpu: us * 3_000.0 / 1e6, rest: 1, peak: 2 };
        results.seen.insert((name.to_owned(), 50), rounds.iter().map(seen).collect());
        results.turns.insert(name.to_owned(), 1);
    }

    #[test]
    fn a_ratio_is_the_median_of_what_was_seen_in_the_same_round() {
        let mut results = Results::default();
        // The second round was slow for both: the ratio does not see it.
        measured(&mut results, ours::OURS, &[200.0, 2_000.0, 210.0]);
        measured(&mut results, peer::BARE, &[100.0, 1_000.0, 84.0]);
        assert_eq!(line(&results, &[50])["ratio"], json!({ "bare": 0.5 }));
    }

    #[test]
    fn the_best_framework_is_not_told_when_one_of_them_is_missing() {
        let mut results = Results::default();
        measured(&mut results, ours::OURS, &[100.0]);
        for (name, us) in peer::FRAMEWORKS.into_iter().zip([9_000.0, 8_000.0, 7_000.0, 6_000.0]) {
            measured(&mut results, name, &[us]);
        }
        assert_eq!(line(&results, &[50])["ratio"]["best_python"], json!(60.0));
        results.seen.remove(&("agent-framework".to_owned(), 50));
        assert_eq!(line(&results, &[50])["ratio"], json!({}));
    }
}

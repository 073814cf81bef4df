//! The table for people and the line for programs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Seen, Set};

/// At least this recall is compared.
const RECALLS: [f64; 2] = [0.95, 0.99];
const FILTERED: [&str; 4] = ["tenant_1", "tenant_10", "label_1", "label_10"];

fn number(value: &Value, key: &str) -> f64 {
    value.get(key).and_then(Value::as_f64).unwrap_or_default()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

impl Seen {
    fn median(&self, of: impl Fn(&Value) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect())
    }

    /// The fastest that reaches the recall, as the median of the rounds; 0 when none does.
    fn best(&self, run: &str, recall: f64) -> f64 {
        self.median(|round| {
            let points = round.get("runs").and_then(|runs| runs.get(run)).and_then(Value::as_array);
            let reach = points.into_iter().flatten().filter(|point| at(point, 1) >= recall);
            reach.map(|point| at(point, 2)).fold(0.0, f64::max)
        })
    }

    fn figures(&self) -> Value {
        let mut figures = Map::new();
        let mut tell = |key: String, value: f64| figures.insert(key, json!(rounded(value)));
        for key in ["seconds", "file_mib"] {
            tell(format!("build_{key}"), number(&self.built, key));
        }
        for key in ["load_ms", "rss_mib"] {
            tell(key.to_owned(), self.median(|round| number(round, key)));
        }
        for recall in RECALLS {
            for run in ["all/1", "all/2"].iter().chain(&FILTERED) {
                tell(format!("{run}@{recall}"), self.best(run, recall));
            }
        }
        let mixed = self.rounds.last().and_then(|round| round.get("mixed")).cloned().unwrap_or_default();
        figures.insert("mixed".to_owned(), mixed);
        Value::Object(figures)
    }
}

fn at(point: &Value, place: usize) -> f64 {
    point.get(place).and_then(Value::as_f64).unwrap_or_default()
}

/// Three figures behind the point are more than was measured.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl Set {
    fn side(&self, name: &str) -> Option<&Seen> {
        self.seen.iter().find(|seen| seen.side == name)
    }

    fn peers(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(|seen| seen.side != "ours")
    }

    /// Ours over hnswlib, the worst of both recalls and of one and two threads.
    fn hnswlib(&self) -> Option<f64> {
        let (ours, theirs) = (self.side("ours")?, self.side("hnswlib")?);
        let of = |run: &str, recall: f64| ours.best(run, recall) / theirs.best(run, recall).max(f64::MIN_POSITIVE);
        let all = RECALLS.iter().flat_map(|recall| [of("all/1", *recall), of("all/2", *recall)]);
        all.reduce(f64::min)
    }

    /// Our tenant of 1 % over hnswlib's filter for the same.
    fn hnswlib_filtered(&self) -> Option<f64> {
        Some(
            self.side("ours")?.best("tenant_1", 0.95)
                / self.side("hnswlib")?.best("label_1", 0.95).max(f64::MIN_POSITIVE),
        )
    }

    /// Our tenant of 1 % over the best that any peer has for it.
    fn best_filtered(&self) -> Option<f64> {
        let ways = |seen: &Seen| seen.best("tenant_1", 0.95).max(seen.best("label_1", 0.95));
        let best = self.peers().map(ways).reduce(f64::max).filter(|best| *best > 0.0)?;
        Some(self.side("ours")?.best("tenant_1", 0.95) / best)
    }

    fn print(&self) {
        println!("\n{} vectors of {} numbers, the {} nearest", self.rows, self.dimensions, super::data::K);
        let heads = ["build s", "file MiB", "load ms", "RSS MiB"];
        print!("{:<10}", "");
        heads.iter().for_each(|head| print!(" {head:>9}"));
        println!(
            "  queries/s at recall .95 and .99: 1 thread, 2 threads, tenants of 1 % and 10 %, labels of 1 % and 10 %"
        );
        for seen in &self.seen {
            let memory = seen.median(|round| number(round, "rss_mib"));
            let loaded = seen.median(|round| number(round, "load_ms"));
            let built = [number(&seen.built, "seconds"), number(&seen.built, "file_mib"), loaded, memory];
            print!("{:<10}", seen.side);
            built.iter().for_each(|figure| print!(" {figure:>9.1}"));
            for run in ["all/1", "all/2"].iter().chain(&FILTERED) {
                print!("  {:>6.0}/{:<6.0}", seen.best(run, 0.95), seen.best(run, 0.99));
            }
            println!();
        }
        for seen in &self.seen {
            if let Some(mixed) =
                seen.rounds.last().and_then(|round| round.get("mixed")).filter(|mixed| mixed.is_object())
            {
                println!("{} while it is written to: {mixed}", seen.side);
            }
            if let Some(curve) = seen.rounds.last().and_then(|round| round.get("runs")?.get("all/1")) {
                println!("{} [width, recall, queries/s]: {curve}", seen.side);
            }
        }
    }
}

/// Prints both.
pub(super) fn print(sets: &[Set], queries: usize, load: [f64; 2]) {
    println!("load {:.1} before, {:.1} after; each figure the median of the rounds", load[0], load[1]);
    sets.iter().for_each(Set::print);
    let worst = |of: fn(&Set) -> Option<f64>| sets.iter().filter_map(of).reduce(f64::min).map(rounded);
    let mut versions = BTreeMap::new();
    let (mut ours, mut peers) = (Map::new(), Map::new());
    for set in sets {
        let name = format!("{}x{}", set.rows, set.dimensions);
        for seen in &set.seen {
            versions.insert(seen.side.clone(), seen.built.get("version").cloned().unwrap_or_default());
        }
        if let Some(seen) = set.side("ours") {
            ours.insert(name.clone(), seen.figures());
        }
        let of = set.peers().map(|seen| (seen.side.clone(), seen.figures()));
        peers.insert(name, Value::Object(of.collect()));
    }
    let work = json!(sets.iter().map(|set| set.rows * queries).sum::<usize>());
    let ratio = json!({
        "hnswlib": worst(Set::hnswlib),
        "hnswlib_filtered": worst(Set::hnswlib_filtered),
        "best_filtered": worst(Set::best_filtered),
    });
    println!();
    let line = json!({
        "bench": "vectors", "versions": versions, "load": load, "work": { "ours": work, "peers": work },
        "ours": ours, "peers": peers, "ratio": ratio, "limit": {},
    });
    println!("{line}");
}

//! How well chunks are found: by words, by vectors, by both, beside a peer on the same set.

mod judged;
mod measure;
mod run;
mod sets;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use measure::Quality;
use run::{Legs, Searched};
use sets::Set;

/// What the goals ask for on CISI.
const LEXICAL_NDCG: f64 = 0.375;
const FUSED_NDCG: f64 = 0.41;

#[derive(Default)]
struct Arguments {
    data: Option<PathBuf>,
    work: Option<PathBuf>,
    python: Option<PathBuf>,
    script: Option<PathBuf>,
    judged: Option<PathBuf>,
    tune: bool,
}

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let arguments = read(arguments)?;
    if let Some(root) = &arguments.judged {
        return own(root, arguments.tune);
    }
    let data = arguments.data.clone().or_else(|| std::env::var_os("MESH_BENCH_DATA").map(PathBuf::from));
    let Some(data) = data else {
        bail!(
            "no set of texts with judgments: name its folder with `--data DIR` or `MESH_BENCH_DATA` (CISI's three files, or BEIR's corpus.jsonl, queries.jsonl and qrels/test.tsv)"
        );
    };
    let set = sets::read(&data)?;
    let work = arguments.work.clone().unwrap_or_else(std::env::temp_dir);
    fs::create_dir_all(&work)?;
    println!("{}: {} documents, {} questions with judgments", set.name, set.documents.len(), set.questions.len());
    let begun = Instant::now();
    let searched = run::search(&set, &work.join("index"))?;
    let seconds = begun.elapsed().as_secs_f64();
    let found = Found::of(&set, &searched);
    found.print();
    let peer = peer(&arguments, &set, &work)?;
    println!("{}", report(&set, &found, &searched, seconds, &peer)?);
    Ok(())
}

fn read(given: &[String]) -> Result<Arguments> {
    let mut arguments = Arguments::default();
    let mut rest = given.iter();
    while let Some(name) = rest.next() {
        if name == "--tune" {
            arguments.tune = true;
            continue;
        }
        let value = rest.next().map(PathBuf::from).with_context(|| format!("`{name}` wants a value"))?;
        let place = match name.as_str() {
            "--data" => &mut arguments.data,
            "--work" => &mut arguments.work,
            "--python" => &mut arguments.python,
            "--script" => &mut arguments.script,
            "--judged" => &mut arguments.judged,
            other => bail!("`{other}` is no argument; there are --data, --work, --python, --script, --judged, --tune"),
        };
        *place = Some(value);
    }
    Ok(arguments)
}

/// What each way and both together found.
struct Found {
    lexical: Quality,
    vector: Quality,
    fused: Quality,
    ranks: Quality,
}

impl Found {
    fn of(set: &Set, searched: &Searched) -> Self {
        let quality = |order: &dyn Fn(&Legs) -> Vec<usize>| measure::quality(set, &searched.legs, order);
        Self {
            lexical: quality(&|legs| legs.order_of(&legs.lexical)),
            vector: quality(&|legs| legs.order_of(&legs.vector)),
            fused: quality(&|legs| legs.fused(run::by_scores())),
            ranks: quality(&|legs| legs.fused(run::by_ranks())),
        }
    }

    fn print(&self) {
        for (name, Quality { ndcg10, recall100 }) in [
            ("lexical", self.lexical),
            ("vector (offline default)", self.vector),
            ("fused by scores", self.fused),
            ("fused by ranks", self.ranks),
        ] {
            println!("  {name:<26} nDCG@10 {ndcg10:.4}  recall@100 {recall100:.4}");
        }
    }
}

/// Our own questions over this repository: what the fusion is tuned on.
fn own(root: &Path, tune: bool) -> Result<()> {
    let set = judged::read(root)?;
    println!("{} chunks, {} questions", set.documents.len(), set.questions.len());
    let folder = tempfile::tempdir()?;
    let searched = run::search(&set, folder.path())?;
    Found::of(&set, &searched).print();
    if tune {
        for step in 0..=10u8 {
            let alpha = f32::from(step) / 10.0;
            let Quality { ndcg10, recall100 } =
                measure::quality(&set, &searched.legs, &|legs| legs.fused(run::with_alpha(alpha)));
            println!("  vectors' share {alpha:.1}         nDCG@10 {ndcg10:.4}  recall@100 {recall100:.4}");
        }
    }
    for (question, place) in measure::worst(&set, &searched.legs) {
        println!("  {} {question}", place.map_or("   -".to_owned(), |place| format!("{place:>4}")));
    }
    Ok(())
}

/// The peer's figures on the same set: nothing when no interpreter was named.
fn peer(arguments: &Arguments, set: &Set, work: &Path) -> Result<Value> {
    let (Some(python), Some(script)) = (&arguments.python, &arguments.script) else {
        println!("  no peer: it runs with `--python` and `--script`");
        return Ok(json!({}));
    };
    let handed = work.join("set.json");
    fs::write(&handed, serde_json::to_vec(&set.handed())?)?;
    let told = Command::new(python).arg(script).arg(&handed).output().context("the peer's interpreter")?;
    ensure!(told.status.success(), "the peer failed:\n{}", String::from_utf8_lossy(&told.stderr));
    let told = String::from_utf8(told.stdout)?;
    let last: Value = serde_json::from_str(told.trim().lines().last().unwrap_or_default())?;
    println!("  bm25s                      {last}");
    Ok(last)
}

fn report(set: &Set, found: &Found, searched: &Searched, seconds: f64, peer: &Value) -> Result<Value> {
    let shown = |quality: Quality| json!({ "ndcg10": round(quality.ndcg10), "recall100": round(quality.recall100) });
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let peers_ndcg = peer.pointer("/bm25s/ndcg10").and_then(Value::as_f64);
    let better = found.fused.ndcg10 > found.lexical.ndcg10 && found.fused.ndcg10 > found.vector.ndcg10;
    Ok(json!({
        "bench": "retrieval",
        "versions": { "mesh": env!("CARGO_PKG_VERSION"), "embedder": searched.embedder, "peer": peer.get("version") },
        "load": load.split(' ').next().unwrap_or_default(),
        "work": {
            "set": set.name, "documents": set.documents.len(), "questions": set.questions.len(),
            "legs": run::DEPTH, "alpha": run::ALPHA,
        },
        "ours": {
            "lexical": shown(found.lexical), "vector": shown(found.vector),
            "fused": shown(found.fused), "fused_by_ranks": shown(found.ranks),
            "seconds": round(seconds), "lexical_p50_ms": round(searched.lexical_p50_ms),
        },
        "peers": peer,
        "ratio": {
            "bm25s": peers_ndcg.map(|theirs| round(found.lexical.ndcg10 / theirs)),
            "fused_over_better_leg": round(found.fused.ndcg10 / found.lexical.ndcg10.max(found.vector.ndcg10)),
        },
        "limit": {
            "lexical_ndcg10": LEXICAL_NDCG, "fused_ndcg10": FUSED_NDCG,
            "met": found.lexical.ndcg10 >= LEXICAL_NDCG && found.fused.ndcg10 >= FUSED_NDCG && better,
        },
    }))
}

fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests;

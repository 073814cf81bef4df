//! Our side, in a process of its own.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Args;
use mesh_knowledge::{
    id::ChunkId,
    vectors::{Batch, Embedded, Filter, Model, Query, Row, Settings, VectorStore},
};
use serde_json::{Value, json};

use super::data::{FILTERS, K, Lots, numbers};

const WIDTHS: [usize; 14] = [16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512];
/// How long one writes while another searches.
const WRITING: Duration = Duration::from_secs(3);

/// One side.
#[derive(Debug, Args)]
pub(crate) struct Side {
    /// `build`, `search` or `search-and-write`; `profile` searches at one width for ten seconds.
    phase: String,
    /// Where data and index lie.
    folder: PathBuf,
    dimensions: usize,
    /// Of `profile`.
    #[arg(default_value_t = 96)]
    width: usize,
}

/// What a filter is for us: a store of its own, or a label in the store of all.
struct Asked {
    store: Embedded,
    label: Option<&'static str>,
    truth: Vec<HashSet<ChunkId>>,
}

/// Builds or searches, and prints one line.
///
/// # Errors
/// What the store or the system says.
pub(crate) fn side(side: &Side) -> Result<()> {
    let line = match side.phase.as_str() {
        "build" => build(side)?,
        "profile" => profile(side)?,
        phase => search(side, phase == "search-and-write")?,
    };
    println!("{line}");
    Ok(())
}

fn model(dimensions: usize) -> Model {
    Model { name: "bench".to_owned(), digest: "none".to_owned(), dimensions }
}

/// Rows are named by their numbers.
fn id(row: u32) -> ChunkId {
    ChunkId::from_u128(u128::from(row))
}

fn open(side: &Side, name: &str) -> Result<Embedded> {
    let settings = Settings { build_threads: 2, ..Settings::default() };
    Ok(Embedded::open(&side.folder.join("ours").join(name), &model(side.dimensions), settings)?)
}

fn build(side: &Side) -> Result<Value> {
    let _ = fs::remove_dir_all(side.folder.join("ours"));
    let base = numbers(&side.folder.join("base.f32"), f32::from_le_bytes)?;
    let tenants = fs::read(side.folder.join("tenants.u8"))?;
    let model = model(side.dimensions);
    let mut seconds = BTreeMap::new();
    for (name, passes) in FILTERS {
        let rows: Vec<(u32, &[f32], u8)> = (0..)
            .zip(base.chunks_exact(side.dimensions).zip(&tenants))
            .map(|(row, (vector, tenant))| (row, vector, *tenant))
            .filter(|(_, _, tenant)| passes(*tenant))
            .collect();
        let start = Instant::now();
        let store = open(side, name)?;
        for (seq, rows) in (1..).zip(rows.chunks(1000)) {
            let rows: Vec<Row<'_>> = rows
                .iter()
                .map(|(row, vector, tenant)| Row { id: id(*row), vector, labels: labels(*tenant) })
                .collect();
            store.upsert(&Batch { model: &model, rows: &rows }, seq)?;
        }
        let inserted = start.elapsed().as_secs_f64();
        store.compact(&AtomicBool::new(false))?;
        store.flush()?;
        seconds.insert(name, (inserted, start.elapsed().as_secs_f64()));
    }
    let (insert, all) = seconds.get("all").copied().context("no store")?;
    let bytes = bytes(&side.folder.join("ours/all"))?;
    Ok(json!({ "seconds": all, "insert_seconds": insert, "file_mib": bytes, "version": env!("CARGO_PKG_VERSION") }))
}

fn labels(tenant: u8) -> &'static [&'static str] {
    match tenant {
        7 => &["1"],
        tenant if tenant % 10 == 3 => &["10"],
        _ => &[],
    }
}

fn bytes(folder: &Path) -> Result<f64> {
    let sizes = fs::read_dir(folder)?.flatten().filter_map(|entry| Some(entry.metadata().ok()?.len()));
    Ok(sizes.sum::<u64>() as f64 / 1048576.0)
}

/// Resident memory. **Units**: MiB.
fn resident(of: &str) -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(of)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

fn search(side: &Side, write: bool) -> Result<Value> {
    let queries = numbers(&side.folder.join("queries.f32"), f32::from_le_bytes)?;
    let queries: Vec<&[f32]> = queries.chunks_exact(side.dimensions).collect();
    let (before, anonymous) = (resident("VmRSS"), resident("RssAnon"));
    let start = Instant::now();
    let store = open(side, "all")?;
    let first = store.search(
        &Query { model: store.model(), vector: queries.first().context("no query")? },
        K,
        &Filter::default(),
    )?;
    let load = start.elapsed().as_secs_f64() * 1000.0;
    black_box(first);
    let truth = |name: &str| -> Result<Vec<HashSet<ChunkId>>> {
        let ids = numbers(&side.folder.join(format!("truth-{name}.u32")), u32::from_le_bytes)?;
        Ok(ids.chunks(K).map(|ids| ids.iter().copied().map(id).collect()).collect())
    };
    let mut all = Asked { store, label: None, truth: truth("all")? };
    let mut runs = BTreeMap::new();
    runs.insert("all/1", curve(&all, &queries, 1, &WIDTHS)?);
    runs.insert("all/2", curve(&all, &queries, 2, &WIDTHS)?);
    let (memory, anonymous) = (resident("VmRSS") - before, resident("RssAnon") - anonymous);
    for (label, run) in [("1", "label_1"), ("10", "label_10")] {
        (all.label, all.truth) = (Some(label), truth(label)?);
        runs.insert(run, curve(&all, &queries, 1, &[48, 96])?);
    }
    for (name, run) in [("1", "tenant_1"), ("10", "tenant_10")] {
        let tenant = Asked { store: open(side, name)?, label: None, truth: truth(name)? };
        runs.insert(run, curve(&tenant, &queries, 1, &[96])?);
    }
    let mixed = if write { mixed(&all.store, &queries)? } else { Value::Null };
    Ok(json!({ "load_ms": load, "rss_mib": memory, "anonymous_mib": anonymous, "runs": runs, "mixed": mixed }))
}

/// For each width: width, recall, queries in a second.
fn curve(asked: &Asked, queries: &[&[f32]], threads: usize, widths: &[usize]) -> Result<Vec<Value>> {
    let filter = Filter { all: asked.label.map(str::to_owned).into_iter().collect(), ..Filter::default() };
    let model = asked.store.model();
    widths
        .iter()
        .map(|width| {
            let next = AtomicUsize::new(0);
            let work = || -> Result<usize> {
                let mut hit = 0;
                while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < queries.len()) {
                    let vector = queries.get(at).context("a query")?;
                    let found = asked.store.search_wide(&Query { model, vector }, K, &filter, *width)?;
                    let truth = asked.truth.get(at).context("a truth")?;
                    hit += found.iter().filter(|hit| truth.contains(&hit.id)).count();
                }
                Ok(hit)
            };
            let start = Instant::now();
            let hits = thread::scope(|scope| {
                let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
                let mut hits = work()?;
                for other in others {
                    hits += other.join().unwrap_or(Ok(0))?;
                }
                anyhow::Ok(hits)
            })?;
            let seconds = start.elapsed().as_secs_f64();
            let wanted: usize = asked.truth.iter().map(HashSet::len).sum();
            Ok(json!([width, hits as f64 / wanted as f64, queries.len() as f64 / seconds]))
        })
        .collect()
}

/// One writes row by row while another searches.
fn mixed(store: &Embedded, queries: &[&[f32]]) -> Result<Value> {
    let (stop, model) = (AtomicBool::new(false), store.model().clone());
    let mut took = Vec::new();
    let start = Instant::now();
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<u64> {
            let (mut written, mut lots) = (0, Lots(9));
            let seq = store.cursor() + 1;
            while !stop.load(Ordering::Relaxed) {
                let vector = queries.get((lots.next() % queries.len() as u64) as usize).context("a vector")?;
                let row = Row { id: ChunkId::from_u128(u128::from(written) << 64), vector, labels: &[] };
                store.upsert(&Batch { model: &model, rows: &[row] }, seq + written)?;
                written += 1;
            }
            Ok(written)
        });
        for vector in queries.iter().cycle() {
            if start.elapsed() > WRITING {
                break;
            }
            let asked = Instant::now();
            black_box(store.search(&Query { model: &model, vector }, K, &Filter::default())?);
            took.push(asked.elapsed().as_secs_f64() * 1000.0);
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap_or(Ok(0))
    })?;
    took.sort_by(f64::total_cmp);
    let at = |part: f64| took.get((took.len() as f64 * part) as usize).copied().unwrap_or_default();
    let per_second = written as f64 / start.elapsed().as_secs_f64();
    Ok(json!({ "inserts_per_s": per_second, "search_p50_ms": at(0.5), "search_p99_ms": at(0.99) }))
}

/// For a profiler.
fn profile(side: &Side) -> Result<Value> {
    let queries = numbers(&side.folder.join("queries.f32"), f32::from_le_bytes)?;
    let store = open(side, "all")?;
    let (start, mut asked) = (Instant::now(), 0_usize);
    for vector in queries.chunks_exact(side.dimensions).cycle() {
        black_box(store.search_wide(&Query { model: store.model(), vector }, K, &Filter::default(), side.width)?);
        asked += 1;
        if start.elapsed() > Duration::from_secs(10) {
            break;
        }
    }
    Ok(json!({ "width": side.width, "qps": asked as f64 / start.elapsed().as_secs_f64() }))
}

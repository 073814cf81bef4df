//! Workflows of ten steps, flushed to disk, on all sides in turn.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::{
    limit,
    measure::{STEPS, Slot},
    options::Durable,
    ours::{EACH, Ours, WORKER},
    process::{Cost, Meter, load},
    report,
    restate::Restate,
    scripted::Scripted,
    side::Side,
};

/// What was seen of one side at one level.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) slot: Slot,
    /// Of the server processes.
    pub(crate) servers: Cost,
    /// Of those with the user's steps.
    pub(crate) helpers: Cost,
}

/// What was seen of everything.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) versions: BTreeMap<&'static str, String>,
    /// Before the first measurement, and after the last.
    pub(crate) load: [f64; 2],
    pub(crate) finished: BTreeMap<&'static str, u64>,
    pub(crate) seen: BTreeMap<(&'static str, usize), Seen>,
    /// By the number of writers; one writer flushes by itself.
    pub(crate) bare: BTreeMap<usize, Slot>,
    /// What ours writes for a step. **Units**: bytes.
    pub(crate) bytes_per_step: usize,
}

/// Measures and reports.
///
/// # Errors
/// A side that does not start, and a run that fails.
pub(crate) async fn run(options: &Durable) -> Result<()> {
    std::fs::create_dir_all(&options.work)?;
    let work = tempfile::tempdir_in(&options.work)?;
    let mut results = Results { load: [load(), 0.0], ..Results::default() };
    let length = Duration::from_secs(options.seconds);
    let mut ours = Ours::start(&options.mesh, work.path().join("ours")).await?;
    let mut peers = start(options, work.path()).await?;

    results.bytes_per_step = bytes_per_step(&mut ours).await?;
    for round in 0..options.rounds {
        for level in &options.levels {
            if options.only.iter().any(|name| name == "ours") {
                measure(&mut ours, *level, length, &mut results).await?;
            }
            for peer in peers.iter_mut().filter(|peer| takes_part(peer.name(), round, *level)) {
                measure(peer.as_mut(), *level, length, &mut results).await?;
            }
            bare(work.path(), *level, length, &mut results).await?;
        }
    }
    for side in std::iter::once(&mut ours as &mut dyn Side).chain(peers.iter_mut().map(|peer| peer.as_mut() as _)) {
        results.versions.insert(side.name(), side.version());
        let finished = side.finished().await?;
        results.finished.insert(side.name(), finished);
    }
    results.load[1] = load();
    report::durable(&results, &options.levels)
}

/// The peers in Python are slower by so much that one turn says enough; activities, which go over the
/// server twice, would take minutes with 256 in flight.
fn takes_part(peer: &str, round: usize, level: usize) -> bool {
    match peer {
        EACH | WORKER | "restate" => true,
        "temporal-activities" => round == 0 && level <= 32,
        _ => round == 0,
    }
}

async fn start(options: &Durable, work: &Path) -> Result<Vec<Box<dyn Side>>> {
    let mut peers: Vec<Box<dyn Side>> = Vec::new();
    let script = |name: &str| options.scripts.join(name);
    let python = &options.python;
    for name in &options.only {
        peers.push(match name.as_str() {
            "ours" => continue,
            EACH => Box::new(Ours::start_each(&options.mesh, work.join(EACH)).await?),
            WORKER => Box::new(Ours::start_worker(&options.mesh, work.join(WORKER)).await?),
            "restate" => Box::new(Restate::start(&options.restate_server, &options.restate_steps, work).await?),
            "temporal" => {
                Box::new(Scripted::start("temporal", python, &script("temporal.py"), &["local"], work).await?)
            }
            "temporal-activities" => Box::new(
                Scripted::start("temporal-activities", python, &script("temporal.py"), &["remote"], work).await?,
            ),
            "dbos" => Box::new(Scripted::start("dbos", python, &script("dbos_sqlite.py"), &[], work).await?),
            other => bail!(
                "`{other}` is no side: ours, ours-each, ours-worker, restate, temporal, temporal-activities and dbos are (--only)"
            ),
        });
    }
    Ok(peers)
}

async fn measure(side: &mut dyn Side, level: usize, length: Duration, results: &mut Results) -> Result<()> {
    let (servers, helpers) = (Meter::start(&side.servers()), Meter::start(&side.helpers()));
    let slot = side.measure(level, length).await?;
    let (servers, helpers) = (servers.stop(), helpers.stop());
    ensure!(!slot.runs.is_empty(), "no run of {} ended in time with {level} in flight", side.name());
    eprintln!("{:>20} {level:>4} in flight: {:>9.0} steps/s", side.name(), slot.steps_per_second());
    let seen = results.seen.entry((side.name(), level)).or_default();
    seen.servers = seen.servers.and(servers);
    seen.helpers = seen.helpers.and(helpers);
    seen.slot.add(slot);
    Ok(())
}

/// The limit is measured in the same turns: one writer by itself, more behind a group commit.
async fn bare(work: &Path, level: usize, length: Duration, results: &mut Results) -> Result<()> {
    let bytes = results.bytes_per_step;
    let slot = match level {
        1 => limit::bare_flush(work, bytes, length / 2)?,
        _ => limit::bare_group(work, bytes, level, length / 2).await?,
    };
    results.bare.entry(level).or_default().add(slot);
    Ok(())
}

/// What the journal grows by, for each step of the runs of two seconds; this warms the node up as well.
async fn bytes_per_step(ours: &mut Ours) -> Result<usize> {
    let before = ours.journal_bytes()?;
    let slot = ours.measure(1, Duration::from_secs(2)).await?;
    let runs = ours.finished().await?;
    ensure!(!slot.runs.is_empty() && runs > 0, "no run ended in the first two seconds");
    Ok(((ours.journal_bytes()? - before) / (runs * STEPS as u64)) as usize)
}

//! A message told from actor to actor, by 1 or 8 of them, on two workers.

use std::{collections::BTreeMap, time::Instant};

use anyhow::Result;
use tokio::{runtime::Runtime, sync::mpsc::channel};

use crate::{
    measure::{cpu, median, nanos},
    ours::Stage,
    peers::{self, Ractor},
};

/// What one side used for each message, one number for each round.
#[derive(Debug, Default)]
pub(crate) struct Told {
    cpu: Vec<f64>,
    wall: Vec<f64>,
}

impl Told {
    /// **Units**: nanoseconds of processor time, all threads together.
    pub(crate) fn cpu(&self) -> f64 {
        median(&self.cpu)
    }

    /// **Units**: nanoseconds of wall time.
    pub(crate) fn wall(&self) -> f64 {
        median(&self.wall)
    }
}

/// ractor's processor time for a message over this side's, the middle of all rounds.
pub(crate) fn ratio(told: &BTreeMap<&'static str, Told>, side: &str) -> f64 {
    let (Some(side), Some(ractor)) = (told.get(side), told.get("ractor")) else { return 0.0 };
    let each: Vec<f64> = ractor.cpu.iter().zip(&side.cpu).map(|(theirs, own)| theirs / own).collect();
    median(&each)
}

/// All sides in turn, round by round.
pub(crate) fn compare(
    runtime: &Runtime,
    senders: u64,
    each: u64,
    rounds: usize,
    only: Option<&str>,
) -> Result<BTreeMap<&'static str, Told>> {
    let sides = ["ours", "ractor", "tokio mpsc", "kameo"];
    let mut told: BTreeMap<&'static str, Told> = BTreeMap::new();
    for _ in 0..rounds {
        for side in sides
            .into_iter()
            .filter(|side| cfg!(feature = "kameo") || *side != "kameo")
            .filter(|side| only.is_none_or(|only| only == *side))
        {
            let (cpu, wall) = runtime.block_on(once(side, senders, each))?;
            let told = told.entry(side).or_default();
            told.cpu.push(cpu / (each * senders) as f64);
            told.wall.push(wall / (each * senders) as f64);
        }
    }
    Ok(told)
}

async fn once(side: &str, senders: u64, each: u64) -> Result<(f64, f64)> {
    match side {
        "ours" => {
            let stage = Stage::set(each, channel(1).0).await?;
            let used = used(stage.tell(senders)).await?;
            stage.strike().await;
            Ok(used)
        }
        "ractor" => {
            let ractor = Ractor::set(senders).await?;
            let used = used(ractor.tell(each)).await?;
            ractor.strike();
            Ok(used)
        }
        #[cfg(feature = "kameo")]
        "kameo" => used(peers::kameo_side::tell(senders, each)).await,
        _ => used(peers::channel(senders, each)).await,
    }
}

/// The processor and wall time of something.
pub(crate) async fn used(work: impl Future<Output = Result<()>>) -> Result<(f64, f64)> {
    let (cpu_before, began) = (cpu(), Instant::now());
    work.await?;
    Ok((nanos(cpu().saturating_sub(cpu_before)), nanos(began.elapsed())))
}

//! The actor floor beside ractor, kameo and tokio's channel, interleaved in one process:
//! `benches/compare kernel`.

mod ask;
mod lives;
mod load;
mod measure;
mod ours;
mod peers;
mod report;
mod tell;

use std::collections::BTreeMap;

use anyhow::Result;
use tokio::runtime::Builder;

/// Messages that all senders of one round tell together.
const MESSAGES: u64 = 400_000;
const ROUNDS: usize = 9;
const ASKS: usize = 20_000;
const RESTARTS: u64 = 500;
const AWAKE: usize = 20_000;

fn main() -> Result<()> {
    // Sampled spans have someone who keeps them; what the restarts say goes nowhere.
    tracing::subscriber::set_global_default(tracing_subscriber::registry())?;
    let before = measure::load();
    let two = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // One part alone, for a profile: `mesh-actors-bench ours 8`, `… awake 500`, `… ask 100000`.
    let (only, number) = (std::env::args().nth(1), std::env::args().nth(2).and_then(|number| number.parse().ok()));
    if let (Some("awake"), Some(number)) = (only.as_deref(), number) {
        return lives::awake(&two, number as usize).map(drop);
    }
    let one = Builder::new_current_thread().enable_all().build()?;
    if let (Some("ask"), Some(number)) = (only.as_deref(), number) {
        return ask::compare(&one, number as usize, ROUNDS).map(drop);
    }
    let mut told = BTreeMap::new();
    for senders in [1, 8].into_iter().filter(|senders| number.is_none_or(|number: u64| number == *senders)) {
        told.insert(senders, tell::compare(&two, senders, MESSAGES / senders, ROUNDS, only.as_deref())?);
    }
    if only.is_some() {
        return Ok(());
    }
    let awake = lives::awake(&two, AWAKE)?;
    let asks = [(1, ask::compare(&one, ASKS, ROUNDS)?), (2, ask::compare(&two, ASKS, ROUNDS)?)];
    let restarts = lives::restarts(&two, RESTARTS, 1_000)?;
    let load = [before, measure::load()];
    report::Results { load, messages: MESSAGES * ROUNDS as u64, told, asks, restarts, awake }.print();
    Ok(())
}

//! A closed loop and what it saw.

use std::{
    cell::Cell,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;

/// Steps of one run, on every side.
pub(crate) const STEPS: usize = 10;

/// What one side did in one measurement.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot {
    /// How long each finished run took, from the request to the news of its end.
    pub(crate) runs: Vec<Duration>,
    /// The time in which these runs ended.
    pub(crate) time: Duration,
    /// All runs that ended, with those before and after that time: what the processes' cost is for.
    pub(crate) ended: usize,
}

impl Slot {
    /// Adds what another measurement of the same side at the same level saw.
    pub(crate) fn add(&mut self, other: Self) {
        self.runs.extend(other.runs);
        self.time += other.time;
        self.ended += other.ended;
    }

    /// **Units**: steps in a second.
    pub(crate) fn steps_per_second(&self) -> f64 {
        (self.runs.len() * STEPS) as f64 / self.time.as_secs_f64()
    }

    /// A tenth of the time of a run, at this share of the runs.
    ///
    /// **Units**: milliseconds.
    pub(crate) fn step_ms(&self, share: f64) -> f64 {
        quantile(&self.runs, share).as_secs_f64() * 1000.0 / STEPS as f64
    }
}

/// The value at this share of all; zero when there is none.
pub(crate) fn quantile(values: &[Duration], share: f64) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

/// Keeps this many runs in flight for this long. The first fifth warms up and is not counted; what is
/// in flight at the end is finished and not counted either, so that the loop is full while it counts.
///
/// # Errors
/// The first run that fails, and runs that do not end within a minute and a half after the last began.
pub(crate) async fn closed_loop<Once, Run>(in_flight: usize, length: Duration, once: Once) -> Result<Slot>
where
    Once: Fn() -> Run,
    Run: Future<Output = Result<()>>,
{
    let began = Instant::now();
    let (from, until) = (began + length / 5, began + length);
    let ended = Cell::new(0);
    let loops = (0..in_flight).map(|_| async {
        let mut took = Vec::new();
        loop {
            let start = Instant::now();
            if start >= until {
                return anyhow::Ok(took);
            }
            once().await?;
            ended.set(ended.get() + 1);
            let end = Instant::now();
            if end >= from && end < until {
                took.push(end - start);
            }
        }
    });
    let all = tokio::time::timeout(length + Duration::from_secs(90), try_join_all(loops)).await;
    let all = all.context("runs did not end in time")??;
    Ok(Slot { runs: all.into_iter().flatten().collect(), time: until - from, ended: ended.get() })
}

/// Does something so many times, so many at a time.
///
/// # Errors
/// The first that fails.
pub(crate) async fn closed_count<Once, Run>(times: usize, in_flight: usize, once: Once) -> Result<()>
where
    Once: Fn() -> Run,
    Run: Future<Output = Result<()>>,
{
    let begun = Cell::new(0);
    let loops = (0..in_flight).map(|_| async {
        while begun.get() < times {
            begun.set(begun.get() + 1);
            once().await?;
        }
        anyhow::Ok(())
    });
    try_join_all(loops).await.map(drop)
}

//! What the engine counts of itself, for whoever measures it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use mesh_kernel::{
    ports::{AppendOutcome, Position},
    telemetry::{Timed, Timing},
};

use super::{EmbeddedJournal, log::Place, shared::Shared};

/// What the engine had counted at one moment, since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Appends that were recorded.
    pub appended: u64,
    /// Appends that were not: another version, no room, an old epoch.
    pub refused: u64,
    /// How long each flush took; one covers everyone who waits.
    pub flushes: Timed,
    /// Files of the log.
    pub segments: u64,
}

/// The counters; only the writer moves them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    appended: AtomicU64,
    refused: AtomicU64,
    flushes: Timing,
}

impl Counters {
    /// An append is about to be answered.
    pub(super) fn answered(&self, outcome: &AppendOutcome) {
        let recorded = matches!(outcome, AppendOutcome::Appended { .. });
        let counter = if recorded { &self.appended } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A flush has ended.
    pub(super) fn flushed(&self, took: Duration) {
        self.flushes.record(took);
    }
}

impl EmbeddedJournal {
    /// What it counted so far.
    pub fn figures(&self) -> Figures {
        let counters = &self.shared().counters;
        Figures {
            appended: counters.appended.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            flushes: counters.flushes.timed(),
            segments: self.shared().segments.read().len() as u64,
        }
    }

    /// How much of the log lies behind this position, which a follower has come to.
    ///
    /// **Units**: bytes, what a segment has left unused at its end included.
    pub fn behind(&self, seen: Position) -> u64 {
        behind(self.shared(), seen)
    }
}

fn behind(shared: &Shared, seen: Position) -> u64 {
    let last = shared.end().last;
    if seen >= last {
        return 0;
    }
    let (seen, last) = (Place::from(seen), Place::from(last));
    let whole: u64 = shared
        .segments
        .read()
        .iter()
        .filter(|segment| (seen.segment..last.segment).contains(&segment.number))
        .map(|segment| segment.len)
        .sum();
    (whole + last.offset).saturating_sub(seen.offset)
}

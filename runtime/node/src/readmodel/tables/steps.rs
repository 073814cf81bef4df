//! Where each step of a run stands: what the run's counts are kept from.
//!
//! Steps move far more often than runs, so the moves of a batch are held until its end, or until an event
//! of the run itself, and then written once for each run.

use std::collections::{BTreeMap, HashMap};

use mesh_kernel::{envelope::TenantId, follow::Seen};
use rusqlite::{OptionalExtension, Transaction};
use serde::{Deserialize, Serialize};

/// The phase of a step, as far as counts tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// Not begun, or to begin anew: it is not remembered.
    Pending,
    /// Begun and not ended.
    Running,
    /// Waits for something outside.
    Waiting,
    /// Ended well, skipped or compensated.
    Done,
    /// Ended with a failure.
    Failed,
}

/// The steps of one run that stand somewhere else than at their beginning.
type Phases = BTreeMap<String, Phase>;

#[derive(Debug, Default)]
struct RunMoves {
    steps: Phases,
    version: u64,
}

/// Moves of steps that are not written yet. Bounded by the batch that they came in.
#[derive(Debug, Default)]
pub(super) struct Moves(HashMap<(TenantId, String), RunMoves>);

impl Moves {
    /// Moves a step to a phase.
    pub(super) fn step(&mut self, seen: &Seen, step: &str, to: Phase) {
        self.run(seen).steps.insert(step.to_owned(), to);
    }

    /// The run has an event more, whatever it says.
    pub(super) fn run_moved(&mut self, seen: &Seen) {
        self.run(seen);
    }

    fn run(&mut self, seen: &Seen) -> &mut RunMoves {
        let subject = &seen.envelope.headers.subject;
        let moves = self.0.entry((subject.tenant().clone(), subject.id().to_owned())).or_default();
        moves.version = seen.version;
        moves
    }

    /// Writes what is held of one run: before an event that moves the run itself.
    pub(super) fn write_run(&mut self, tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
        let subject = &seen.envelope.headers.subject;
        let run = (subject.tenant().clone(), subject.id().to_owned());
        self.0.remove(&run).map_or(Ok(()), |moves| write(tx, &run, moves))
    }

    /// Writes everything that is held.
    pub(super) fn write_all(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        self.0.drain().try_for_each(|(run, moves)| write(tx, &run, moves))
    }
}

fn write(tx: &Transaction<'_>, (tenant, run): &(TenantId, String), moves: RunMoves) -> rusqlite::Result<()> {
    let key = (tenant.as_str(), run.as_str());
    let Some(mut phases) = read(tx, key)? else { return Ok(()) };
    for (step, to) in moves.steps {
        match to {
            Phase::Pending => phases.remove(&step),
            _ => phases.insert(step, to),
        };
    }
    let count = |of: Phase| phases.values().filter(|phase| **phase == of).count();
    tx.prepare_cached(
        "UPDATE runs SET phases = ?3, running = ?4, waiting = ?5, done = ?6, failed = ?7, version = ?8
         WHERE tenant = ?1 AND id = ?2",
    )?
    .execute((
        key.0,
        key.1,
        text(&phases),
        count(Phase::Running),
        count(Phase::Waiting),
        count(Phase::Done),
        count(Phase::Failed),
        moves.version,
    ))
    .map(drop)
}

/// The phases of a run; none when there is no such run.
fn read(tx: &Transaction<'_>, key: (&str, &str)) -> rusqlite::Result<Option<Phases>> {
    let text: Option<String> = tx
        .prepare_cached("SELECT phases FROM runs WHERE tenant = ?1 AND id = ?2")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    Ok(text.map(|text| serde_json::from_str(&text).unwrap_or_default()))
}

fn text(phases: &Phases) -> String {
    serde_json::to_string(phases).unwrap_or_default()
}

/// Forgets the steps of a run that has ended; of one that can be retried only those cut short.
pub(super) fn run_ended(tx: &Transaction<'_>, seen: &Seen, may_be_retried: bool) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    let key = (subject.tenant().as_str(), subject.id());
    let mut kept = Phases::new();
    if may_be_retried {
        kept = read(tx, key)?.unwrap_or_default();
        kept.retain(|_, phase| matches!(phase, Phase::Done | Phase::Failed));
    }
    tx.prepare_cached("UPDATE runs SET phases = ?3 WHERE tenant = ?1 AND id = ?2")?
        .execute((key.0, key.1, text(&kept)))
        .map(drop)
}

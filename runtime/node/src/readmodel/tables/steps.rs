//! Where each step of a run stands: what the run's counts are kept from.

use mesh_kernel::follow::Seen;
use rusqlite::{OptionalExtension, Transaction};

/// The phase of a step, as far as counts tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not begun, or to begin anew: it has no row.
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

impl Phase {
    /// The column of `runs` that counts it.
    fn column(self) -> Option<&'static str> {
        match self {
            Self::Pending => None,
            Self::Running => Some("running"),
            Self::Waiting => Some("waiting"),
            Self::Done => Some("done"),
            Self::Failed => Some("failed"),
        }
    }

    fn of(number: i64) -> Self {
        match number {
            1 => Self::Running,
            2 => Self::Waiting,
            3 => Self::Done,
            4 => Self::Failed,
            _ => Self::Pending,
        }
    }
}

/// Moves a step to a phase, and the run's counts with it.
pub(super) fn moved(tx: &Transaction<'_>, seen: &Seen, step: &str, to: Phase) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    let key = (subject.tenant().as_str(), subject.id(), step);
    let from = tx
        .prepare_cached("SELECT phase FROM steps WHERE tenant = ?1 AND run = ?2 AND step = ?3")?
        .query_row(key, |row| row.get(0))
        .optional()?
        .map_or(Phase::Pending, Phase::of);
    if from == to {
        return Ok(());
    }
    match to {
        Phase::Pending => {
            tx.prepare_cached("DELETE FROM steps WHERE tenant = ?1 AND run = ?2 AND step = ?3")?.execute(key)?;
        }
        _ => {
            tx.prepare_cached(
                "INSERT INTO steps (tenant, run, step, phase) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET phase = excluded.phase",
            )?
            .execute((key.0, key.1, key.2, to as i64))?;
        }
    }
    count(tx, seen, from, -1)?;
    count(tx, seen, to, 1)
}

fn count(tx: &Transaction<'_>, seen: &Seen, phase: Phase, by: i64) -> rusqlite::Result<()> {
    let Some(column) = phase.column() else { return Ok(()) };
    let subject = &seen.envelope.headers.subject;
    let sql = format!("UPDATE runs SET {column} = max(0, {column} + ?3) WHERE tenant = ?1 AND id = ?2");
    tx.prepare_cached(&sql)?.execute((subject.tenant().as_str(), subject.id(), by)).map(drop)
}

/// Forgets the steps of a run that has ended; of one that can be retried only those cut short.
pub(super) fn run_ended(tx: &Transaction<'_>, seen: &Seen, may_be_retried: bool) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    let cut_short = if may_be_retried { " AND phase IN (1, 2)" } else { "" };
    let sql = format!("DELETE FROM steps WHERE tenant = ?1 AND run = ?2{cut_short}");
    tx.prepare_cached(&sql)?.execute((subject.tenant().as_str(), subject.id())).map(drop)
}

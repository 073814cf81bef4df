//! Archived runs in the list of runs, and which runs are to be archived: housekeeping over all tenants.

use mesh_kernel::envelope::{Refusal, TenantId, Timestamp};
use mesh_proto::v1::RunState;
use rusqlite::{Connection, Transaction, TransactionBehavior, named_params};
use serde_json::Value;

use super::{
    lists::ReadModel,
    query::{QueryError, instant},
    store::{StoreError, connect},
};
use crate::archive::{ArchivedRun, RunArchive};

/// Archived runs that are written into the lists with one transaction.
const AT_ONCE: usize = 500;

/// A run that has ended and is not archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// Whose it is.
    pub tenant: TenantId,
    /// `run-…`.
    pub id: String,
    /// Name of its definition.
    pub definition: String,
    /// When it ended.
    pub ended: Timestamp,
}

/// A task that has ended, and whose run is archived or was never there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskOver {
    /// Whose it is.
    pub tenant: TenantId,
    /// `task-…`.
    pub id: String,
    /// When it ended.
    pub ended: Timestamp,
    /// There is no run whose retention would be its own.
    pub is_alone: bool,
}

impl ReadModel {
    /// Tasks of all tenants that ended at this instant or earlier and whose run is archived or was never there, those
    /// that ended first before others, behind `after`: for retention and for nobody else.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn tasks_over(
        &self,
        before: Timestamp,
        after: Option<TaskOver>,
        most: usize,
    ) -> Result<Vec<TaskOver>, Refusal> {
        Ok(self.read(move |connection| Ok((tasks_over(connection, before, after.as_ref(), most)?, None))).await?.rows)
    }

    /// Removes the rows of these tasks.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written; it may be repeated.
    pub async fn forget_tasks(&self, tasks: Vec<TaskOver>) -> Result<(), StoreError> {
        let forget = |tx: &Transaction<'_>, task: &TaskOver| {
            tx.prepare_cached("DELETE FROM tasks WHERE tenant = ?1 AND id = ?2")?
                .execute((task.tenant.as_str(), &task.id))
                .map(drop)
        };
        self.write_beside(move |tx| tasks.iter().try_for_each(|task| forget(tx, task))).await
    }

    /// Runs of all tenants that ended at this instant or earlier and are not archived, those that ended
    /// first before others, behind `after`: for retention and for nobody else.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn over(&self, before: Timestamp, after: Option<Over>, most: usize) -> Result<Vec<Over>, Refusal> {
        Ok(self.read(move |connection| Ok((over(connection, before, after.as_ref(), most)?, None))).await?.rows)
    }

    /// Says of these runs that they are archived.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written; it may be repeated.
    pub async fn mark_archived(&self, runs: &[ArchivedRun]) -> Result<(), StoreError> {
        if runs.is_empty() {
            return Ok(());
        }
        let runs = runs.to_vec();
        self.write_beside(move |tx| runs.iter().try_for_each(|run| mark(tx, run))).await
    }

    /// Puts archived runs into lists that were made anew. To be called when the lists have caught up: what
    /// is left of their events must not be read after this.
    ///
    /// # Errors
    /// When the archive cannot be read or the lists not be written; it may be repeated.
    pub async fn show_archived(&self, archive: &RunArchive) -> anyhow::Result<()> {
        let has = |connection: &Connection| -> Result<_, QueryError> {
            let has = connection.query_row("SELECT has_archived FROM standing", [], |row| row.get::<_, bool>(0))?;
            Ok((vec![has], None))
        };
        if self.read(has).await?.rows.first() == Some(&true) {
            return Ok(());
        }
        let mut last = None;
        loop {
            let runs = archive.after(last, AT_ONCE).await?;
            let Some(run) = runs.last() else { break };
            last = Some((run.tenant.clone(), run.id.clone()));
            self.write_beside(move |tx| runs.iter().try_for_each(|run| insert(tx, run))).await?;
        }
        Ok(self.write_beside(|tx| tx.execute("UPDATE standing SET has_archived = 1", []).map(drop)).await?)
    }

    /// Writes beside the projection, in a transaction of its own.
    async fn write_beside(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        let path = self.path().to_owned();
        let writing = move || {
            let failed = |source| StoreError::Sqlite { path: path.clone(), source };
            let mut connection = connect(&path).map_err(failed)?;
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            work(&tx).and_then(|()| tx.commit()).map_err(failed)
        };
        tokio::task::spawn_blocking(writing).await.unwrap_or(Err(StoreError::Stopping))
    }
}

fn over(
    connection: &Connection,
    before: Timestamp,
    after: Option<&Over>,
    most: usize,
) -> Result<Vec<Over>, QueryError> {
    let mut statement = connection.prepare_cached(
        "SELECT tenant, id, definition, ended FROM runs
         WHERE archived IS NULL AND ended IS NOT NULL AND ended <= ?1 AND (ended, tenant, id) > (?2, ?3, ?4)
         ORDER BY ended, tenant, id LIMIT ?5",
    )?;
    let (ended, tenant, id) =
        after.map_or((i64::MIN, "", ""), |run| (run.ended.unix_nanos(), run.tenant.as_str(), run.id.as_str()));
    let rows = statement.query_map((before.unix_nanos(), ended, tenant, id, most), |row| {
        let tenant: String = row.get("tenant")?;
        let Ok(tenant) = TenantId::parse(&tenant) else { return Ok(None) };
        let ended = instant(row, "ended")?;
        Ok(Some(Over { tenant, id: row.get("id")?, definition: row.get("definition")?, ended }))
    })?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

fn tasks_over(
    connection: &Connection,
    before: Timestamp,
    after: Option<&TaskOver>,
    most: usize,
) -> Result<Vec<TaskOver>, QueryError> {
    let mut statement = connection.prepare_cached(
        "SELECT t.tenant, t.id, t.ended, r.id IS NULL AS alone FROM tasks t
         LEFT JOIN runs r ON r.tenant = t.tenant AND r.id = t.run
         WHERE t.ended IS NOT NULL AND t.ended <= ?1 AND (t.ended, t.tenant, t.id) > (?2, ?3, ?4)
            AND (r.id IS NULL OR r.archived IS NOT NULL)
         ORDER BY t.ended, t.tenant, t.id LIMIT ?5",
    )?;
    let (ended, tenant, id) =
        after.map_or((i64::MIN, "", ""), |task| (task.ended.unix_nanos(), task.tenant.as_str(), task.id.as_str()));
    let rows = statement.query_map((before.unix_nanos(), ended, tenant, id, most), |row| {
        let tenant: String = row.get("tenant")?;
        let Ok(tenant) = TenantId::parse(&tenant) else { return Ok(None) };
        let ended = instant(row, "ended")?;
        Ok(Some(TaskOver { tenant, id: row.get("id")?, ended, is_alone: row.get("alone")? }))
    })?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

fn mark(tx: &Transaction<'_>, run: &ArchivedRun) -> rusqlite::Result<()> {
    let marked = tx
        .prepare_cached("UPDATE runs SET archived = ?3, phases = '{}' WHERE tenant = ?1 AND id = ?2")?
        .execute((run.tenant.as_str(), &run.id, run.at.unix_nanos()))?;
    if marked == 0 { insert(tx, run) } else { Ok(()) }
}

/// The row of a run as its view tells it.
fn insert(tx: &Transaction<'_>, run: &ArchivedRun) -> rusqlite::Result<()> {
    let view = &run.view;
    let text = |at: &str| view.pointer(at).and_then(Value::as_str).map(str::to_owned);
    let number = |at: &str| view.pointer(at).and_then(Value::as_u64).unwrap_or_default();
    let time = |at: &str| text(at).and_then(|text| text.parse::<Timestamp>().ok()).map(Timestamp::unix_nanos);
    let steps = view.get("steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let failed = steps.iter().filter(|step| step.get("state").and_then(Value::as_str) == Some("Failed")).count();
    let state = text("/state").unwrap_or_default().to_uppercase();
    let state = RunState::from_str_name(&format!("RUN_STATE_{state}")).unwrap_or_default();
    let cancelled = text("/cancelled/reason").filter(|_| state == RunState::Cancelled);
    let message = text("/failure/message").or_else(|| cancelled.clone());
    let class = text("/failure/class").or_else(|| cancelled.map(|_| "cancelled".to_owned()));
    let parent: Option<mesh_kernel::envelope::Address> = text("/parent/run").and_then(|run| run.parse().ok());
    tx.prepare_cached(
        "INSERT OR REPLACE INTO runs (tenant, id, definition, number, digest, project, state, created, started, ended,
            trace, submitted_by, parent_run, parent_step, failed_step, failed_class, failed_code, failed_text, total,
            done, failed, version, archived)
         VALUES (:tenant, :id, :definition, :number, :digest, :project, :state, :created, :started, :ended,
            :trace, :submitted_by, :parent_run, :parent_step, :failed_step, :failed_class, :failed_code, :failed_text,
            :total, :done, :failed, :version, :archived)",
    )?
    .execute(named_params! {
        ":tenant": run.tenant.as_str(),
        ":id": run.id,
        ":definition": text("/definition/name").unwrap_or_default(),
        ":number": number("/definition/version"),
        ":digest": text("/definition/digest").unwrap_or_default(),
        ":project": text("/project"),
        ":state": state as i32,
        ":created": time("/createdAt").unwrap_or_default(),
        ":started": time("/startedAt"),
        ":ended": time("/endedAt"),
        ":trace": text("/traceId").unwrap_or_default(),
        ":submitted_by": text("/submittedBy").unwrap_or_default(),
        ":parent_run": parent.as_ref().map(|parent| parent.id()),
        ":parent_step": text("/parent/step"),
        ":failed_step": message.as_ref().map(|_| text("/failedStep").unwrap_or_default()),
        ":failed_class": message.as_ref().map(|_| class.unwrap_or_default()),
        ":failed_code": message.as_ref().map(|_| text("/failure/code").unwrap_or_default()),
        ":failed_text": message,
        ":total": number("/stepsTotal"),
        ":done": number("/stepsDone"),
        ":failed": failed,
        ":version": run.version,
        ":archived": run.at.unix_nanos(),
    })
    .map(drop)
}

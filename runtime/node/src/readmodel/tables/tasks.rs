//! The list of agents' tasks.
//!
//! Turns change no row: a task that was asked for, was told what it needs to know and has ended is three writes,
//! however often it asked a model.

use mesh_agents::task::{Parent, Spent};
use mesh_kernel::{envelope::TenantScope, follow::Seen};
use mesh_proto::v1::TaskState;
use rusqlite::{Connection, Row, Transaction, named_params};
use serde::Deserialize;

use super::decoded;
use crate::{
    gateway::lists::{PageRequest, TaskFilter, TaskRow},
    readmodel::query::{Query, QueryError, Rows, instant, instant_if, state},
};

/// What the list reads of events; the rest of them is passed over unread.
#[derive(Deserialize)]
#[serde(rename_all_fields = "camelCase")]
enum Told {
    AgentTaskAssigned {
        agent: String,
        #[serde(default)]
        parent: Option<Parent>,
        /// When an agent gave it; else the parent is the run.
        #[serde(default)]
        run: String,
        #[serde(default)]
        submitted_by: String,
    },
    ContextLoaded {
        version: u32,
    },
    CheckRequested {},
    CorrectionAttempted {
        number: u32,
    },
    BudgetExhausted {},
    TaskPaused {},
    TaskResumed {},
    TaskRedirected {},
    AgentTaskEscalated {},
    AgentTaskCompleted {
        spent: Spent,
    },
    AgentTaskFailed {
        #[serde(default)]
        spent: Spent,
    },
    AgentTaskTimedOut {
        #[serde(default)]
        spent: Spent,
    },
    AgentTaskCancelled {
        #[serde(default)]
        spent: Spent,
    },
}

/// The events of [`Told`].
const TOLD: [&str; 13] = [
    "AgentTaskAssigned",
    "ContextLoaded",
    "CheckRequested",
    "CorrectionAttempted",
    "BudgetExhausted",
    "TaskPaused",
    "TaskResumed",
    "TaskRedirected",
    "AgentTaskEscalated",
    "AgentTaskCompleted",
    "AgentTaskFailed",
    "AgentTaskTimedOut",
    "AgentTaskCancelled",
];

pub(super) fn apply(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    if !TOLD.contains(&&*seen.envelope.event_type) {
        return Ok(());
    }
    let row = OfTask { tx, seen };
    match decoded::<Told>(&seen.envelope) {
        Some(Told::AgentTaskAssigned { agent, parent, run, submitted_by }) => {
            row.insert(&agent, (parent, &run), &submitted_by)
        }
        Some(Told::ContextLoaded { version }) => row.loaded(version),
        Some(Told::CheckRequested {}) => row.phase(TaskState::Validating),
        Some(Told::CorrectionAttempted { number }) => row.corrected(number),
        Some(Told::BudgetExhausted {} | Told::TaskPaused {}) => row.paused(),
        Some(Told::TaskResumed {}) => row.resumed(),
        Some(Told::TaskRedirected {}) => row.redirected(),
        Some(Told::AgentTaskEscalated {}) => row.phase(TaskState::Escalated),
        Some(Told::AgentTaskCompleted { spent }) => row.ended(TaskState::Completed, spent),
        Some(Told::AgentTaskFailed { spent }) => row.ended(TaskState::Failed, spent),
        Some(Told::AgentTaskTimedOut { spent }) => row.ended(TaskState::TimedOut, spent),
        Some(Told::AgentTaskCancelled { spent }) => row.ended(TaskState::Cancelled, spent),
        None => Ok(()),
    }
}

/// The row of the task whose event is looked at. `phase` is where it stands beside being paused.
struct OfTask<'a> {
    tx: &'a Transaction<'a>,
    seen: &'a Seen,
}

impl OfTask<'_> {
    fn key(&self) -> (&str, &str) {
        let subject = &self.seen.envelope.headers.subject;
        (subject.tenant().as_str(), subject.id())
    }

    fn insert(&self, agent: &str, (parent, run): (Option<Parent>, &str), submitted_by: &str) -> rusqlite::Result<()> {
        let (tenant, id) = self.key();
        let given_by = parent.as_ref().map(|parent| parent.run.id()).unwrap_or_default();
        let run = if run.is_empty() { given_by } else { run };
        let step = parent.as_ref().map(|parent| parent.step.as_str()).unwrap_or_default();
        self.tx
            .prepare_cached(
                "INSERT OR REPLACE INTO tasks (tenant, id, agent, state, phase, run, step, submitted_by, created)
                 VALUES (:tenant, :id, :agent, :state, :state, :run, :step, :submitted_by, :created)",
            )?
            .execute(named_params! {
                ":tenant": tenant,
                ":id": id,
                ":agent": agent,
                ":state": TaskState::ContextLoading as i32,
                ":run": run,
                ":step": step,
                ":submitted_by": submitted_by,
                ":created": self.seen.envelope.occurred_at.unix_nanos(),
            })
            .map(drop)
    }

    fn loaded(&self, version: u32) -> rusqlite::Result<()> {
        let (tenant, id) = self.key();
        self.tx
            .prepare_cached("UPDATE tasks SET number = ?3 WHERE tenant = ?1 AND id = ?2")?
            .execute((tenant, id, version))?;
        self.phase(TaskState::Executing)
    }

    fn corrected(&self, number: u32) -> rusqlite::Result<()> {
        let (tenant, id) = self.key();
        self.tx
            .prepare_cached("UPDATE tasks SET corrections = ?3 WHERE tenant = ?1 AND id = ?2")?
            .execute((tenant, id, number))?;
        self.phase(TaskState::Correcting)
    }

    fn phase(&self, phase: TaskState) -> rusqlite::Result<()> {
        let (tenant, id) = self.key();
        self.tx
            .prepare_cached(
                "UPDATE tasks SET phase = ?3, state = CASE WHEN state = ?4 THEN state ELSE ?3 END
                 WHERE tenant = ?1 AND id = ?2",
            )?
            .execute((tenant, id, phase as i32, TaskState::Paused as i32))
            .map(drop)
    }

    fn paused(&self) -> rusqlite::Result<()> {
        let (tenant, id) = self.key();
        self.tx
            .prepare_cached("UPDATE tasks SET state = ?3 WHERE tenant = ?1 AND id = ?2")?
            .execute((tenant, id, TaskState::Paused as i32))
            .map(drop)
    }

    fn resumed(&self) -> rusqlite::Result<()> {
        let (tenant, id) = self.key();
        self.tx
            .prepare_cached(
                "UPDATE tasks SET phase = CASE WHEN phase = ?3 THEN ?4 ELSE phase END,
                    state = CASE WHEN phase = ?3 THEN ?4 ELSE phase END WHERE tenant = ?1 AND id = ?2",
            )?
            .execute((tenant, id, TaskState::Escalated as i32, TaskState::Executing as i32))
            .map(drop)
    }

    /// A note helps a task on that waits for a person; one that is paused stays so.
    fn redirected(&self) -> rusqlite::Result<()> {
        let (tenant, id) = self.key();
        self.tx
            .prepare_cached(
                "UPDATE tasks SET phase = ?4, state = CASE WHEN state = ?3 THEN ?4 ELSE state END
                 WHERE tenant = ?1 AND id = ?2 AND phase = ?3",
            )?
            .execute((tenant, id, TaskState::Escalated as i32, TaskState::Executing as i32))
            .map(drop)
    }

    fn ended(&self, state: TaskState, spent: Spent) -> rusqlite::Result<()> {
        let (tenant, id) = self.key();
        let spent = serde_json::to_string(&spent).unwrap_or_default();
        self.tx
            .prepare_cached(
                "UPDATE tasks SET state = ?3, phase = ?3, ended = ?4, spent = ?5 WHERE tenant = ?1 AND id = ?2",
            )?
            .execute((tenant, id, state as i32, self.seen.envelope.occurred_at.unix_nanos(), spent))
            .map(drop)
    }
}

pub(in crate::readmodel) fn page(
    connection: &Connection,
    scope: &TenantScope,
    filter: &TaskFilter,
    page: &PageRequest,
) -> Result<Rows<TaskRow>, QueryError> {
    let states: Vec<i32> = filter.states.iter().map(|state| *state as i32).collect();
    Query::of("*", "tasks", scope)
        .and_any("state", &states)
        .and_text("agent", filter.agent.clone())
        .and_text("run", filter.run_id.clone())
        .and_span("created", filter.created)
        .newest_first(connection, page, read, |row| (row.created_at, row.task_id.clone()))
}

fn read(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    let spent: Option<String> = row.get("spent")?;
    Ok(TaskRow {
        task_id: row.get("id")?,
        agent: row.get("agent")?,
        version: row.get("number")?,
        state: state(row, "state")?,
        run_id: row.get("run")?,
        step_id: row.get("step")?,
        submitted_by: row.get("submitted_by")?,
        created_at: instant(row, "created")?,
        ended_at: instant_if(row, "ended")?,
        corrections: row.get("corrections")?,
        spent: spent.and_then(|spent| serde_json::from_str(&spent).ok()).unwrap_or_default(),
    })
}

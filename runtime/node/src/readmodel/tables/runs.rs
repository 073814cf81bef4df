//! The list of runs, with how many of their steps are in which phase.

use mesh_kernel::{
    envelope::{TenantScope, Timestamp},
    follow::Seen,
};
use mesh_proto::v1::RunState;
use mesh_skills::contract::Failure;
use mesh_workflows::run::Event;
use rusqlite::{Connection, Row, Transaction};
use serde::Deserialize;

use super::{
    decoded,
    fold::{Moving, Phase, Runs},
    unreadable,
};
use crate::{
    gateway::lists::{FailureRow, PageRequest, ProgressRow, RunFilter, RunRow},
    readmodel::query::{Query, QueryError, Rows, instant, instant_if, state, unsigned},
};

pub(super) fn apply(tx: &Transaction<'_>, seen: &Seen, runs: &mut Runs) -> rusqlite::Result<()> {
    if let Some(to) = phase(&seen.envelope.event_type) {
        return step(tx, seen, to, runs);
    }
    let Some(event) = decoded::<Event>(&seen.envelope) else { return Ok(()) };
    if let Event::RunSubmitted(submit) = &event {
        runs.submitted(seen, submit);
    } else if let Some(run) = runs.of(tx, seen)? {
        moved(run, event, seen.envelope.occurred_at);
    }
    Ok(())
}

fn moved(run: &mut Moving, event: Event, at: Timestamp) {
    match event {
        Event::RunStarted {} => run.started(at),
        Event::RunPaused { .. } => run.state = RunState::Paused,
        Event::RunResumed { .. } => run.resumed(),
        Event::CompensationStarted { .. } => run.state = RunState::Compensating,
        Event::StepsSkipped { steps, .. } => steps.iter().for_each(|step| run.step(step, Phase::Done)),
        Event::RunSucceeded { .. } => run.ended(RunState::Succeeded, at, None),
        Event::RunFailed { failure, step, .. } => {
            run.ended(RunState::Failed, at, Some(failure_row(&failure, step.as_deref())));
        }
        Event::RunCancelled { reason, .. } => run.ended(RunState::Cancelled, at, Some(cancelled_row(reason))),
        Event::RunRetried { reset, .. } => {
            reset.iter().for_each(|step| run.step(step, Phase::Pending));
            run.retried();
        }
        _ => {}
    }
}

/// The phase to which an event moves a step, when that is all that it does to the list.
fn phase(event: &str) -> Option<Phase> {
    Some(match event {
        "StepRequested" | "ChildRequested" | "TaskRequested" | "ItemsListed" => Phase::Running,
        "ApprovalRequested" | "SignalAwaited" | "TimerSet" | "AttemptFailed" => Phase::Waiting,
        "StepSucceeded" | "StepComputed" | "CompensationSucceeded" => Phase::Done,
        "StepFailed" => Phase::Failed,
        _ => return None,
    })
}

/// An event that moves a step and not the run. An item moves nothing: its step does.
fn step(tx: &Transaction<'_>, seen: &Seen, to: Phase, runs: &mut Runs) -> rusqlite::Result<()> {
    /// Which step; what the event carries beside it is not read.
    #[derive(Deserialize)]
    struct Of {
        step: String,
        #[serde(default)]
        item: Option<u32>,
    }
    let of: Of = match serde_json::from_slice(&seen.envelope.payload) {
        Ok(of) => of,
        Err(error) => {
            unreadable(&seen.envelope, &error);
            return Ok(());
        }
    };
    if let Some(run) = runs.of(tx, seen)?
        && of.item.is_none()
    {
        run.step(&of.step, to);
    }
    Ok(())
}

fn failure_row(failure: &Failure, step: Option<&str>) -> FailureRow {
    FailureRow {
        step_id: step.unwrap_or_default().to_owned(),
        class: failure.class.to_string(),
        code: failure.code.clone(),
        message: failure.message.clone(),
    }
}

fn cancelled_row(reason: String) -> FailureRow {
    FailureRow { class: "cancelled".to_owned(), message: reason, ..FailureRow::default() }
}

/// What a row of the list shows: all but the phases of steps, which may be long.
const COLUMNS: &str = "id, definition, number, digest, project, state, created, started, ended, trace, submitted_by,
    parent_run, parent_step, failed_step, failed_class, failed_code, failed_text, total, done, running, waiting,
    failed, version, archived";

/// Of a running run every unfinished step waits: none is being done, and at least one waits.
const ALL_WAIT: &str = "running = 0 AND waiting > 0";

pub(in crate::readmodel) fn page(
    connection: &Connection,
    scope: &TenantScope,
    filter: &RunFilter,
    page: &PageRequest,
) -> Result<Rows<RunRow>, QueryError> {
    with_states(Query::of(COLUMNS, "runs", scope), &filter.states)
        .and_text("definition", filter.definition.clone())
        .and_text("project", filter.project_id.clone())
        .and_span("created", filter.created)
        .and_span("ended", filter.ended)
        .newest_first(connection, page, read, |row| (row.created_at, row.run_id.clone()))
}

fn with_states(query: Query, states: &[RunState]) -> Query {
    let running = RunState::Running as i32;
    let stored: Vec<i32> = states.iter().filter(|state| **state != RunState::Waiting).map(|s| *s as i32).collect();
    if !states.contains(&RunState::Waiting) || stored.contains(&running) {
        return query.and_any("state", &stored);
    }
    // `state` keeps Running for both; waiting ones are told by their counts.
    let marks = stored.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
    query.and(&format!("state IN ({marks}) OR (state = {running} AND {ALL_WAIT})"), [])
}

fn read(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let progress = ProgressRow {
        total: row.get("total")?,
        done: row.get("done")?,
        running: row.get("running")?,
        waiting: row.get("waiting")?,
        failed: row.get("failed")?,
    };
    let stored: RunState = state(row, "state")?;
    let all_wait = progress.running == 0 && progress.waiting > 0;
    let parent: (Option<String>, Option<String>) = (row.get("parent_run")?, row.get("parent_step")?);
    Ok(RunRow {
        run_id: row.get("id")?,
        definition: row.get("definition")?,
        definition_version: row.get("number")?,
        definition_digest: row.get("digest")?,
        project_id: row.get("project")?,
        state: if stored == RunState::Running && all_wait { RunState::Waiting } else { stored },
        created_at: instant(row, "created")?,
        started_at: instant_if(row, "started")?,
        ended_at: instant_if(row, "ended")?,
        archived_at: instant_if(row, "archived")?,
        trace_id: row.get("trace")?,
        submitted_by: row.get("submitted_by")?,
        parent: parent.0.map(|run| (run, parent.1.unwrap_or_default())),
        failure: read_failure(row)?,
        progress,
        version: unsigned(row, "version")?,
    })
}

fn read_failure(row: &Row<'_>) -> rusqlite::Result<Option<FailureRow>> {
    let Some(message) = row.get("failed_text")? else { return Ok(None) };
    let text = |column: &str| row.get::<_, Option<String>>(column).map(Option::unwrap_or_default);
    Ok(Some(FailureRow {
        step_id: text("failed_step")?,
        class: text("failed_class")?,
        code: text("failed_code")?,
        message,
    }))
}

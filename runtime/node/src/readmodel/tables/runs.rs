//! The list of runs, with how many of their steps are in which phase.

use mesh_kernel::{envelope::TenantScope, follow::Seen};
use mesh_proto::v1::RunState;
use mesh_skills::contract::Failure;
use mesh_workflows::run::{Event, SubmitRun};
use rusqlite::{Connection, Row, Transaction, named_params};
use serde::Deserialize;

use super::{
    decoded, steps,
    steps::{Moves, Phase},
    unreadable,
};
use crate::{
    gateway::lists::{FailureRow, PageRequest, ProgressRow, RunFilter, RunRow},
    readmodel::query::{Query, QueryError, Rows, instant, instant_if, state, unsigned},
};

pub(super) fn apply(tx: &Transaction<'_>, seen: &Seen, steps: &mut Moves) -> rusqlite::Result<()> {
    if let Some(to) = phase(&seen.envelope.event_type) {
        step(seen, to, steps);
        return Ok(());
    }
    let Some(event) = decoded::<Event>(&seen.envelope) else { return Ok(()) };
    if let Event::StepsSkipped { steps: skipped, .. } = &event {
        skipped.iter().for_each(|step| steps.step(seen, step, Phase::Done));
        return Ok(());
    }
    steps.write_run(tx, seen)?;
    match event {
        Event::RunSubmitted(submit) => submitted(tx, seen, &submit),
        Event::RunStarted {} => started(tx, seen),
        Event::RunPaused { .. } => stands(tx, seen, RunState::Paused),
        Event::RunResumed { .. } => resumed(tx, seen),
        Event::CompensationStarted { .. } => stands(tx, seen, RunState::Compensating),
        Event::RunSucceeded { .. } => ended(tx, seen, RunState::Succeeded, None),
        Event::RunFailed { failure, step, .. } => {
            ended(tx, seen, RunState::Failed, Some(failure_row(&failure, step.as_deref())))
        }
        Event::RunCancelled { reason, .. } => ended(tx, seen, RunState::Cancelled, Some(cancelled_row(reason))),
        Event::RunRetried { reset, .. } => {
            reset.iter().for_each(|step| steps.step(seen, step, Phase::Pending));
            steps.write_run(tx, seen)?;
            retried(tx, seen)
        }
        _ => {
            steps.run_moved(seen);
            Ok(())
        }
    }
}

/// The phase to which an event moves a step, when that is all that it does to the list.
fn phase(event: &str) -> Option<Phase> {
    Some(match event {
        "StepRequested" | "ChildRequested" | "ItemsListed" => Phase::Running,
        "ApprovalRequested" | "SignalAwaited" | "TimerSet" | "AttemptFailed" => Phase::Waiting,
        "StepSucceeded" | "CompensationSucceeded" => Phase::Done,
        "StepFailed" => Phase::Failed,
        _ => return None,
    })
}

/// An event that moves a step and not the run. An item moves nothing: its step does.
fn step(seen: &Seen, to: Phase, steps: &mut Moves) {
    /// Which step; what the event carries beside it is not read.
    #[derive(Deserialize)]
    struct Of {
        step: String,
        #[serde(default)]
        item: Option<u32>,
    }
    match serde_json::from_slice(&seen.envelope.payload) {
        Ok(Of { step, item: None }) => steps.step(seen, &step, to),
        Ok(_) => steps.run_moved(seen),
        Err(error) => unreadable(&seen.envelope, &error),
    }
}

fn submitted(tx: &Transaction<'_>, seen: &Seen, submit: &SubmitRun) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    let parent = submit.parent.as_ref();
    tx.prepare_cached(
        "INSERT OR REPLACE INTO runs (tenant, id, definition, number, digest, project, state, created, trace,
            submitted_by, parent_run, parent_step, total, version)
         VALUES (:tenant, :id, :definition, :number, :digest, :project, :state, :created, :trace,
            :submitted_by, :parent_run, :parent_step, :total, :version)",
    )?
    .execute(named_params! {
        ":tenant": subject.tenant().as_str(),
        ":id": subject.id(),
        ":definition": submit.definition.name,
        ":number": submit.definition.version,
        ":digest": submit.definition.digest.to_string(),
        ":project": submit.project,
        ":state": RunState::Created as i32,
        ":created": seen.envelope.occurred_at.unix_nanos(),
        ":trace": seen.envelope.trace_id.as_str(),
        ":submitted_by": submit.submitted_by.as_deref().unwrap_or_default(),
        ":parent_run": parent.map(|parent| parent.run.id()),
        ":parent_step": parent.map(|parent| parent.step.as_ref()),
        ":total": submit.workflow.steps_len(),
        ":version": seen.version,
    })
    .map(drop)
}

fn started(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("UPDATE runs SET started = coalesce(started, ?3) WHERE tenant = ?1 AND id = ?2")?.execute((
        subject.tenant().as_str(),
        subject.id(),
        seen.envelope.occurred_at.unix_nanos(),
    ))?;
    stands(tx, seen, RunState::Running)
}

/// A run that was paused before its first step is as if only submitted.
fn resumed(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached(
        "UPDATE runs SET state = iif(started IS NULL, ?4, ?5), version = ?3 WHERE tenant = ?1 AND id = ?2",
    )?
    .execute((
        subject.tenant().as_str(),
        subject.id(),
        seen.version,
        RunState::Created as i32,
        RunState::Running as i32,
    ))
    .map(drop)
}

fn stands(tx: &Transaction<'_>, seen: &Seen, state: RunState) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("UPDATE runs SET state = ?4, version = ?3 WHERE tenant = ?1 AND id = ?2")?
        .execute((subject.tenant().as_str(), subject.id(), seen.version, state as i32))
        .map(drop)
}

fn ended(tx: &Transaction<'_>, seen: &Seen, state: RunState, failure: Option<FailureRow>) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    // What was under way when the run ended was cut short: nothing of it runs or waits any more.
    tx.prepare_cached(
        "UPDATE runs SET state = :state, ended = :ended, failed_step = :step, failed_class = :class,
            failed_code = :code, failed_text = :text, running = 0, waiting = 0, version = :version
         WHERE tenant = :tenant AND id = :id",
    )?
    .execute(named_params! {
        ":tenant": subject.tenant().as_str(),
        ":id": subject.id(),
        ":state": state as i32,
        ":ended": seen.envelope.occurred_at.unix_nanos(),
        ":step": failure.as_ref().map(|failure| failure.step_id.as_str()),
        ":class": failure.as_ref().map(|failure| failure.class.as_str()),
        ":code": failure.as_ref().map(|failure| failure.code.as_str()),
        ":text": failure.as_ref().map(|failure| failure.message.as_str()),
        ":version": seen.version,
    })?;
    steps::run_ended(tx, seen, state == RunState::Failed)
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

fn retried(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached(
        "UPDATE runs SET ended = NULL, failed_step = NULL, failed_class = NULL, failed_code = NULL,
            failed_text = NULL WHERE tenant = ?1 AND id = ?2",
    )?
    .execute((subject.tenant().as_str(), subject.id()))?;
    stands(tx, seen, RunState::Running)
}

/// What a row of the list shows: all but the phases of steps, which may be long.
const COLUMNS: &str = "id, definition, number, digest, project, state, created, started, ended, trace, submitted_by,
    parent_run, parent_step, failed_step, failed_class, failed_code, failed_text, total, done, running, waiting,
    failed, version";

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

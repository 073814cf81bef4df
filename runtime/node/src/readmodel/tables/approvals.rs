//! The list of approvals.

use mesh_kernel::{
    envelope::{Address, TenantScope},
    follow::Seen,
};
use mesh_platforms::governance::messages::{ApprovalEvent, Request};
use mesh_proto::v1::ApprovalState;
use rusqlite::{Connection, Row, Transaction, named_params};

use super::{decoded, joined, split};
use crate::{
    gateway::lists::{ApprovalFilter, ApprovalRow, PageRequest},
    readmodel::query::{Query, QueryError, Rows, instant, instant_if, state, unsigned},
};

pub(super) fn apply(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let Some(event) = decoded::<ApprovalEvent>(&seen.envelope) else { return Ok(()) };
    match event {
        ApprovalEvent::ApprovalOpened { request, requested_by, .. } => opened(tx, seen, &request, &requested_by),
        ApprovalEvent::ApprovalVoided { .. }
        | ApprovalEvent::ApprovalVoteCast { .. }
        | ApprovalEvent::CommandReleased { .. }
        | ApprovalEvent::CommandRefused { .. } => moved(tx, seen),
        ApprovalEvent::ApprovalEscalated { roles } => escalated(tx, seen, &joined(&roles)),
        ApprovalEvent::ApprovalGranted { .. } => ended(tx, seen, ApprovalState::Granted),
        ApprovalEvent::ApprovalRejected { .. } => ended(tx, seen, ApprovalState::Rejected),
        ApprovalEvent::ApprovalExpired { .. } => ended(tx, seen, ApprovalState::Expired),
        ApprovalEvent::ApprovalCancelled { .. } => ended(tx, seen, ApprovalState::Cancelled),
    }
}

fn opened(tx: &Transaction<'_>, seen: &Seen, request: &Request, requested_by: &str) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    // A new digest opens the same approval again: what stood before is gone.
    tx.prepare_cached(
        "INSERT OR REPLACE INTO approvals (tenant, id, title, state, digest, run, step, requested_by, quorum, roles,
            created, ended, escalate, expire, escalated, version)
         VALUES (:tenant, :id, :title, :state, :digest, :run, :step, :requested_by, :quorum, :roles,
            :created, NULL, :escalate, :expire, 0, :version)",
    )?
    .execute(named_params! {
        ":tenant": subject.tenant().as_str(),
        ":id": subject.id(),
        ":title": request.title,
        ":state": ApprovalState::Pending as i32,
        ":digest": request.digest,
        ":run": run_id(&request.run),
        ":step": request.step,
        ":requested_by": requested_by,
        ":quorum": request.quorum,
        ":roles": joined(&request.roles),
        ":created": seen.envelope.occurred_at.unix_nanos(),
        ":escalate": request.escalate_at.map(|at| at.unix_nanos()),
        ":expire": request.expire_at.map(|at| at.unix_nanos()),
        ":version": seen.version,
    })
    .map(drop)
}

/// The run that it is about; none when it is about another entity, for which a command waits.
fn run_id(run: &Address) -> &str {
    if run.is(mesh_workflows::run::KIND) { run.id() } else { "" }
}

fn moved(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("UPDATE approvals SET version = ?3 WHERE tenant = ?1 AND id = ?2")?
        .execute((subject.tenant().as_str(), subject.id(), seen.version))
        .map(drop)
}

fn escalated(tx: &Transaction<'_>, seen: &Seen, roles: &str) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("UPDATE approvals SET escalated = 1, roles = ?4, version = ?3 WHERE tenant = ?1 AND id = ?2")?
        .execute((subject.tenant().as_str(), subject.id(), seen.version, roles))
        .map(drop)
}

fn ended(tx: &Transaction<'_>, seen: &Seen, state: ApprovalState) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("UPDATE approvals SET state = ?4, ended = ?5, version = ?3 WHERE tenant = ?1 AND id = ?2")?
        .execute((
            subject.tenant().as_str(),
            subject.id(),
            seen.version,
            state as i32,
            seen.envelope.occurred_at.unix_nanos(),
        ))
        .map(drop)
}

pub(in crate::readmodel) fn page(
    connection: &Connection,
    scope: &TenantScope,
    filter: &ApprovalFilter,
    page: &PageRequest,
) -> Result<Rows<ApprovalRow>, QueryError> {
    let states: Vec<i32> = filter.states.iter().map(|state| *state as i32).collect();
    Query::of("*", "approvals", scope)
        .and_any("state", &states)
        .and_text("run", filter.run_id.clone())
        .and_span("created", filter.created)
        .newest_first(connection, page, read, |row| (row.created_at, row.approval_id.clone()))
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApprovalRow> {
    let roles: String = row.get("roles")?;
    Ok(ApprovalRow {
        approval_id: row.get("id")?,
        title: row.get("title")?,
        state: state(row, "state")?,
        digest: row.get("digest")?,
        run_id: row.get("run")?,
        step_id: row.get("step")?,
        requested_by: row.get("requested_by")?,
        quorum: row.get("quorum")?,
        roles: split(&roles).map(str::to_owned).collect(),
        created_at: instant(row, "created")?,
        ended_at: instant_if(row, "ended")?,
        escalate_at: instant_if(row, "escalate")?,
        expire_at: instant_if(row, "expire")?,
        escalated: row.get("escalated")?,
        version: unsigned(row, "version")?,
    })
}

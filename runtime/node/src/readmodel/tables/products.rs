//! The list of products: what a run delivered, and whether its process answers.

use mesh_kernel::{envelope::TenantScope, follow::Seen};
use mesh_platforms::{
    product::messages::{Delivery, ProductEvent},
    runtime_cloud::messages::WorkloadEvent,
};
use rusqlite::{Connection, Row, Transaction, named_params};

use super::decoded;
use crate::{
    gateway::lists::{PageRequest, ProductRow},
    readmodel::query::{Query, QueryError, Rows},
};

/// Failures in a row after which a process that is started again and again is called so.
const CRASH_LOOP_FROM: u32 = 3;

pub(super) fn apply(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    if seen.envelope.headers.subject.platform() == "product" {
        return decoded::<ProductEvent>(&seen.envelope).map_or(Ok(()), |event| product(tx, seen, event));
    }
    decoded::<WorkloadEvent>(&seen.envelope).map_or(Ok(()), |event| workload(tx, seen, event))
}

fn product(tx: &Transaction<'_>, seen: &Seen, event: ProductEvent) -> rusqlite::Result<()> {
    match event {
        ProductEvent::ProductDelivered(delivery) => delivered(tx, seen, &delivery),
        ProductEvent::ProductServed { url } => answers_at(tx, seen, &url),
        ProductEvent::ProductStopped {} => answers_at(tx, seen, ""),
    }
}

fn workload(tx: &Transaction<'_>, seen: &Seen, event: WorkloadEvent) -> rusqlite::Result<()> {
    match event {
        WorkloadEvent::WorkloadRequested { .. } | WorkloadEvent::WorkloadRestarted { .. } => {
            stands(tx, seen, "starting")
        }
        WorkloadEvent::ProcessStarted { url, .. } | WorkloadEvent::ProcessAdopted { url, .. } => {
            stands(tx, seen, "running")?;
            answers_at(tx, seen, &url)
        }
        WorkloadEvent::ProcessExited { failures, .. } => {
            stands(tx, seen, if failures >= CRASH_LOOP_FROM { "crash-looping" } else { "starting" })?;
            answers_at(tx, seen, "")
        }
        WorkloadEvent::WorkloadStopRequested { .. } | WorkloadEvent::ProcessStopped { .. } => {
            stands(tx, seen, "stopped")?;
            answers_at(tx, seen, "")
        }
    }
}

/// A row to change: a process may be seen before the product is delivered.
fn row_for(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("INSERT INTO products (tenant, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute((subject.tenant().as_str(), subject.id()))
        .map(drop)
}

fn delivered(tx: &Transaction<'_>, seen: &Seen, delivery: &Delivery) -> rusqlite::Result<()> {
    row_for(tx, seen)?;
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached(
        "UPDATE products SET url = :url, repository = :repository, revision = :revision, passed = :passed,
            failed = :failed, digest = :digest, run = :run, made = 1
         WHERE tenant = :tenant AND name = :name",
    )?
    .execute(named_params! {
        ":tenant": subject.tenant().as_str(),
        ":name": subject.id(),
        ":url": delivery.url,
        ":repository": delivery.repository,
        ":revision": delivery.commit,
        ":passed": delivery.tests.passed,
        ":failed": delivery.tests.failed,
        ":digest": delivery.blueprint_digest,
        ":run": delivery.run,
    })
    .map(drop)
}

fn answers_at(tx: &Transaction<'_>, seen: &Seen, url: &str) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("UPDATE products SET url = ?3 WHERE tenant = ?1 AND name = ?2")?
        .execute((subject.tenant().as_str(), subject.id(), url))
        .map(drop)
}

fn stands(tx: &Transaction<'_>, seen: &Seen, state: &str) -> rusqlite::Result<()> {
    row_for(tx, seen)?;
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("UPDATE products SET state = ?3 WHERE tenant = ?1 AND name = ?2")?
        .execute((subject.tenant().as_str(), subject.id(), state))
        .map(drop)
}

pub(in crate::readmodel) fn page(
    connection: &Connection,
    scope: &TenantScope,
    name: Option<String>,
    page: &PageRequest,
) -> Result<Rows<ProductRow>, QueryError> {
    Query::of("*", "products", scope).and("made = 1", []).and_text("name", name).by_name(
        connection,
        "name",
        page,
        read,
        |row| row.name.clone(),
    )
}

/// The product of one blueprint, when it was delivered.
pub(super) fn one(connection: &Connection, scope: &TenantScope, name: &str) -> Result<Option<ProductRow>, QueryError> {
    let only = PageRequest { size: 1, after: None };
    let (rows, _) = page(connection, scope, Some(name.to_owned()), &only)?;
    Ok(rows.into_iter().next())
}

fn read(row: &Row<'_>) -> rusqlite::Result<ProductRow> {
    Ok(ProductRow {
        name: row.get("name")?,
        url: row.get("url")?,
        repository: row.get("repository")?,
        commit: row.get("revision")?,
        tests_passed: row.get("passed")?,
        tests_failed: row.get("failed")?,
        state: row.get("state")?,
        blueprint_digest: row.get("digest")?,
        run_id: row.get("run")?,
    })
}

//! The list of blueprints, each with its product.

use mesh_kernel::{envelope::TenantScope, follow::Seen};
use mesh_platforms::control_plane::messages::{BlueprintEvent, Source};
use rusqlite::{Connection, Row, Transaction, named_params};

use super::{decoded, products};
use crate::{
    gateway::lists::{BlueprintRow, PageRequest},
    readmodel::query::{Query, QueryError, Rows, instant, unsigned},
};

pub(super) fn apply(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let Some(event) = decoded::<BlueprintEvent>(&seen.envelope) else { return Ok(()) };
    match event {
        BlueprintEvent::BlueprintApplied { version, name, digest, source, .. } => {
            applied(tx, seen, version, &name, &digest.to_string(), &title(&source))?;
        }
        BlueprintEvent::ProductRunRequested { run, .. }
        | BlueprintEvent::ProductRunRetryRequested { run, .. }
        | BlueprintEvent::ProductServingRequested { run, .. }
        | BlueprintEvent::ProductRunRecorded { run, .. } => made_by(tx, seen, &run)?,
    }
    moved(tx, seen)
}

fn applied(
    tx: &Transaction<'_>,
    seen: &Seen,
    number: u32,
    name: &str,
    digest: &str,
    title: &str,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO blueprints (tenant, name, number, digest, title, applied, applied_by, run, version)
         VALUES (:tenant, :name, :number, :digest, :title, :applied, :applied_by, NULL, :version)
         ON CONFLICT DO UPDATE SET number = excluded.number, digest = excluded.digest, title = excluded.title,
            applied = excluded.applied, applied_by = excluded.applied_by",
    )?
    .execute(named_params! {
        ":tenant": seen.envelope.headers.subject.tenant().as_str(),
        ":name": name,
        ":number": number,
        ":digest": digest,
        ":title": title,
        ":applied": seen.envelope.occurred_at.unix_nanos(),
        ":applied_by": seen.envelope.headers.principal.answerable(),
        ":version": seen.version,
    })
    .map(drop)
}

/// The `title` of a blueprint's text; empty when the text lies in the content store.
fn title(source: &Source) -> String {
    let Source::Inline(text) = source else { return String::new() };
    let Ok(root) = mesh_skills::yaml::parse(text) else { return String::new() };
    root.get("title").and_then(|node| node.as_str()).unwrap_or_default().to_owned()
}

fn made_by(tx: &Transaction<'_>, seen: &Seen, run: &str) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("UPDATE blueprints SET run = ?3 WHERE tenant = ?1 AND name = ?2")?
        .execute((subject.tenant().as_str(), subject.id(), run))
        .map(drop)
}

fn moved(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("UPDATE blueprints SET version = ?3 WHERE tenant = ?1 AND name = ?2")?
        .execute((subject.tenant().as_str(), subject.id(), seen.version))
        .map(drop)
}

pub(in crate::readmodel) fn page(
    connection: &Connection,
    scope: &TenantScope,
    name: Option<String>,
    page: &PageRequest,
) -> Result<Rows<BlueprintRow>, QueryError> {
    let (mut rows, next) =
        Query::of("*", "blueprints", scope)
            .and_text("name", name)
            .by_name(connection, "name", page, read, |row| row.name.clone())?;
    for row in &mut rows {
        row.product = products::one(connection, scope, &row.name)?;
    }
    Ok((rows, next))
}

fn read(row: &Row<'_>) -> rusqlite::Result<BlueprintRow> {
    Ok(BlueprintRow {
        name: row.get("name")?,
        version: row.get("number")?,
        digest: row.get("digest")?,
        title: row.get("title")?,
        applied_at: instant(row, "applied")?,
        applied_by: row.get("applied_by")?,
        run_id: row.get("run")?,
        entity_version: unsigned(row, "version")?,
        product: None,
    })
}

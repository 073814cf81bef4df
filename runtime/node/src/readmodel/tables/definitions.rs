//! The list of definitions, the latest version of each.

use mesh_kernel::{envelope::TenantScope, follow::Seen};
use mesh_workflows::catalogue::Event;
use rusqlite::{Connection, Row, Transaction, named_params};
use serde_json::Value;

use super::decoded;
use crate::{
    gateway::lists::{DefinitionRow, PageRequest},
    readmodel::query::{Query, QueryError, Rows, instant, unsigned},
};

pub(super) fn apply(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    match decoded::<Event>(&seen.envelope) {
        Some(Event::DefinitionPublished { version, digest, definition, by, .. }) => {
            published(tx, seen, version, &digest.to_string(), title(&definition), &by)
        }
        Some(Event::RunLaunched { .. } | Event::LaunchRefused { .. }) => moved(tx, seen),
        None => Ok(()),
    }
}

fn moved(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("UPDATE definitions SET version = ?3 WHERE tenant = ?1 AND name = ?2")?
        .execute((subject.tenant().as_str(), subject.id(), seen.version))
        .map(drop)
}

fn title(definition: &Value) -> &str {
    definition.get("title").and_then(Value::as_str).unwrap_or_default()
}

fn published(
    tx: &Transaction<'_>,
    seen: &Seen,
    number: u32,
    digest: &str,
    title: &str,
    by: &str,
) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO definitions (tenant, name, number, digest, title, published, published_by, version)
         VALUES (:tenant, :name, :number, :digest, :title, :published, :published_by, :version)",
    )?
    .execute(named_params! {
        ":tenant": subject.tenant().as_str(),
        ":name": subject.id(),
        ":number": number,
        ":digest": digest,
        ":title": title,
        ":published": seen.envelope.occurred_at.unix_nanos(),
        ":published_by": by,
        ":version": seen.version,
    })
    .map(drop)
}

pub(in crate::readmodel) fn page(
    connection: &Connection,
    scope: &TenantScope,
    name: Option<String>,
    page: &PageRequest,
) -> Result<Rows<DefinitionRow>, QueryError> {
    Query::of("*", "definitions", scope)
        .and_text("name", name)
        .by_name(connection, "name", page, read, |row| row.name.clone())
}

fn read(row: &Row<'_>) -> rusqlite::Result<DefinitionRow> {
    Ok(DefinitionRow {
        name: row.get("name")?,
        version: row.get("number")?,
        digest: row.get("digest")?,
        title: row.get("title")?,
        published_at: instant(row, "published")?,
        published_by: row.get("published_by")?,
        entity_version: unsigned(row, "version")?,
    })
}

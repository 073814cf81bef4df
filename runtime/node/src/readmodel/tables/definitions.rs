//! The list of definitions, the latest version of each.

use std::collections::BTreeSet;

use mesh_kernel::{envelope::TenantScope, follow::Seen};
use mesh_workflows::catalogue::Event;
use rusqlite::{Connection, Row, Transaction, named_params};
use serde_json::Value;

use super::decoded;
use crate::{
    gateway::lists::{DefinitionRow, PageRequest, USERS_MAX},
    readmodel::query::{Query, QueryError, Rows, instant, unsigned},
};

pub(super) fn apply(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    match decoded::<Event>(&seen.envelope) {
        Some(Event::DefinitionPublished { version, digest, definition, by, .. }) => {
            published(tx, seen, version, &digest.to_string(), title(&definition), &by)?;
            uses(tx, seen, &skills(&definition))
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

/// The skills that a definition names, as its steps, for each item, or to undo one.
fn skills(definition: &Value) -> BTreeSet<&str> {
    let steps = definition.get("steps").and_then(Value::as_array).into_iter().flatten();
    let places = ["/skill", "/forEach/skill", "/compensate/skill"];
    steps.flat_map(|step| places.iter().filter_map(|place| step.pointer(place)?.as_str())).collect()
}

fn uses(tx: &Transaction<'_>, seen: &Seen, skills: &BTreeSet<&str>) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    let (tenant, definition) = (subject.tenant().as_str(), subject.id());
    tx.prepare_cached("DELETE FROM users WHERE tenant = ?1 AND definition = ?2")?.execute((tenant, definition))?;
    let mut insert = tx.prepare_cached("INSERT INTO users (tenant, skill, definition) VALUES (?1, ?2, ?3)")?;
    skills.iter().try_for_each(|skill| insert.execute((tenant, skill, definition)).map(drop))
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

/// The definitions that name a skill.
pub(in crate::readmodel) fn users(
    connection: &Connection,
    scope: &TenantScope,
    skill: &str,
) -> Result<Vec<(String, u32)>, QueryError> {
    let mut found = connection.prepare_cached(
        "SELECT d.name, d.number FROM users u JOIN definitions d ON d.tenant = u.tenant AND d.name = u.definition
         WHERE u.tenant = ?1 AND u.skill = ?2 ORDER BY d.name LIMIT ?3",
    )?;
    let most = i64::try_from(USERS_MAX).unwrap_or(i64::MAX);
    let rows = found.query_map((scope.tenant().as_str(), skill, most), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
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

//! The list of collections: their names. What each has, its entity says.

use mesh_kernel::{envelope::TenantScope, follow::Seen};
use rusqlite::{Connection, Transaction};

use crate::{
    gateway::lists::PageRequest,
    readmodel::query::{Query, QueryError, Rows},
};

pub(super) fn apply(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    if seen.version > 1 {
        return Ok(());
    }
    let subject = &seen.envelope.headers.subject;
    tx.prepare_cached("INSERT OR IGNORE INTO collections (tenant, name) VALUES (?1, ?2)")?
        .execute((subject.tenant().as_str(), subject.id()))
        .map(drop)
}

pub(in crate::readmodel) fn page(
    connection: &Connection,
    scope: &TenantScope,
    page: &PageRequest,
) -> Result<Rows<String>, QueryError> {
    Query::of("name", "collections", scope).by_name(connection, "name", page, |row| row.get("name"), String::clone)
}

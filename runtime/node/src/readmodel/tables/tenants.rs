//! The lists of tenants and of their API keys; the key ring follows them.

use mesh_kernel::{
    envelope::{Role, TenantId, TenantScope},
    follow::Seen,
    ports::Digest,
};
use mesh_platforms::control_plane::messages::{KeyId, TenantEvent};
use mesh_proto::v1::TenantState;
use rusqlite::{Connection, Row, Transaction, named_params, types::Type};

use super::{Batch, decoded, joined, split};
use crate::{
    gateway::lists::{KeyRow, PageRequest, TenantFilter, TenantRow},
    readmodel::{
        keys::{Held, KeyChange},
        query::{Query, QueryError, Rows, instant, instant_if, state, unsigned},
    },
};

pub(super) fn apply(tx: &Transaction<'_>, seen: &Seen, batch: &mut Batch) -> rusqlite::Result<()> {
    let Some(event) = decoded::<TenantEvent>(&seen.envelope) else { return Ok(()) };
    let tenant = seen.envelope.headers.subject.tenant();
    match event {
        TenantEvent::TenantCreated { name, development } => created(tx, seen, &name, development)?,
        TenantEvent::TenantDisabled { .. } => {
            stands(tx, seen, TenantState::Disabled)?;
            batch.keys.push(KeyChange::Disabled(tenant.clone()));
        }
        TenantEvent::TenantEnabled {} => {
            stands(tx, seen, TenantState::Active)?;
            batch.keys.push(KeyChange::Enabled(tenant.clone()));
        }
        TenantEvent::TenantDeleted {} => {
            stands(tx, seen, TenantState::Deleting)?;
            batch.keys.push(KeyChange::Deleted(tenant.clone()));
        }
        TenantEvent::KeyIssued { key, name, hash, roles } => {
            issued(tx, seen, &key, &name, &hash, &roles)?;
            batch.keys.push(KeyChange::Issued(hash, Held { tenant: tenant.clone(), name, roles }));
        }
        TenantEvent::KeyRevoked { key, hash, .. } => {
            revoked(tx, seen, &key)?;
            batch.keys.push(KeyChange::Revoked(hash));
        }
    }
    moved(tx, seen)
}

fn created(tx: &Transaction<'_>, seen: &Seen, name: &str, development: bool) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO tenants (tenant, title, state, created, disabled, version, development)
         VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6)
         ON CONFLICT DO UPDATE SET title = excluded.title",
    )?
    .execute((
        seen.envelope.headers.subject.tenant().as_str(),
        name,
        TenantState::Active as i32,
        seen.envelope.occurred_at.unix_nanos(),
        seen.version,
        development,
    ))
    .map(drop)
}

fn stands(tx: &Transaction<'_>, seen: &Seen, state: TenantState) -> rusqlite::Result<()> {
    let since = (state == TenantState::Disabled).then(|| seen.envelope.occurred_at.unix_nanos());
    tx.prepare_cached("UPDATE tenants SET state = ?2, disabled = ?3 WHERE tenant = ?1")?
        .execute((seen.envelope.headers.subject.tenant().as_str(), state as i32, since))
        .map(drop)
}

fn moved(tx: &Transaction<'_>, seen: &Seen) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE tenants SET version = ?2 WHERE tenant = ?1")?
        .execute((seen.envelope.headers.subject.tenant().as_str(), seen.version))
        .map(drop)
}

fn issued(
    tx: &Transaction<'_>,
    seen: &Seen,
    key: &KeyId,
    name: &str,
    hash: &Digest,
    roles: &[Role],
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO keys (tenant, id, name, hash, roles, created, created_by, revoked)
         VALUES (:tenant, :id, :name, :hash, :roles, :created, :created_by, NULL)",
    )?
    .execute(named_params! {
        ":tenant": seen.envelope.headers.subject.tenant().as_str(),
        ":id": key.as_str(),
        ":name": name,
        ":hash": hash.to_string(),
        ":roles": joined(roles),
        ":created": seen.envelope.occurred_at.unix_nanos(),
        ":created_by": seen.envelope.headers.principal.answerable(),
    })
    .map(drop)
}

fn revoked(tx: &Transaction<'_>, seen: &Seen, key: &KeyId) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE keys SET revoked = ?3 WHERE tenant = ?1 AND id = ?2 AND revoked IS NULL")?
        .execute((
            seen.envelope.headers.subject.tenant().as_str(),
            key.as_str(),
            seen.envelope.occurred_at.unix_nanos(),
        ))
        .map(drop)
}

/// Everything that the ring must hold, for a node that starts.
pub(in crate::readmodel) fn ring(connection: &Connection) -> rusqlite::Result<Vec<KeyChange>> {
    let mut changes = Vec::new();
    let mut keys = connection.prepare("SELECT tenant, name, hash, roles FROM keys WHERE revoked IS NULL")?;
    let mut rows = keys.query([])?;
    while let Some(row) = rows.next()? {
        let hash: String = row.get("hash")?;
        let held = Held { tenant: tenant_of(row)?, name: row.get("name")?, roles: roles_of(row)? };
        let hash = hash.parse::<Digest>().map_err(|error| unreadable(row, "hash", error))?;
        changes.push(KeyChange::Issued(hash, held));
    }
    let mut tenants = connection.prepare("SELECT tenant FROM tenants WHERE state = ?")?;
    for state in [TenantState::Disabled, TenantState::Deleting] {
        let mut rows = tenants.query([state as i32])?;
        while let Some(row) = rows.next()? {
            let tenant = tenant_of(row)?;
            let is_disabled = state == TenantState::Disabled;
            changes.push(if is_disabled { KeyChange::Disabled(tenant) } else { KeyChange::Deleted(tenant) });
        }
    }
    Ok(changes)
}

fn tenant_of(row: &Row<'_>) -> rusqlite::Result<TenantId> {
    let tenant: String = row.get("tenant")?;
    TenantId::parse(&tenant).map_err(|error| unreadable(row, "tenant", error))
}

fn roles_of(row: &Row<'_>) -> rusqlite::Result<Vec<Role>> {
    let roles: String = row.get("roles")?;
    Ok(split(&roles).filter_map(|role| role.parse().ok()).collect())
}

fn unreadable(row: &Row<'_>, column: &str, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or(0);
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
}

pub(in crate::readmodel) fn page(
    connection: &Connection,
    scope: Option<&TenantScope>,
    filter: &TenantFilter,
    page: &PageRequest,
) -> Result<Rows<TenantRow>, QueryError> {
    let states: Vec<i32> = filter.states.iter().map(|state| *state as i32).collect();
    let query = match scope {
        Some(scope) => Query::of("*", "tenants", scope),
        None => Query::of_all("*", "tenants"),
    };
    query
        .and_any("state", &states)
        .by_name(connection, "tenant", page, read_tenant, |row| row.tenant.as_str().to_owned())
}

fn read_tenant(row: &Row<'_>) -> rusqlite::Result<TenantRow> {
    Ok(TenantRow {
        tenant: tenant_of(row)?,
        title: row.get("title")?,
        state: state(row, "state")?,
        created_at: instant(row, "created")?,
        disabled_at: instant_if(row, "disabled")?,
        is_for_development: row.get("development")?,
        version: unsigned(row, "version")?,
    })
}

/// Orders by name and then id as one text, so that one page key says both.
const NAME_AND_ID: &str = "name || ' ' || id";

pub(in crate::readmodel) fn keys_page(
    connection: &Connection,
    scope: &TenantScope,
    include_revoked: bool,
    page: &PageRequest,
) -> Result<Rows<KeyRow>, QueryError> {
    let query = Query::of("*", "keys", scope);
    let query = if include_revoked { query } else { query.and("revoked IS NULL", []) };
    query.by_name(connection, NAME_AND_ID, page, read_key, |row| format!("{} {}", row.name, row.key_id))
}

fn read_key(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    Ok(KeyRow {
        key_id: row.get("id")?,
        name: row.get("name")?,
        roles: roles_of(row)?,
        created_at: instant(row, "created")?,
        created_by: row.get("created_by")?,
        revoked_at: instant_if(row, "revoked")?,
    })
}

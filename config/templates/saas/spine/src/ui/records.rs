//! Records read by what is known of their entity: labels, choices, and those that refer to another.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row, params};
use serde_json::json;

use super::Page;
use crate::entity::{Decimal, Entity, Kind, Record, Values, to_json};
use crate::web::Reply;
use crate::{Error, Scope};

/// Most records that a choice offers and a related list shows.
pub const CHOICES_MAX: u32 = 500;

/// A record as texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Its id.
    pub id: String,
    /// Its values.
    pub values: Values,
    /// Name of its state.
    pub state: Option<String>,
    /// Since when, as RFC 3339.
    pub created_at: String,
}

/// What a record is called; none when the tenant has no such record.
pub fn label(scope: &Scope<'_>, entity: &str, id: &str) -> Result<Option<String>, Error> {
    let column = scope.product.entity(entity).map_or("id", |entity| entity.label);
    let sql = format!("SELECT CAST(\"{column}\" AS TEXT) FROM \"{entity}\" WHERE id = ?1");
    let mut statement = scope.db.prepare(&sql)?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}

/// The records of an entity that a reference may name: id and what it is called.
pub fn choices(scope: &Scope<'_>, entity: &str) -> Result<Vec<(String, String)>, Error> {
    let column = scope.product.entity(entity).map_or("id", |entity| entity.label);
    let sql = format!("SELECT id, CAST(\"{column}\" AS TEXT) FROM \"{entity}\" ORDER BY \"{column}\" LIMIT ?1");
    let mut statement = scope.db.prepare(&sql)?;
    let rows = statement.query_map([CHOICES_MAX], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The records whose field names another record, newest first.
pub fn referring(scope: &Scope<'_>, entity: &'static Entity, field: &str, id: &str) -> Result<Vec<Plain>, Error> {
    let sql = format!("SELECT * FROM \"{}\" WHERE \"{field}\" = ?1 ORDER BY created_at DESC, id LIMIT ?2", entity.name);
    let mut statement = scope.db.prepare(&sql)?;
    let rows = statement.query_map(params![id, CHOICES_MAX], |row| read(entity, row))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All records of an entity, oldest first.
pub fn all(scope: &Scope<'_>, entity: &'static Entity) -> Result<Vec<Plain>, Error> {
    let sql = format!("SELECT * FROM \"{}\" ORDER BY created_at, id", entity.name);
    let mut statement = scope.db.prepare(&sql)?;
    let rows = statement.query_map([], |row| read(entity, row))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many records are in each state, in the order of the states.
pub fn by_state(scope: &Scope<'_>, entity: &Entity) -> Result<Vec<u32>, Error> {
    if entity.states.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT COUNT(*) FROM \"{}\" WHERE state = ?1", entity.name);
    let mut statement = scope.db.prepare(&sql)?;
    let counts = entity.states.iter().map(|state| statement.query_row([state.name], |row| row.get(0)));
    Ok(counts.collect::<Result<_, _>>()?)
}

/// A page of records as JSON: `{"items": […], "total": n}`.
pub fn page_json<T: Record>(page: &Page<T>) -> Reply {
    let items: Vec<_> = page.records.iter().map(to_json).collect();
    Reply::json(&json!({"items": items, "total": page.total}))
}

/// Refuses to remove a record that others still name.
pub fn free_to_delete(scope: &Scope<'_>, entity: &Entity, id: &str) -> Result<(), Error> {
    for other in scope.product.entities {
        for field in other.fields {
            if !matches!(field.kind, Kind::Reference(to) if to == entity.name) {
                continue;
            }
            let sql = format!("SELECT COUNT(*) FROM \"{}\" WHERE \"{}\" = ?1", other.name, field.name);
            let count: u32 = scope.db.query_row(&sql, [id], |row| row.get(0))?;
            if count > 0 {
                return Err(Error::Conflict(format!(
                    "{count} of {} still refer to it; remove or change them first",
                    other.plural
                )));
            }
        }
    }
    Ok(())
}

fn read(entity: &'static Entity, row: &Row<'_>) -> rusqlite::Result<Plain> {
    let mut values = Values::new();
    for field in entity.fields {
        let text = match (row.get_ref(field.name)?, field.kind) {
            (ValueRef::Integer(number), Kind::Decimal) => Some(Decimal(number).to_string()),
            (ValueRef::Integer(number), Kind::Boolean) => Some((number != 0).to_string()),
            (ValueRef::Integer(number), _) => Some(number.to_string()),
            (ValueRef::Text(text), _) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        };
        values.insert(field.name, text);
    }
    Ok(Plain {
        id: row.get("id")?,
        values,
        state: if entity.states.is_empty() { None } else { row.get("state")? },
        created_at: row.get("created_at")?,
    })
}

//! Tenants: their name and plan.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::people;
use crate::moment::Moment;
use crate::{Error, Mistakes, Person, new_id};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id, which also names its file.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Name of its plan.
    pub edition: String,
    /// Since when, as RFC 3339.
    pub created_at: String,
}

/// Longest name of a tenant or a person, in characters.
const NAME_LEN_MAX: usize = 80;

/// Makes a tenant and its first person.
pub fn sign_up(
    db: &Transaction<'_>,
    name: &str,
    edition: &str,
    person: &people::NewPerson<'_>,
    now: Moment,
) -> Result<Person, Error> {
    let mut mistakes = people::mistakes(db, person)?;
    if let Some(message) = wrong_name(name) {
        mistakes.fields.insert("tenant".to_owned(), message);
    }
    if !mistakes.is_empty() {
        return Err(Error::Invalid(mistakes));
    }
    let id = new_id("ten");
    db.execute(
        "INSERT INTO tenant (id, name, edition, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![id, name.trim(), edition, now.rfc3339()],
    )?;
    people::insert(db, &id, person, now)
}

/// The tenant of that id.
pub fn tenant(db: &Connection, id: &str) -> Result<Option<Tenant>, Error> {
    let mut statement = db.prepare("SELECT id, name, edition, created_at FROM tenant WHERE id = ?1")?;
    let tenant = statement.query_row([id], |row| {
        Ok(Tenant { id: row.get(0)?, name: row.get(1)?, edition: row.get(2)?, created_at: row.get(3)? })
    });
    Ok(tenant.optional()?)
}

/// The ids of all tenants.
pub fn tenant_ids(db: &Connection) -> Result<Vec<String>, Error> {
    let mut statement = db.prepare("SELECT id FROM tenant")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Gives a tenant another name.
pub fn rename(db: &Connection, id: &str, name: &str) -> Result<(), Error> {
    if let Some(message) = wrong_name(name) {
        return Err(Error::Invalid(Mistakes::field("tenant", message)));
    }
    db.execute("UPDATE tenant SET name = ?2 WHERE id = ?1", params![id, name.trim()])?;
    Ok(())
}

/// Gives a tenant another plan.
pub fn set_edition(db: &Connection, id: &str, edition: &str) -> Result<(), Error> {
    db.execute("UPDATE tenant SET edition = ?2 WHERE id = ?1", params![id, edition])?;
    Ok(())
}

/// Removes a tenant with its people, sessions, invitations and tokens.
pub fn delete_tenant(db: &Connection, id: &str) -> Result<(), Error> {
    db.execute("DELETE FROM tenant WHERE id = ?1", [id])?;
    Ok(())
}

/// What is wrong with a name, if anything.
pub(super) fn wrong_name(name: &str) -> Option<String> {
    let len = name.trim().chars().count();
    if len == 0 {
        return Some("is needed".to_owned());
    }
    (len > NAME_LEN_MAX).then(|| format!("must be at most {NAME_LEN_MAX} characters"))
}

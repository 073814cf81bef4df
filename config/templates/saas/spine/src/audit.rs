//! Who did what when: one row for each change, in the transaction of the change.

use rusqlite::params;

use crate::{Error, Scope};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, as RFC 3339.
    pub at: String,
    /// Name of who did it.
    pub who: String,
    /// What they did: `created`, `updated`, or a transition's name.
    pub action: String,
    /// To what kind of thing.
    pub entity: String,
    /// To which one.
    pub record: String,
    /// What it is called.
    pub label: String,
}

/// Most entries that a page shows.
pub const PAGE_LEN: u32 = 100;

/// Writes an entry; call it within the transaction of the change.
pub fn write(scope: &Scope<'_>, action: &str, entity: &str, record: &str, label: &str) -> Result<(), Error> {
    scope.db.execute(
        "INSERT INTO audit (at, person, who, action, entity, record, label)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![scope.now.rfc3339(), scope.who.id, scope.who.name, action, entity, record, label],
    )?;
    Ok(())
}

/// The newest entries, of one record or of all.
pub fn newest(scope: &Scope<'_>, record: Option<&str>, most: u32) -> Result<Vec<Entry>, Error> {
    let mut statement = scope.db.prepare(
        "SELECT at, who, action, entity, record, label FROM audit
         WHERE ?1 IS NULL OR record = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let entries = statement.query_map(params![record, most], |row| {
        Ok(Entry {
            at: row.get(0)?,
            who: row.get(1)?,
            action: row.get(2)?,
            entity: row.get(3)?,
            record: row.get(4)?,
            label: row.get(5)?,
        })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}

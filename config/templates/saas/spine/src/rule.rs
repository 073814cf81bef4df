//! Rules of the domain: a sentence, when it is asked, and whether it holds.

use rusqlite::ToSql;

use crate::{Error, Mistakes, Scope};

/// When a rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Before a record is added.
    Create,
    /// Before a record is changed.
    Update,
    /// Before a record is removed.
    Delete,
    /// Before the named transition; the record is shown in the state it would have.
    Transition(&'static str),
}

/// A rule about records of type `T`.
pub struct Rule<T: 'static> {
    /// What it says; shown to whoever breaks it.
    pub sentence: &'static str,
    /// The field to show it at; empty when it is about the record.
    pub field: &'static str,
    /// When it is asked.
    pub on: &'static [On],
    /// Whether it holds.
    pub holds: fn(&Scope<'_>, &T) -> Result<bool, Error>,
}

/// Refuses a record that breaks a rule, and tells all that it breaks.
pub fn check<T>(scope: &Scope<'_>, rules: &[Rule<T>], on: On, record: &T) -> Result<(), Error> {
    let mut mistakes = Mistakes::default();
    for rule in rules.iter().filter(|rule| rule.on.contains(&on)) {
        if (rule.holds)(scope, record)? {
            continue;
        }
        if rule.field.is_empty() {
            mistakes.rules.push(rule.sentence.to_owned());
        } else {
            let field = mistakes.fields.entry(rule.field.to_owned());
            field.or_insert_with(|| rule.sentence.to_owned());
        }
    }
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(mistakes))
}

/// Whether an answer refuses with this sentence: for tests of rules.
pub fn refuses<T>(answer: &Result<T, Error>, sentence: &str) -> bool {
    let Err(Error::Invalid(mistakes)) = answer else {
        return false;
    };
    let mut told = mistakes.rules.iter().chain(mistakes.fields.values());
    told.any(|told| told == sentence)
}

/// Columns and the values that they must have.
pub type Same<'a> = &'a [(&'static str, &'a dyn ToSql)];

/// How many other records have the same values and one of the states; no states mean any.
pub fn others(
    scope: &Scope<'_>,
    entity: &str,
    id: &str,
    same: Same<'_>,
    states: &[&'static str],
) -> Result<u32, Error> {
    count(scope, entity, id, same, states, &[])
}

/// Whether no other record with the same values and one of the states lies between two times.
/// Times that only touch do not overlap.
pub fn free_between(
    scope: &Scope<'_>,
    entity: &str,
    id: &str,
    same: Same<'_>,
    (from, begins): (&str, &str),
    (to, ends): (&str, &str),
    states: &[&'static str],
) -> Result<bool, Error> {
    let between = [(from, "<", ends), (to, ">", begins)];
    Ok(count(scope, entity, id, same, states, &between)? == 0)
}

fn count(
    scope: &Scope<'_>,
    entity: &str,
    id: &str,
    same: Same<'_>,
    states: &[&'static str],
    bounds: &[(&str, &str, &str)],
) -> Result<u32, Error> {
    let mut sql = format!("SELECT COUNT(*) FROM \"{entity}\" WHERE id <> ?1");
    let mut values: Vec<&dyn ToSql> = vec![&id];
    for (column, value) in same {
        values.push(*value);
        sql.push_str(&format!(" AND \"{column}\" IS ?{}", values.len()));
    }
    if !states.is_empty() {
        let first = values.len() + 1;
        values.extend(states.iter().map(|state| state as &dyn ToSql));
        let places: Vec<String> = (first..=values.len()).map(|place| format!("?{place}")).collect();
        sql.push_str(&format!(" AND state IN ({})", places.join(", ")));
    }
    for (column, than, value) in bounds {
        values.push(value);
        sql.push_str(&format!(" AND \"{column}\" {than} ?{}", values.len()));
    }
    Ok(scope.db.query_row(&sql, values.as_slice(), |row| row.get(0))?)
}

/// Compares two values of which either may be absent; then the answer is no.
pub fn both<T: ?Sized>(left: Option<&T>, right: Option<&T>, compare: fn(&T, &T) -> bool) -> bool {
    matches!((left, right), (Some(left), Some(right)) if compare(left, right))
}

//! People: who they are, and their passwords.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::tenants::wrong_name;
use crate::moment::Moment;
use crate::{Error, Member, Mistakes, Person, new_id, secret};

/// Shortest password, in characters.
pub const PASSWORD_LEN_MIN: usize = 10;
/// Longest password, in bytes: hashing has a cost.
const PASSWORD_LEN_MAX: usize = 256;

/// A person to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewPerson<'a> {
    /// Their name.
    pub name: &'a str,
    /// The address they will log in with.
    pub email: &'a str,
    /// Name of their role.
    pub role: &'a str,
    /// Their password.
    pub password: &'a str,
}

/// A person and the hash of their password.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who.
    pub person: Person,
    /// Their password as a PHC string.
    pub password: String,
}

const COLUMNS: &str = "id, tenant, email, name, role";

fn read(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person { id: row.get(0)?, tenant: row.get(1)?, email: row.get(2)?, name: row.get(3)?, role: row.get(4)? })
}

/// The account that logs in with an address.
pub fn account(db: &Connection, email: &str) -> Result<Option<Account>, Error> {
    let sql = format!("SELECT {COLUMNS}, password FROM person WHERE email = ?1");
    let account = db.query_row(&sql, [email.trim()], |row| Ok(Account { person: read(row)?, password: row.get(5)? }));
    Ok(account.optional()?)
}

/// The person of that id.
pub(super) fn person(db: &Connection, id: &str) -> Result<Option<Person>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM person WHERE id = ?1");
    let mut statement = db.prepare(&sql)?;
    Ok(statement.query_row([id], read).optional()?)
}

/// The people of a tenant, in the order they came.
pub fn people(db: &Connection, tenant: &str) -> Result<Vec<Person>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM person WHERE tenant = ?1 ORDER BY created_at, id");
    let mut statement = db.prepare(&sql)?;
    let people = statement.query_map([tenant], read)?;
    Ok(people.collect::<Result<_, _>>()?)
}

/// The people of a tenant as records refer to them, by name.
pub fn members(db: &Connection, tenant: &str) -> Result<Vec<Member>, Error> {
    let mut statement = db.prepare("SELECT id, name FROM person WHERE tenant = ?1 ORDER BY name, id")?;
    let members = statement.query_map([tenant], |row| Ok(Member { id: row.get(0)?, name: row.get(1)? }))?;
    Ok(members.collect::<Result<_, _>>()?)
}

/// Gives a person of the tenant another role.
///
/// **Errors**: nobody there has that id, or the tenant would be left without anyone of `first_role`.
pub fn set_role(db: &Transaction<'_>, tenant: &str, id: &str, role: &str, first_role: &str) -> Result<Person, Error> {
    let changed = db.execute("UPDATE person SET role = ?3 WHERE id = ?1 AND tenant = ?2", params![id, tenant, role])?;
    if changed == 0 {
        return Err(Error::NotFound);
    }
    keep_one(db, tenant, first_role)?;
    person(db, id)?.ok_or(Error::NotFound)
}

/// Removes a person of the tenant; their sessions and tokens end.
///
/// **Errors**: as [`set_role`].
pub fn remove(db: &Transaction<'_>, tenant: &str, id: &str, first_role: &str) -> Result<Person, Error> {
    let gone = person(db, id)?.filter(|person| person.tenant == tenant);
    let gone = gone.ok_or(Error::NotFound)?;
    db.execute("DELETE FROM person WHERE id = ?1", [id])?;
    keep_one(db, tenant, first_role)?;
    Ok(gone)
}

/// Sets a new password and ends all other sessions of the person.
pub fn change_password(db: &Transaction<'_>, id: &str, password: &str, keep: &str) -> Result<(), Error> {
    if let Some(message) = wrong_password(password) {
        return Err(Error::Invalid(Mistakes::field("password", message)));
    }
    let hash = secret::hash_password(password)?;
    db.execute("UPDATE person SET password = ?2 WHERE id = ?1", params![id, hash])?;
    db.execute("DELETE FROM session WHERE person = ?1 AND csrf <> ?2", params![id, keep])?;
    Ok(())
}

/// Refuses a person who could not be made; nothing is written.
pub fn check_person(db: &Connection, name: &str, email: &str, password: &str) -> Result<(), Error> {
    let found = mistakes(db, &NewPerson { name, email, role: "", password })?;
    if found.is_empty() { Ok(()) } else { Err(Error::Invalid(found)) }
}

/// Inserts a person whose data have been checked.
pub(super) fn insert(db: &Connection, tenant: &str, new: &NewPerson<'_>, now: Moment) -> Result<Person, Error> {
    let person = Person {
        id: new_id("usr"),
        tenant: tenant.to_owned(),
        email: new.email.trim().to_lowercase(),
        name: new.name.trim().to_owned(),
        role: new.role.to_owned(),
    };
    db.execute(
        "INSERT INTO person (id, tenant, email, name, role, password, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            person.id,
            person.tenant,
            person.email,
            person.name,
            person.role,
            secret::hash_password(new.password)?,
            now.rfc3339()
        ],
    )?;
    Ok(person)
}

/// What is wrong with a person to be made.
pub(super) fn mistakes(db: &Connection, new: &NewPerson<'_>) -> Result<Mistakes, Error> {
    let mut found = Mistakes::default();
    if let Some(message) = wrong_name(new.name) {
        found.fields.insert("name".to_owned(), message);
    }
    if let Some(message) = wrong_email(new.email) {
        found.fields.insert("email".to_owned(), message);
    } else if account(db, new.email)?.is_some() {
        let message = "already has an account; log in instead".to_owned();
        found.fields.insert("email".to_owned(), message);
    }
    if let Some(message) = wrong_password(new.password) {
        found.fields.insert("password".to_owned(), message);
    }
    Ok(found)
}

/// What is wrong with an address, if anything: the mail server has the last word.
pub(super) fn wrong_email(email: &str) -> Option<String> {
    let email = email.trim();
    let plausible = email.len() <= 254
        && !email.contains(char::is_whitespace)
        && email
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'));
    (!plausible).then(|| "must be an email address, like ada@example.com".to_owned())
}

fn wrong_password(password: &str) -> Option<String> {
    if password.len() > PASSWORD_LEN_MAX {
        return Some(format!("must be at most {PASSWORD_LEN_MAX} bytes"));
    }
    (password.chars().count() < PASSWORD_LEN_MIN).then(|| format!("must have at least {PASSWORD_LEN_MIN} characters"))
}

fn keep_one(db: &Transaction<'_>, tenant: &str, first_role: &str) -> Result<(), Error> {
    let left: u32 =
        db.query_row("SELECT COUNT(*) FROM person WHERE tenant = ?1 AND role = ?2", [tenant, first_role], |row| {
            row.get(0)
        })?;
    if left > 0 {
        return Ok(());
    }
    Err(Error::Conflict(format!("someone must keep the role `{first_role}`; give it to another person first")))
}

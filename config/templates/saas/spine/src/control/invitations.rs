//! Invitations: a link that lets one more person into a tenant, once.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::people::{self, NewPerson, wrong_email};
use crate::moment::Moment;
use crate::{Error, Mistakes, Person, new_id, secret};

/// How long an invitation is good, in seconds: 7 days.
const INVITATION_SECONDS: i64 = 7 * 86_400;

/// An invitation that nobody has taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: String,
    /// Into which tenant.
    pub tenant: String,
    /// Name of that tenant.
    pub tenant_name: String,
    /// Whom.
    pub email: String,
    /// In which role.
    pub role: String,
}

/// Invites somebody and returns the secret of the link; a second invitation replaces the first.
pub fn invite(db: &Transaction<'_>, tenant: &str, email: &str, role: &str, now: Moment) -> Result<String, Error> {
    let refuse = |message: String| Err(Error::Invalid(Mistakes::field("email", message)));
    if let Some(message) = wrong_email(email) {
        return refuse(message);
    }
    if people::account(db, email)?.is_some() {
        return refuse("already has an account".to_owned());
    }
    let token = secret::token()?;
    db.execute(
        "DELETE FROM invitation WHERE (tenant = ?1 AND email = ?2) OR ends_at < ?3",
        params![tenant, email.trim(), now.0],
    )?;
    db.execute(
        "INSERT INTO invitation (digest, id, tenant, email, role, ends_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            secret::digest(&token),
            new_id("inv"),
            tenant,
            email.trim().to_lowercase(),
            role,
            now.plus(INVITATION_SECONDS).0
        ],
    )?;
    Ok(token)
}

/// The invitation of a link, unless it was taken or has ended.
pub fn invited(db: &Connection, token: &str, now: Moment) -> Result<Invitation, Error> {
    let found = db.query_row(
        "SELECT invitation.id, tenant, tenant.name, email, role
         FROM invitation JOIN tenant ON tenant.id = tenant WHERE digest = ?1 AND ends_at > ?2",
        params![secret::digest(token), now.0],
        read,
    );
    found.optional()?.ok_or(Error::NotFound)
}

/// The invitations of a tenant that nobody has taken yet.
pub fn invitations(db: &Connection, tenant: &str, now: Moment) -> Result<Vec<Invitation>, Error> {
    let mut statement = db.prepare(
        "SELECT invitation.id, tenant, tenant.name, email, role
         FROM invitation JOIN tenant ON tenant.id = tenant
         WHERE tenant = ?1 AND ends_at > ?2 ORDER BY email",
    )?;
    let found = statement.query_map(params![tenant, now.0], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Takes an invitation: makes the person and uses up the link.
pub fn accept(db: &Transaction<'_>, token: &str, name: &str, password: &str, now: Moment) -> Result<Person, Error> {
    let invitation = invited(db, token, now)?;
    let new = NewPerson { name, email: &invitation.email, role: &invitation.role, password };
    let mistakes = people::mistakes(db, &new)?;
    if !mistakes.is_empty() {
        return Err(Error::Invalid(mistakes));
    }
    db.execute("DELETE FROM invitation WHERE id = ?1", [&invitation.id])?;
    people::insert(db, &invitation.tenant, &new, now)
}

/// Takes an invitation of the tenant back.
pub fn withdraw(db: &Connection, tenant: &str, id: &str) -> Result<(), Error> {
    let gone = db.execute("DELETE FROM invitation WHERE id = ?1 AND tenant = ?2", params![id, tenant])?;
    if gone == 0 { Err(Error::NotFound) } else { Ok(()) }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Invitation> {
    Ok(Invitation {
        id: row.get(0)?,
        tenant: row.get(1)?,
        tenant_name: row.get(2)?,
        email: row.get(3)?,
        role: row.get(4)?,
    })
}

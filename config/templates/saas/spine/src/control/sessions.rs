//! Sessions of browsers, and tokens of programs.

use rusqlite::{Connection, OptionalExtension, params};

use super::people::person;
use super::tenants::{Tenant, tenant};
use crate::moment::Moment;
use crate::{Error, Mistakes, Person, new_id, secret};

/// How long a session lasts, in seconds: 14 days.
const SESSION_SECONDS: i64 = 14 * 86_400;
/// Most API tokens that one person may have.
const TOKENS_MAX: u32 = 20;

/// Somebody who has proved who they are.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who.
    pub person: Person,
    /// Their tenant.
    pub tenant: Tenant,
    /// How they proved it.
    pub via: Via,
}

/// How a person proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// By a cookie; forms must carry this secret, which other sites cannot know.
    Cookie {
        /// The secret of the session's forms.
        csrf: String,
    },
    /// By an API token, which no browser sends by itself.
    Token,
}

/// An API token as its owner sees it again: without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: String,
    /// What its owner calls it.
    pub label: String,
    /// Since when, as RFC 3339.
    pub created_at: String,
}

/// Begins a session and returns the secret for its cookie.
pub fn start_session(db: &Connection, person: &str, now: Moment) -> Result<String, Error> {
    let cookie = secret::token()?;
    db.execute("DELETE FROM session WHERE ends_at < ?1", [now.0])?;
    db.execute(
        "INSERT INTO session (digest, person, csrf, ends_at) VALUES (?1, ?2, ?3, ?4)",
        params![secret::digest(&cookie), person, secret::token()?, now.plus(SESSION_SECONDS).0],
    )?;
    Ok(cookie)
}

/// The session of a cookie, unless it has ended.
pub fn session_by_cookie(db: &Connection, cookie: &str, now: Moment) -> Result<Option<Session>, Error> {
    let mut statement = db.prepare("SELECT person, csrf FROM session WHERE digest = ?1 AND ends_at > ?2")?;
    let found = statement
        .query_row(params![secret::digest(cookie), now.0], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((id, csrf)) => session(db, &id, Via::Cookie { csrf }),
        None => Ok(None),
    }
}

/// Ends the session of a cookie.
pub fn end_session(db: &Connection, cookie: &str) -> Result<(), Error> {
    db.execute("DELETE FROM session WHERE digest = ?1", [secret::digest(cookie)])?;
    Ok(())
}

/// The session that an API token stands for.
pub fn session_by_token(db: &Connection, token: &str) -> Result<Option<Session>, Error> {
    let mut statement = db.prepare("SELECT person FROM api_token WHERE digest = ?1")?;
    let id: Option<String> = statement.query_row([secret::digest(token)], |row| row.get(0)).optional()?;
    match id {
        Some(id) => session(db, &id, Via::Token),
        None => Ok(None),
    }
}

/// Issues an API token; its secret is returned once and never shown again.
pub fn issue_token(db: &Connection, person: &str, label: &str, now: Moment) -> Result<String, Error> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > 60 {
        let message = "must have 1 to 60 characters, like `nightly import`";
        return Err(Error::Invalid(Mistakes::field("label", message)));
    }
    let count: u32 = db.query_row("SELECT COUNT(*) FROM api_token WHERE person = ?1", [person], |row| row.get(0))?;
    if count >= TOKENS_MAX {
        return Err(Error::Conflict(format!("a person may have {TOKENS_MAX} API tokens; revoke one that is not used")));
    }
    let token = secret::token()?;
    db.execute(
        "INSERT INTO api_token (id, digest, person, label, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![new_id("tok"), secret::digest(&token), person, label, now.rfc3339()],
    )?;
    Ok(token)
}

/// A person's API tokens, newest first.
pub fn tokens(db: &Connection, person: &str) -> Result<Vec<ApiToken>, Error> {
    let mut statement =
        db.prepare("SELECT id, label, created_at FROM api_token WHERE person = ?1 ORDER BY created_at DESC, id")?;
    let tokens = statement
        .query_map([person], |row| Ok(ApiToken { id: row.get(0)?, label: row.get(1)?, created_at: row.get(2)? }))?;
    Ok(tokens.collect::<Result<_, _>>()?)
}

/// Revokes one of a person's API tokens.
pub fn revoke_token(db: &Connection, person: &str, id: &str) -> Result<(), Error> {
    let gone = db.execute("DELETE FROM api_token WHERE id = ?1 AND person = ?2", params![id, person])?;
    if gone == 0 { Err(Error::NotFound) } else { Ok(()) }
}

fn session(db: &Connection, id: &str, via: Via) -> Result<Option<Session>, Error> {
    let Some(person) = person(db, id)? else {
        return Ok(None);
    };
    let tenant = tenant(db, &person.tenant)?;
    Ok(tenant.map(|tenant| Session { person, tenant, via }))
}

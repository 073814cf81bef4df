//! The control file: tenants, people, sessions, invitations and API tokens.
//!
//! It knows who may log in and nothing of any tenant's domain. Secrets are kept as digests only.

mod invitations;
mod people;
mod sessions;
mod tenants;

pub use invitations::{Invitation, accept, invitations, invite, invited, withdraw};
pub use people::{
    Account, NewPerson, PASSWORD_LEN_MIN, account, change_password, check_person, members, people, remove, set_role,
};
pub use sessions::{
    ApiToken, Session, Via, end_session, issue_token, revoke_token, session_by_cookie, session_by_token, start_session,
    tokens,
};
pub use tenants::{Tenant, delete_tenant, rename, set_edition, sign_up, tenant, tenant_ids};

use rusqlite::{Connection, TransactionBehavior};

use crate::Error;

/// Numbered steps; each runs once, in order. Only ever add to the end.
const STEPS: &[&str] = &["
CREATE TABLE tenant (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, edition TEXT NOT NULL, created_at TEXT NOT NULL
) STRICT;
CREATE TABLE person (
  id TEXT PRIMARY KEY, tenant TEXT NOT NULL REFERENCES tenant ON DELETE CASCADE,
  email TEXT NOT NULL COLLATE NOCASE UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL,
  password TEXT NOT NULL, created_at TEXT NOT NULL
) STRICT;
CREATE INDEX person_tenant ON person (tenant);
CREATE TABLE session (
  digest TEXT PRIMARY KEY, person TEXT NOT NULL REFERENCES person ON DELETE CASCADE,
  csrf TEXT NOT NULL, ends_at INTEGER NOT NULL
) STRICT;
CREATE TABLE invitation (
  digest TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL REFERENCES tenant ON DELETE CASCADE,
  email TEXT NOT NULL COLLATE NOCASE, role TEXT NOT NULL, ends_at INTEGER NOT NULL
) STRICT;
CREATE TABLE api_token (
  id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE,
  person TEXT NOT NULL REFERENCES person ON DELETE CASCADE,
  label TEXT NOT NULL, created_at TEXT NOT NULL
) STRICT;
"];

/// Brings the control file to the present form; a file of a later version is refused.
pub(crate) fn migrate(db: &mut Connection) -> Result<(), Error> {
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done: u32 = change.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if done > known {
        return Err(Error::Migration(format!("the control file has version {done}, and this program knows {known}")));
    }
    for step in STEPS.iter().skip(done as usize) {
        change.execute_batch(step)?;
    }
    change.pragma_update(None, "user_version", known)?;
    Ok(change.commit()?)
}

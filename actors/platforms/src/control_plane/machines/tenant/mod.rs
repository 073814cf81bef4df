//! The tenant: who may call in its name.

use std::collections::BTreeMap;

use mesh_kernel::{
    entity::{Cause, Decider, Recorded},
    envelope::{Address, Kind, Principal, Role, Timestamp},
    ports::Digest,
};
use serde::{Deserialize, Serialize};

use crate::control_plane::{
    TenantError as Error,
    messages::{KeyId, TenantCommand as Command, TenantEvent as Event},
};

/// Living keys of one tenant, and revoked ones that are remembered, at most.
const KEYS_MAX: usize = 256;
/// **Units**: characters.
const NAME_LEN_MAX: usize = 64;

/// Decides for tenants.
#[derive(Debug, Clone, Copy, Default)]
pub struct TenantMachine;

/// What is true of a tenant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    tenant: String,
    /// Empty until the tenant is created.
    name: String,
    created_at: Timestamp,
    disabled: Option<Disabled>,
    #[serde(default)]
    is_deleted: bool,
    #[serde(default)]
    is_for_development: bool,
    keys: BTreeMap<KeyId, Key>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Disabled {
    at: Timestamp,
    reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    name: String,
    hash: Digest,
    roles: Vec<Role>,
    issued_at: Timestamp,
    issued_by: String,
    revoked_at: Option<Timestamp>,
}

impl Decider for TenantMachine {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = Kind { platform: "control-plane", name: "tenant" };

    fn initial(&self, address: &Address) -> State {
        State { tenant: address.id().to_owned(), ..State::default() }
    }

    fn decide(&self, state: &State, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
        // A tenant lies in its own tenant, or an admin of one could make another.
        if cause.address.tenant().as_str() != state.tenant {
            return Err(Error::Unknown { tenant: state.tenant.clone() });
        }
        if state.is_deleted && !matches!(command, Command::DeleteTenant {}) {
            return Err(Error::Deleting { tenant: state.tenant.clone() });
        }
        if let Command::CreateTenant { name, development } = command {
            return create(state, name, development);
        }
        if state.name.is_empty() {
            return Err(Error::Unknown { tenant: state.tenant.clone() });
        }
        match command {
            Command::CreateTenant { .. } => Ok(Vec::new()),
            Command::DeleteTenant {} => delete(state),
            Command::DisableTenant { reason } => Ok(disable(state, reason)),
            Command::EnableTenant {} => Ok(enable(state)),
            Command::IssueKey { name, hash, roles } => issue(state, name, hash, roles, cause),
            Command::RevokeKey { key } => revoke(state, &key),
        }
    }

    fn evolve(&self, state: &mut State, event: Event, recorded: &Recorded<'_>) {
        match event {
            Event::TenantCreated { name, development } => {
                state.name = name;
                state.is_for_development = development;
                state.created_at = recorded.at;
            }
            Event::TenantDisabled { reason } => {
                state.disabled = Some(Disabled { at: recorded.at, reason });
            }
            Event::TenantEnabled {} => state.disabled = None,
            Event::TenantDeleted {} => state.is_deleted = true,
            Event::KeyIssued { key, name, hash, roles } => {
                let issued_by = recorded.principal.answerable().to_owned();
                let issued_at = recorded.at;
                state.keys.insert(key, Key { name, hash, roles, issued_at, issued_by, revoked_at: None });
            }
            Event::KeyRevoked { key, .. } => {
                if let Some(key) = state.keys.get_mut(&key) {
                    key.revoked_at = Some(recorded.at);
                }
                forget_oldest_revoked(state);
            }
        }
    }

    /// The tenant and its keys, never a hash.
    fn view(&self, state: &State, _what: &str) -> serde_json::Value {
        let keys: Vec<_> = state.keys.iter().map(|(id, key)| key_view(id, key)).collect();
        serde_json::json!({
            "tenant": state.tenant,
            "name": state.name,
            "development": state.is_for_development,
            "state": match state.disabled {
                _ if state.is_deleted => "Deleting",
                Some(_) => "Disabled",
                None => "Active",
            },
            "createdAt": state.created_at,
            "disabled": state.disabled,
            "keys": keys,
        })
    }

    fn size_hint(&self, state: &State) -> usize {
        512 + state.keys.len() * 256
    }
}

fn create(state: &State, name: String, development: bool) -> Result<Vec<Event>, Error> {
    if state.name == name && state.is_for_development == development && !name.is_empty() {
        return Ok(Vec::new());
    }
    if !state.name.is_empty() {
        return Err(Error::Exists { tenant: state.tenant.clone(), name: state.name.clone() });
    }
    let shown = !name.trim().is_empty() && !name.chars().any(char::is_control);
    if !shown || name.chars().count() > NAME_LEN_MAX {
        let rule = "1 to 64 characters, none of them a control character";
        return Err(Error::Name { what: "tenant's name", text: cut(&name), rule });
    }
    Ok(vec![Event::TenantCreated { name, development }])
}

fn disable(state: &State, reason: String) -> Vec<Event> {
    match state.disabled {
        Some(_) => Vec::new(),
        None => vec![Event::TenantDisabled { reason: reason.chars().take(500).collect() }],
    }
}

fn enable(state: &State) -> Vec<Event> {
    match state.disabled {
        Some(_) => vec![Event::TenantEnabled {}],
        None => Vec::new(),
    }
}

/// A tenant with a key by which the node is run stays: nobody could get in afterwards.
fn delete(state: &State) -> Result<Vec<Event>, Error> {
    if let Some(key) = living(state).find(|key| key.roles.contains(&Role::Operator)) {
        return Err(Error::RunsTheNode { tenant: state.tenant.clone(), key: key.name.clone() });
    }
    Ok(if state.is_deleted { Vec::new() } else { vec![Event::TenantDeleted {}] })
}

fn issue(state: &State, name: String, hash: Digest, mut roles: Vec<Role>, cause: &Cause) -> Result<Vec<Event>, Error> {
    if state.disabled.is_some() {
        return Err(Error::Disabled { tenant: state.tenant.clone() });
    }
    check_key_name(&name)?;
    roles.sort();
    roles.dedup();
    if roles.is_empty() {
        return Err(Error::NoRoles);
    }
    for role in &roles {
        may_give(&cause.principal, *role)?;
    }
    let key = KeyId::of(&hash);
    if let Some(known) = state.keys.get(&key) {
        return same_key(known, &name, &roles);
    }
    if living(state).any(|known| known.name == name) {
        return Err(Error::KeyExists { name });
    }
    if living(state).count() >= KEYS_MAX {
        return Err(Error::TooManyKeys { keys_max: KEYS_MAX });
    }
    Ok(vec![Event::KeyIssued { key, name, hash, roles }])
}

/// The same secret again: the same key when nothing differs.
fn same_key(known: &Key, name: &str, roles: &[Role]) -> Result<Vec<Event>, Error> {
    if known.revoked_at.is_some() {
        return Err(Error::KeySpent);
    }
    if known.name == name && known.roles == roles {
        return Ok(Vec::new());
    }
    Err(Error::KeyExists { name: known.name.clone() })
}

/// A key can give what it is above of, and never the node's own role.
fn may_give(principal: &Principal, role: Role) -> Result<(), Error> {
    let runs_the_node = principal.has(Role::Operator) || principal.has(Role::System);
    let why = match role {
        Role::System => "it is the node's own",
        Role::Operator if !runs_the_node => "only an operator makes operators",
        _ if !runs_the_node && !principal.has(Role::Admin) => "only an admin issues keys",
        _ => return Ok(()),
    };
    Err(Error::Role { role, why })
}

fn revoke(state: &State, key: &str) -> Result<Vec<Event>, Error> {
    let by_name = || state.keys.iter().find(|(_, k)| k.name == key && k.revoked_at.is_none());
    let by_id = state.keys.iter().find(|(id, _)| id.as_str() == key);
    let Some((id, found)) = by_id.or_else(by_name) else {
        return Err(Error::KeyUnknown { key: cut(key) });
    };
    if found.revoked_at.is_some() {
        return Ok(Vec::new());
    }
    for role in [Role::Operator, Role::Admin] {
        let holders = living(state).filter(|key| key.roles.contains(&role)).count();
        if found.roles.contains(&role) && holders == 1 {
            return Err(Error::LastKey { name: found.name.clone(), role });
        }
    }
    Ok(vec![Event::KeyRevoked { key: id.clone(), name: found.name.clone(), hash: found.hash }])
}

fn living(state: &State) -> impl Iterator<Item = &Key> {
    state.keys.values().filter(|key| key.revoked_at.is_none())
}

/// Revoked keys stay in the journal for good; the state remembers the newest ones.
fn forget_oldest_revoked(state: &mut State) {
    let mut revoked: Vec<_> =
        state.keys.iter().filter_map(|(id, key)| key.revoked_at.map(|at| (at, id.clone()))).collect();
    revoked.sort();
    for (_, id) in revoked.iter().take(revoked.len().saturating_sub(KEYS_MAX)) {
        state.keys.remove(id);
    }
}

/// INVARIANT: a key's name never equals another living one's, for approvals tell people apart by it.
fn check_key_name(name: &str) -> Result<(), Error> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.' | b'@');
    if !name.is_empty() && name.len() <= NAME_LEN_MAX && name.bytes().all(allowed) {
        return Ok(());
    }
    let rule = "1 to 64 lower-case letters, digits, `-`, `_`, `.`, `@`";
    Err(Error::Name { what: "key's name", text: cut(name), rule })
}

fn key_view(id: &KeyId, key: &Key) -> serde_json::Value {
    serde_json::json!({
        "key": id,
        "name": key.name,
        "roles": key.roles,
        "issuedAt": key.issued_at,
        "issuedBy": key.issued_by,
        "revokedAt": key.revoked_at,
    })
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;

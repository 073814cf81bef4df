//! The first start: tenant `default` and one key for it, kept where only its owner can read it.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use mesh_kernel::{
    entity::encode_tagged,
    envelope::{Address, ErrorKind, IdempotencyKey, Principal, Refusal, Role, TenantId},
    path::{Caller, Command, Mesh},
    ports::{Authenticator, Credential, Digest, Identity},
};
use mesh_platforms::control_plane::{KeyId, TENANT, TenantCommand};

use crate::readmodel::Keys;

/// The tenant that a first start makes.
pub const DEFAULT_TENANT: &str = "default";

/// Where the first key lies in the data folder.
pub const KEY_FILE: &str = "operator.key";

/// The authenticator of a node: its keys and sessions, and the one secret that the node itself drew
/// when it started and that never leaves this process.
pub struct NodeAuthenticator {
    keys: Keys,
    own: String,
    tenant: TenantId,
}

impl NodeAuthenticator {
    /// An authenticator over `keys` that also takes `own` for the node itself.
    pub fn new(keys: Keys, own: String, tenant: TenantId) -> Arc<Self> {
        Arc::new(Self { keys, own, tenant })
    }
}

impl Authenticator for NodeAuthenticator {
    fn authenticate(&self, credential: &Credential) -> Result<Identity, Refusal> {
        match credential {
            Credential::Session(session) if *session == self.own => Ok(Identity {
                tenant: self.tenant.clone(),
                principal: Principal { roles: vec![Role::System, Role::Operator], ..Principal::system("node") },
            }),
            other => self.keys.authenticate(other),
        }
    }
}

/// The first key, read or drawn, and its tenant made when it is not there.
///
/// Every part may be done again: a start that died in between is finished by the next one.
///
/// # Errors
/// When the key file cannot be written, or the tenant is refused.
pub async fn first_start(mesh: &Mesh, own: &str, data: &Path, secret: fn() -> String) -> Result<String> {
    let key = key_file(&data.join(KEY_FILE), secret)?;
    let node = mesh.accept(&Credential::Session(own.to_owned()), None)?;
    let address = Address::new(node.tenant(), TENANT, DEFAULT_TENANT)?;
    let hash = Digest::of(key.as_bytes());
    // Every start but the first one finds both, and writes nothing.
    if holds_key(mesh, &node, &address, &hash).await? {
        return Ok(key);
    }
    let commands = [
        ("tenant", TenantCommand::CreateTenant { name: "Default".to_owned(), development: false }),
        (
            "key",
            TenantCommand::IssueKey { name: "operator".to_owned(), hash, roles: vec![Role::Operator, Role::Admin] },
        ),
    ];
    for (part, command) in commands {
        let mut command = Command::new(address.clone(), encode_tagged(&command, 1)?);
        command.key = Some(IdempotencyKey::parse(&format!("first-start.{part}.{}", hash.hex()))?);
        command.what = None;
        mesh.send(&node, command).await.with_context(|| format!("first start: {part}"))?;
    }
    Ok(key)
}

/// Whether the tenant knows this key, be it revoked: who has revoked it wants it no more.
async fn holds_key(mesh: &Mesh, node: &Caller, tenant: &Address, hash: &Digest) -> Result<bool> {
    let viewed = match mesh.query(node, tenant, "GetTenant", "").await {
        Ok(viewed) => viewed.view,
        Err(refusal) if refusal.kind == ErrorKind::NotFound => return Ok(false),
        Err(refusal) => return Err(refusal).context("first start: reading the tenant"),
    };
    let key = serde_json::to_value(KeyId::of(hash))?;
    let keys = viewed.get("keys").and_then(|keys| keys.as_array());
    Ok(keys.is_some_and(|keys| keys.iter().any(|known| known.get("key") == Some(&key))))
}

/// Reads the key, or writes a fresh one readable by its owner alone.
fn key_file(path: &PathBuf, secret: fn() -> String) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(key) if !key.trim().is_empty() => return Ok(key.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("reading the key in {}", path.display())),
    }
    let key = format!("mesh_{}", secret());
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path).with_context(|| format!("writing the key to {}", path.display()))?;
    Ok(key)
}

//! What tenants and blueprints are told, and what they announce.

use mesh_kernel::{
    envelope::{Role, Timestamp},
    ports::Digest,
};
use serde::{Deserialize, Serialize};

/// Names an API key within its tenant: `key-` and 16 hexadecimal digits of its hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// The id of the key whose secret has this hash.
    ///
    /// Derived, so that a repeated command names the same key.
    pub fn of(hash: &Digest) -> Self {
        Self(format!("key-{}", hash.hex().get(..16).unwrap_or_default()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a tenant is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum TenantCommand {
    /// Makes the tenant; again with the same name changes nothing.
    CreateTenant {
        /// The name that people read.
        name: String,
        /// It is for development.
        #[serde(default)]
        development: bool,
    },
    /// Stops all of its keys from being accepted.
    DisableTenant {
        /// Why, for people.
        #[serde(default)]
        reason: String,
    },
    /// Takes a disabled tenant back.
    EnableTenant {},
    /// Removes it and everything that it has, for good.
    DeleteTenant {},
    /// Adds a key; the caller keeps the secret and sends its hash.
    IssueKey {
        /// Who holds it: becomes the principal `key:<name>`.
        name: String,
        /// SHA-256 of the secret.
        hash: Digest,
        /// What it may do.
        roles: Vec<Role>,
    },
    /// Ends a key, by its id or its name.
    RevokeKey {
        /// The id or the name.
        key: String,
    },
}

/// What a tenant announces.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum TenantEvent {
    /// The tenant exists.
    TenantCreated {
        /// The name that people read.
        name: String,
        /// It is for development: what is immutable elsewhere may be replaced there when it says `-dev`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        development: bool,
    },
    /// None of its keys is accepted any more.
    TenantDisabled {
        /// Why.
        reason: String,
    },
    /// Its keys are accepted again.
    TenantEnabled {},
    /// None of its keys is accepted any more, and everything that it has goes: this event too.
    TenantDeleted {},
    /// A key is accepted from now on.
    KeyIssued {
        /// Its id.
        key: KeyId,
        /// Who holds it.
        name: String,
        /// SHA-256 of the secret.
        hash: Digest,
        /// What it may do.
        roles: Vec<Role>,
    },
    /// A key is not accepted any more.
    KeyRevoked {
        /// Its id.
        key: KeyId,
        /// Who held it.
        name: String,
        /// SHA-256 of the secret, so that a read model finds it.
        hash: Digest,
    },
}

/// A blueprint's text, or where it lies when it is too large for the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// The text itself.
    Inline(String),
    /// A body in the content store.
    Stored {
        /// Its digest.
        #[serde(rename = "$ref")]
        body: Digest,
        /// Its length.
        bytes: u64,
    },
}

/// How a blueprint's version differs from the one that was released before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Nothing was released before it.
    New,
    /// New entities, optional fields, rules: tenants' files can be migrated.
    Additive,
}

/// How a run that makes a blueprint's version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Asked for, or going.
    Running,
    /// The product was made.
    Succeeded,
    /// It ended without a product; it can be retried from its failed step.
    Failed,
    /// Someone ended it; the next apply begins anew.
    Cancelled,
}

/// What a blueprint is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum BlueprintCommand {
    /// Makes this content the blueprint's latest version and asks for the product to be made of it.
    ApplyBlueprint {
        /// The blueprint's name, which is the entity's id.
        name: String,
        /// SHA-256 of its canonical form.
        digest: Digest,
        /// The text that was written.
        source: Source,
        /// The released version that the sender compared it with; none when there was none.
        #[serde(default)]
        base: Option<Digest>,
        /// The sentences that an agent makes rules of, in the order of the text.
        #[serde(default)]
        sentences: Vec<String>,
    },
    /// Tells how a run that makes this blueprint stands.
    RecordRun {
        /// The run's id.
        run: String,
        /// How it stands.
        state: RunState,
    },
}

/// What a blueprint announces.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum BlueprintEvent {
    /// There is a new latest version.
    BlueprintApplied {
        /// Its number, from 1.
        version: u32,
        /// The blueprint's name.
        name: String,
        /// SHA-256 of its canonical form.
        digest: Digest,
        /// The text that was written.
        source: Source,
        /// How it differs from the released one.
        change: ChangeKind,
    },
    /// A run shall make the product of a version.
    ProductRunRequested {
        /// The blueprint's name.
        name: String,
        /// The version.
        version: u32,
        /// Its digest.
        digest: Digest,
        /// Its text.
        source: Source,
        /// The id that the run shall have.
        run: String,
        /// The request id from which the run's id is derived.
        request_id: String,
        /// The sentences that an agent makes rules of: a step each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sentences: Vec<String>,
    },
    /// A failed run shall go on from its failed step.
    ProductRunRetryRequested {
        /// The version.
        version: u32,
        /// The run.
        run: String,
    },
    /// A finished product shall be served again.
    ProductServingRequested {
        /// The blueprint's name, which is the product's.
        name: String,
        /// The version.
        version: u32,
        /// The run that made it.
        run: String,
    },
    /// A run that makes this blueprint moved.
    ProductRunRecorded {
        /// The run.
        run: String,
        /// How it stands.
        state: RunState,
        /// Since when.
        at: Timestamp,
    },
}

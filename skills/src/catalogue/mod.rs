//! The skills that a tenant has registered: one entity for each tenant, which holds all versions of all.
//!
//! A version is immutable: what a run called yesterday is what it would call today. Registering the same
//! manifest again changes nothing, another one under the same version is refused; only a `-dev` version of a
//! tenant for development may be replaced. A version that is withdrawn is called by nobody any more.
//!
//! Never here: who runs a skill, and whether anybody does now; that is its host's business.

mod register;

use std::{collections::BTreeMap, sync::Arc};

use mesh_kernel::{
    entity::{Cause, Decider, Recorded},
    envelope::{Address, AddressError, ErrorKind, FieldViolation, Kind, Refuse, TenantId, Timestamp},
    ports::Digest,
};
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{Manifest, RegistryError};

pub use register::check;

/// The kind of the entity's address.
pub const KIND: Kind = Kind { platform: "agent-mesh", name: "skills" };

/// The id of the one entity of this kind that a tenant has.
pub const ID: &str = "registered";

/// Most skills of a tenant.
pub const SKILLS_MAX: usize = 1_000;
/// Most versions of one skill.
pub const VERSIONS_MAX: usize = 100;
/// Largest manifest. **Units**: bytes of JSON.
pub const MANIFEST_BYTES_MAX: usize = 128 * 1024;
/// All manifests of a tenant. **Units**: bytes of JSON.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where the skills of a tenant are registered.
///
/// # Errors
/// Never, for a tenant's id and this kind fit into an address.
pub fn address(tenant: &TenantId) -> Result<Address, AddressError> {
    Address::new(tenant, KIND, ID)
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Command {
    /// Keep these versions, all or none.
    RegisterSkills {
        /// What each says of itself.
        manifests: Vec<Manifest>,
        /// Those of which the version ends in `-dev` may stand with another manifest.
        #[serde(default)]
        replaces_dev: bool,
    },
    /// Let nothing new use this version.
    DeprecateSkill {
        /// The skill.
        name: String,
        /// Its version.
        version: String,
        /// Why, and what to use instead.
        reason: String,
    },
    /// Let nobody call this version any more, neither anew nor again.
    WithdrawSkill {
        /// The skill.
        name: String,
        /// Its version.
        version: String,
        /// Why, and what to use instead.
        reason: String,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Event {
    /// There is a new version of a skill.
    SkillRegistered {
        /// What it says of itself.
        manifest: Box<Manifest>,
        /// The digest of its JSON.
        digest: Digest,
        /// Who registered it.
        by: String,
    },
    /// A version for development is another one now.
    SkillReplaced {
        /// What it says of itself.
        manifest: Box<Manifest>,
        /// The digest of its JSON.
        digest: Digest,
        /// Who replaced it.
        by: String,
    },
    /// Nobody calls a version any more.
    SkillWithdrawn {
        /// The skill.
        name: String,
        /// Its version.
        version: String,
        /// Why, and what to use instead.
        reason: String,
        /// Who said so.
        by: String,
    },
    /// Nothing new shall use a version.
    SkillDeprecated {
        /// The skill.
        name: String,
        /// Its version.
        version: String,
        /// Why, and what to use instead.
        reason: String,
        /// Who said so.
        by: String,
    },
}

/// One version of a skill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What it says of itself.
    pub manifest: Arc<Manifest>,
    /// The digest of that.
    pub digest: Digest,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// Who registered it.
    pub by: String,
    /// Why nothing new shall use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// Why nobody calls it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
}

/// All skills of a tenant: names to versions, the oldest version first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Skills {
    /// By name.
    pub skills: BTreeMap<String, Vec<Entry>>,
    /// Of all manifests. **Units**: bytes of JSON.
    pub bytes: usize,
}

/// What a new call uses: the highest release that is not deprecated, else the highest of them all. Nothing when
/// all are withdrawn.
pub fn current(versions: &[Entry]) -> Option<&Entry> {
    latest(versions).filter(|entry| entry.withdrawn.is_none())
}

/// What a new call uses, or would use if not all were withdrawn.
pub fn latest(versions: &[Entry]) -> Option<&Entry> {
    versions.iter().max_by_key(|entry| rank(entry))
}

/// Which of two versions a new call rather uses: called by anybody, not deprecated, a release, the higher one.
fn rank(entry: &Entry) -> (bool, bool, bool, Option<Version>) {
    let version = Version::parse(&entry.manifest.version).ok();
    let is_release = version.as_ref().is_some_and(|version| version.pre.is_empty());
    (entry.withdrawn.is_none(), entry.deprecated.is_none(), is_release, version)
}

/// What a new call uses that keeps to a range: as [`current`], among the versions within it.
pub fn within<'e>(versions: &'e [Entry], range: &VersionReq) -> Option<&'e Entry> {
    let fits = |entry: &&Entry| Version::parse(&entry.manifest.version).is_ok_and(|version| range.matches(&version));
    let fitting = versions.iter().filter(fits).filter(|entry| entry.withdrawn.is_none());
    fitting.max_by_key(|entry| rank(entry))
}

/// Whether a version is for development: `1.0.0-dev`, `1.0.0-dev.7`.
pub fn is_dev(version: &str) -> bool {
    let is_dev = |version: Version| version.pre.split('.').next() == Some("dev");
    Version::parse(version).is_ok_and(is_dev)
}

/// What is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A manifest that says what cannot be.
    #[error("the manifest of `{name}` cannot be taken: {source}")]
    Manifest {
        /// What it calls itself.
        name: String,
        /// Why.
        source: RegistryError,
    },
    /// A manifest that is too large.
    #[error("the manifest of `{name}` has {bytes} bytes as JSON; at most {MANIFEST_BYTES_MAX} are taken")]
    Large {
        /// What it calls itself.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// A version that was registered with something else in it.
    #[error(
        "`{name}@{version}` is registered with another manifest, and a version never changes: raise the version{}",
        dev_hint(version)
    )]
    Changed {
        /// The skill.
        name: String,
        /// The version.
        version: String,
    },
    /// No room.
    #[error("there is no room for `{name}`: {what}")]
    Full {
        /// The skill.
        name: String,
        /// What is full.
        what: String,
    },
    /// A name that another kind of host has.
    #[error(
        "`{name}` is registered otherwise ({other}), and a tool of an MCP server and another skill never share a \
         name: choose another, or withdraw what stands"
    )]
    Shadowed {
        /// The skill.
        name: String,
        /// What stands.
        other: String,
    },
    /// A version that was never registered.
    #[error("`{name}@{version}` was never registered")]
    Unknown {
        /// The skill.
        name: String,
        /// The version.
        version: String,
    },
}

fn dev_hint(version: &str) -> &'static str {
    match is_dev(version) {
        true => " (a `-dev` version may be replaced in a tenant for development, unless it is withdrawn)",
        false => "",
    }
}

impl Refuse for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Manifest { .. } => "SKL-0001",
            Self::Large { .. } => "SKL-0002",
            Self::Changed { .. } => "SKL-0003",
            Self::Full { .. } => "SKL-0004",
            Self::Unknown { .. } => "SKL-0005",
            Self::Shadowed { .. } => "SKL-0006",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Manifest { .. } | Self::Large { .. } => ErrorKind::InvalidArgument,
            Self::Changed { .. } | Self::Shadowed { .. } => ErrorKind::AlreadyExists,
            Self::Full { .. } => ErrorKind::ResourceExhausted,
            Self::Unknown { .. } => ErrorKind::NotFound,
        }
    }

    fn fields(&self) -> Vec<FieldViolation> {
        Vec::new()
    }
}

/// Decides for the skills of all tenants.
#[derive(Debug, Clone, Copy, Default)]
pub struct SkillsDecider;

impl Decider for SkillsDecider {
    type State = Skills;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = KIND;

    fn initial(&self, _: &Address) -> Skills {
        Skills::default()
    }

    fn decide(&self, state: &Skills, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
        let by = cause.principal.answerable().to_owned();
        match command {
            Command::RegisterSkills { manifests, replaces_dev } => {
                register::register(state, manifests, replaces_dev, &by)
            }
            Command::DeprecateSkill { name, version, reason } => {
                let is_said = state.version(&name, &version)?.deprecated.as_ref() == Some(&reason);
                let event = Event::SkillDeprecated { name, version, reason, by };
                Ok(if is_said { Vec::new() } else { vec![event] })
            }
            Command::WithdrawSkill { name, version, reason } => {
                let is_said = state.version(&name, &version)?.withdrawn.as_ref() == Some(&reason);
                let event = Event::SkillWithdrawn { name, version, reason, by };
                Ok(if is_said { Vec::new() } else { vec![event] })
            }
        }
    }

    fn evolve(&self, state: &mut Skills, event: Event, recorded: &Recorded<'_>) {
        match event {
            Event::SkillRegistered { manifest, digest, by } | Event::SkillReplaced { manifest, digest, by } => {
                let manifest: Arc<Manifest> = Arc::from(manifest);
                state.bytes += length(&manifest);
                let versions = state.skills.entry(manifest.name.clone()).or_default();
                let stands = versions.iter_mut().find(|entry| entry.manifest.version == manifest.version);
                let registered_at = recorded.at;
                let entry = Entry { manifest, digest, registered_at, by, deprecated: None, withdrawn: None };
                match stands {
                    Some(stands) => {
                        state.bytes = state.bytes.saturating_sub(length(&stands.manifest));
                        *stands = entry;
                    }
                    None => versions.push(entry),
                }
            }
            Event::SkillDeprecated { name, version, reason, .. } => {
                state.said(&name, &version, |entry| entry.deprecated = Some(reason));
            }
            Event::SkillWithdrawn { name, version, reason, .. } => {
                state.said(&name, &version, |entry| entry.withdrawn = Some(reason));
            }
        }
    }

    fn view(&self, state: &Skills, _: &str) -> Value {
        serde_json::to_value(state).unwrap_or_default()
    }

    fn size_hint(&self, state: &Skills) -> usize {
        1024 + 2 * state.bytes
    }
}

impl Skills {
    fn version(&self, name: &str, version: &str) -> Result<&Entry, Error> {
        let versions = self.skills.get(name).map(Vec::as_slice).unwrap_or_default();
        let found = versions.iter().find(|entry| entry.manifest.version == version);
        found.ok_or_else(|| Error::Unknown { name: name.to_owned(), version: version.to_owned() })
    }

    fn said(&mut self, name: &str, version: &str, change: impl FnOnce(&mut Entry)) {
        let versions = self.skills.get_mut(name).into_iter().flatten();
        if let Some(entry) = versions.into_iter().find(|entry| entry.manifest.version == version) {
            change(entry);
        }
    }
}

/// The digest of what a skill says of itself.
pub fn digest(manifest: &Manifest) -> Digest {
    Digest::of(&encoded(manifest))
}

fn length(manifest: &Manifest) -> usize {
    encoded(manifest).len()
}

/// By way of a tree, whose keys are in order.
fn encoded(manifest: &Manifest) -> Vec<u8> {
    serde_json::to_value(manifest).and_then(|tree| serde_json::to_vec(&tree)).unwrap_or_default()
}

#[cfg(test)]
mod tests;

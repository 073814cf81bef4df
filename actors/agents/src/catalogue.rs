//! A tenant's published agents: one entity for each tenant, which holds all versions of all.
//!
//! A version is immutable and numbered from 1; one of them is active, and a new task uses that one. Publishing the
//! same content again is answered with the version that has it; activating an older one takes a change back.
//!
//! Never here: tasks.

use std::{collections::BTreeMap, sync::Arc};

use mesh_kernel::{
    entity::{Cause, Decider, Recorded},
    envelope::{Address, AddressError, ErrorKind, Kind, Refuse, TenantId, Timestamp},
    ports::Digest,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::definition::{Agent, DEFINITION_BYTES_MAX};

/// The kind of the entity's address.
pub const KIND: Kind = Kind { platform: "agent-mesh", name: "agents" };

/// The id of the one entity of this kind that a tenant has.
pub const ID: &str = "published";

/// Most agents of a tenant.
pub const AGENTS_MAX: usize = 500;
/// Most versions of one agent.
pub const VERSIONS_MAX: usize = 200;
/// All definitions of a tenant. **Units**: bytes of JSON.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where the agents of a tenant are published.
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
    /// Keep this version, and use it from now on.
    PublishAgent {
        /// What it is.
        agent: Box<Agent>,
        /// The text that it was written in, for people.
        #[serde(default)]
        source: String,
    },
    /// Use this version from now on.
    ActivateAgent {
        /// The agent.
        name: String,
        /// Its version.
        version: u32,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Event {
    /// There is a new version of an agent, and new tasks use it.
    AgentPublished {
        /// Its number, from 1.
        version: u32,
        /// What it is.
        agent: Box<Agent>,
        /// The digest of that.
        digest: Digest,
        /// The text that it was written in.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        source: String,
        /// Who published it.
        by: String,
    },
    /// New tasks use another version.
    AgentActivated {
        /// The agent.
        name: String,
        /// Its version.
        version: u32,
        /// Who said so.
        by: String,
    },
}

/// One published version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// What the agent is.
    pub agent: Arc<Agent>,
    /// The digest of that.
    pub digest: Digest,
    /// The text that it was written in.
    pub source: String,
    /// When it was published.
    pub published_at: Timestamp,
    /// Who published it.
    pub by: String,
}

/// All versions of one agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// The number of the version that new tasks use.
    pub active: u32,
    /// Version 1 first.
    pub versions: Vec<Version>,
}

impl Versions {
    /// A version by its number; the active one for 0.
    pub fn get(&self, version: u32) -> Option<(u32, &Version)> {
        let number = if version == 0 { self.active } else { version };
        Some((number, self.versions.get((number as usize).checked_sub(1)?)?))
    }
}

/// All agents of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Agents {
    /// By name.
    pub agents: BTreeMap<String, Versions>,
    /// Of all definitions. **Units**: bytes of JSON.
    pub bytes: usize,
}

/// What is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A definition that is too large to be kept with every task.
    #[error("the definition of `{name}` has {bytes} bytes as JSON; at most {DEFINITION_BYTES_MAX} are taken")]
    Large {
        /// The agent.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// No room.
    #[error("there is no room for `{name}`: {what}")]
    Full {
        /// The agent.
        name: String,
        /// What is full.
        what: String,
    },
    /// A version that was never published.
    #[error("there is no version {version} of agent `{name}`: `mesh agents describe {name}` shows what there is")]
    Unknown {
        /// The agent.
        name: String,
        /// Its version.
        version: u32,
    },
}

impl Refuse for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Large { .. } => "AGT-0001",
            Self::Full { .. } => "AGT-0002",
            Self::Unknown { .. } => "AGT-0003",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Large { .. } => ErrorKind::InvalidArgument,
            Self::Full { .. } => ErrorKind::ResourceExhausted,
            Self::Unknown { .. } => ErrorKind::NotFound,
        }
    }
}

/// Decides for the agents of all tenants.
#[derive(Debug, Clone, Copy, Default)]
pub struct AgentsDecider;

impl Decider for AgentsDecider {
    type State = Agents;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = KIND;

    fn initial(&self, _: &Address) -> Agents {
        Agents::default()
    }

    fn decide(&self, state: &Agents, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
        let by = cause.principal.answerable().to_owned();
        match command {
            Command::PublishAgent { agent, source } => publish(state, agent, source, by),
            Command::ActivateAgent { name, version } => {
                let versions = state.agents.get(&name);
                match versions.filter(|versions| version > 0 && versions.get(version).is_some()) {
                    None => Err(Error::Unknown { name, version }),
                    Some(versions) if versions.active == version => Ok(Vec::new()),
                    Some(_) => Ok(vec![Event::AgentActivated { name, version, by }]),
                }
            }
        }
    }

    fn evolve(&self, state: &mut Agents, event: Event, recorded: &Recorded<'_>) {
        match event {
            Event::AgentPublished { version, agent, digest, source, by } => {
                state.bytes += length(&agent) + source.len();
                let versions = state.agents.entry(agent.name.clone()).or_default();
                versions.active = version;
                let (agent, published_at) = (Arc::from(agent), recorded.at);
                versions.versions.push(Version { agent, digest, source, published_at, by });
            }
            Event::AgentActivated { name, version, .. } => {
                if let Some(versions) = state.agents.get_mut(&name) {
                    versions.active = version;
                }
            }
        }
    }

    fn view(&self, state: &Agents, _: &str) -> Value {
        serde_json::to_value(state).unwrap_or_default()
    }

    fn size_hint(&self, state: &Agents) -> usize {
        1024 + 2 * state.bytes
    }
}

fn publish(state: &Agents, agent: Box<Agent>, source: String, by: String) -> Result<Vec<Event>, Error> {
    let name = agent.name.clone();
    let digest = agent.digest();
    let nothing = Versions::default();
    let versions = state.agents.get(&name).unwrap_or(&nothing);
    if let Some(at) = versions.versions.iter().position(|version| version.digest == digest) {
        let version = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let is_active = versions.active == version;
        return Ok(if is_active { Vec::new() } else { vec![Event::AgentActivated { name, version, by }] });
    }
    let bytes = length(&agent);
    let full = |what: String| Err(Error::Full { name: name.clone(), what });
    if bytes > DEFINITION_BYTES_MAX || source.len() > 2 * DEFINITION_BYTES_MAX {
        return Err(Error::Large { name, bytes: bytes.max(source.len()) });
    }
    if versions.versions.is_empty() && state.agents.len() >= AGENTS_MAX {
        return full(format!("the tenant has {AGENTS_MAX} agents already"));
    }
    if versions.versions.len() >= VERSIONS_MAX {
        return full(format!("it has {VERSIONS_MAX} versions already; publish it under another name"));
    }
    if state.bytes + bytes + source.len() > BYTES_MAX {
        return full(format!("the tenant's definitions would take more than {BYTES_MAX} bytes"));
    }
    let version = u32::try_from(versions.versions.len() + 1).unwrap_or(u32::MAX);
    Ok(vec![Event::AgentPublished { version, agent, digest, source, by }])
}

fn length(agent: &Agent) -> usize {
    agent.to_json().to_string().len()
}

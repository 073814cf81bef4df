//! Tools of MCP servers: what somebody declares of a server, and what is kept of a tool once it is a skill.

use std::{collections::BTreeMap, time::Duration};

use mesh_kernel::ports::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Accepts, Ceiling, Effect, Permission};

/// How a server is reached. What is secret stands in variables of the node's, and here only by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum McpTransport {
    /// A process of the node's, spoken to over its standard input and output.
    Stdio {
        /// The program: an absolute path.
        command: String,
        /// Its arguments.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        args: Vec<String>,
        /// Its environment: names to texts with one `${NAME}` in each.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, String>,
    },
    /// A server somewhere, spoken to over streamable HTTP.
    Http {
        /// Where it answers.
        url: String,
        /// Headers of each request: names to texts with one `${NAME}` in each.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
    },
}

/// A server, as it is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpServer {
    /// The area of its skills: its tool `get_sum` is `NAME.get-sum`.
    pub name: String,
    /// How it is reached.
    pub transport: McpTransport,
}

/// What a tool is held to. A server's own words about that are hints, and grant nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct McpTerms {
    /// The last part of the skill's name; made of the tool's name when it is not said.
    pub called: Option<String>,
    /// What a second call with the same key does; at-least-once when nobody says.
    pub effect: Option<Effect>,
    /// How long a call may take.
    pub timeout: Option<Duration>,
    /// What it is about.
    pub category: Option<String>,
    /// What it must be allowed to do, beside what its transport needs.
    pub permissions: Option<Vec<Permission>>,
    /// The narrowest content that it may be given.
    pub ceiling: Option<Ceiling>,
    /// What may set off its effects.
    pub accepts: Option<Accepts>,
}

impl McpTerms {
    /// These, and where they say nothing what `others` say.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        Self {
            called: self.called,
            effect: self.effect.or(others.effect),
            timeout: self.timeout.or(others.timeout),
            category: self.category.or_else(|| others.category.clone()),
            permissions: self.permissions.or_else(|| others.permissions.clone()),
            ceiling: self.ceiling.or(others.ceiling),
            accepts: self.accepts.or(others.accepts),
        }
    }
}

/// A server, as somebody registers it: each of its tools becomes a skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpDeclaration {
    /// The server.
    pub server: McpServer,
    /// The version of each skill.
    pub version: String,
    /// What each tool is held to.
    pub defaults: McpTerms,
    /// What single tools are held to, by the tools' own names.
    pub tools: BTreeMap<String, McpTerms>,
    /// The digest that the list of its tools must have; any is taken when it is not said.
    pub pin: Option<String>,
}

/// A tool, as it was when somebody registered it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpTool {
    /// The server that has it.
    pub server: McpServer,
    /// What the server calls itself.
    pub identity: String,
    /// What the server calls it.
    pub name: String,
    /// What the server says of it.
    pub definition: Value,
    /// The digest of the server's identity and of that.
    pub pin: Digest,
    /// The digest of the whole list in which it stood.
    pub list_pin: Digest,
}

//! Who was authenticated, and what their credential may do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a credential may do. An operator belongs to the node, the others to a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the node: tenants, dead letters of all, the actor tree of all.
    Operator,
    /// Owns a tenant: keys, and everything below.
    Admin,
    /// Publishes definitions and blueprints, submits and steers runs.
    Developer,
    /// Decides approvals.
    Approver,
    /// Reads.
    Viewer,
    /// The node itself: reactors, timers, workers. Never given to a credential.
    System,
}

impl Role {
    /// The role's name as a credential and a log spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Approver => "approver",
            Self::Viewer => "viewer",
            Self::System => "system",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role: one of operator, admin, developer, approver, viewer is expected")]
pub struct NoRole(String);

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        Ok(match text {
            "operator" => Self::Operator,
            "admin" => Self::Admin,
            "developer" => Self::Developer,
            "approver" => Self::Approver,
            "viewer" => Self::Viewer,
            "system" => Self::System,
            other => return Err(NoRole(other.chars().take(64).collect())),
        })
    }
}

/// Who was authenticated, and on whose behalf. Set at accept, copied from cause to effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The name that the credential carries, such as `key:ci`.
    pub name: String,
    /// What the credential may do.
    pub roles: Vec<Role>,
    /// The principal whose intent caused this, when the sender acts for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
}

impl Principal {
    /// The node itself, acting for nobody.
    pub fn system(part: &str) -> Self {
        Self { name: format!("system:{part}"), roles: vec![Role::System], on_behalf_of: None }
    }

    /// Whether the credential carries this role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Who is answerable in the end: the one on whose behalf, else the name itself.
    pub fn answerable(&self) -> &str {
        self.on_behalf_of.as_deref().unwrap_or(&self.name)
    }
}

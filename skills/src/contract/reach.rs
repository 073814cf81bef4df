//! How far a skill reaches: servers, files, classified and tainted content, memory, calls at once.

use mesh_kernel::envelope::Classification;
use serde::{Deserialize, Serialize};

use super::{FailureClass, Rate};

/// The narrowest content that a skill may be given; a call whose cause is classified higher is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ceiling {
    /// What anyone may see.
    Public,
    /// What anyone in the tenant may see.
    #[default]
    Internal,
    /// What named roles may see.
    Confidential,
    /// What named persons may see.
    Restricted,
}

impl Ceiling {
    /// Every ceiling, the lowest first.
    pub const ALL: [Self; 4] = [Self::Public, Self::Internal, Self::Confidential, Self::Restricted];

    /// The ceiling as manifests spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
        }
    }

    /// Whether content of this class may be given to a skill with this ceiling.
    pub fn holds(self, content: Classification) -> bool {
        content <= self.into()
    }
}

impl From<Ceiling> for Classification {
    fn from(ceiling: Ceiling) -> Self {
        match ceiling {
            Ceiling::Public => Self::Public,
            Ceiling::Internal => Self::Internal,
            Ceiling::Confidential => Self::Confidential,
            Ceiling::Restricted => Self::Restricted,
        }
    }
}

/// What may set off a skill's effects. A pure skill has none, and takes anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accepts {
    /// Only what nobody outside has written: a call whose cause carries taint is refused.
    #[default]
    Trusted,
    /// Also what came in from outside.
    Tainted,
}

impl Accepts {
    /// Every answer.
    pub const ALL: [Self; 2] = [Self::Trusted, Self::Tainted];

    /// The answer as manifests spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Tainted => "tainted",
        }
    }
}

/// Who has written what a skill gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Returns {
    /// Nobody outside.
    Trusted,
    /// Perhaps somebody outside: a page, a mail, a customer's words. Whoever has read it is tainted.
    Tainted,
}

impl Returns {
    /// Every answer.
    pub const ALL: [Self; 2] = [Self::Trusted, Self::Tainted];

    /// The answer as manifests spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Tainted => "tainted",
        }
    }
}

/// Files that a skill may touch. Declared for people and policies; nothing holds a skill to it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileScope {
    /// Below the tenant's own part of the data folder, or the worker's working folder: `reports/**`.
    pub path: String,
    /// It writes there; otherwise it only reads.
    #[serde(default)]
    pub write: bool,
}

/// A failure that callers can count on by its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureCode {
    /// Stable and greppable, such as `shop.no-stock`.
    pub code: String,
    /// Decides about retrying.
    pub class: FailureClass,
    /// When it comes, in a sentence.
    pub description: String,
}

/// What a skill takes of machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Most memory of a call, for people who place workers; nothing holds a skill to it yet. **Units**: bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<u64>,
    /// Calls of one tenant that a node does at once; the others wait for their turn, within their timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_max: Option<u32>,
    /// How often one tenant may call it on a node; the others wait for their time, within their timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

impl Resources {
    /// Whether nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_holds_what_is_not_narrower() {
        assert!(Ceiling::Internal.holds(Classification::Internal) && Ceiling::Internal.holds(Classification::Public));
        assert!(!Ceiling::Internal.holds(Classification::Confidential));
        assert!(Ceiling::Restricted.holds(Classification::Restricted));
    }
}

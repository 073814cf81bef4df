//! Whose budget it is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest id of a project or run in a level. **Units**: bytes.
const ID_BYTES_MAX: usize = 128;

/// Whose budget it is, in text `tenant`, `project/ID` or `run/ID`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Level {
    /// The tenant's: all calls of all its tasks.
    Tenant,
    /// A project's.
    Project(String),
    /// A run's.
    Run(String),
}

/// A text that names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` has no budget: `tenant`, `project/ID` or `run/ID` is expected")]
pub struct NoLevel(String);

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => f.write_str("tenant"),
            Self::Project(id) => write!(f, "project/{id}"),
            Self::Run(id) => write!(f, "run/{id}"),
        }
    }
}

impl FromStr for Level {
    type Err = NoLevel;

    fn from_str(text: &str) -> Result<Self, NoLevel> {
        let plain = |id: &&str| {
            let letters = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            !id.is_empty() && id.len() <= ID_BYTES_MAX && letters
        };
        let id = |prefix: &str| text.strip_prefix(prefix).filter(plain).map(str::to_owned);
        match text {
            "tenant" => Ok(Self::Tenant),
            _ => id("project/").map(Self::Project).or_else(|| id("run/").map(Self::Run)).ok_or_else(|| {
                // What is shown back has a bound.
                NoLevel(text.chars().take(ID_BYTES_MAX).collect())
            }),
        }
    }
}

impl From<Level> for String {
    fn from(level: Level) -> Self {
        level.to_string()
    }
}

impl TryFrom<String> for Level {
    type Error = NoLevel;

    fn try_from(text: String) -> Result<Self, NoLevel> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_its_text_and_nothing_else_is_one() {
        for text in ["tenant", "project/proj-1", "run/run-7.a"] {
            assert_eq!(text.parse::<Level>().unwrap().to_string(), text);
        }
        for text in ["", "Tenant", "project/", "run/a b", "run/../x", "task/1", &format!("run/{}", "a".repeat(129))] {
            assert!(text.parse::<Level>().is_err(), "{text}");
        }
    }
}

//! What a check has found: in words, with what to do.

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, and something should be looked at.
    Warn,
    /// It does not work, or soon will not.
    Fail,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at: `disk`, `clock`.
    pub check: String,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do; empty when there is nothing to do.
    #[serde(default)]
    pub advice: String,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), state: State::Ok, found: found.into(), advice: String::new() }
    }

    /// Something should be looked at.
    pub fn warn(check: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Warn, advice: advice.into(), ..Self::ok(check, found) }
    }

    /// Something does not work.
    pub fn fail(check: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Fail, advice: advice.into(), ..Self::ok(check, found) }
    }
}

//! What can be set about models: where they are asked, who serves which class, what they cost.
//!
//! A file `models.yaml`, or without one a single endpoint from the environment. Keys stand in the
//! environment alone; the configuration knows the names of variables.

mod read;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use super::{Prices, cassette::SHIPPED_MODEL};
use crate::yaml::Mistake;

/// The class that serves every class without candidates of its own.
pub const DEFAULT_CLASS: &str = "default";

/// Everything that can be set about models.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where models are asked, by name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Who serves a capability class, best first; [`DEFAULT_CLASS`] serves the others.
    pub classes: BTreeMap<String, Vec<Candidate>>,
    /// What models cost.
    pub prices: Prices,
    /// Calls at once in the node; more wait in the performer's queue.
    pub at_once: usize,
    /// Calls at once for one tenant.
    pub at_once_per_tenant: usize,
}

/// A text of the file, or of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// This one.
    Given(String),
    /// The content of this environment variable.
    From(String),
}

/// Where models are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The base, such as `https://host/v1`; `/chat/completions` is added.
    pub url: Text,
    /// The environment variable that holds the key.
    pub key_from: Option<String>,
    /// Headers of every request. No secrets: those have [`Endpoint::key_from`].
    pub headers: BTreeMap<String, String>,
    /// Requests at once. Default 64.
    pub concurrent: usize,
    /// Requests in a minute; no bound when absent.
    pub requests_per_minute: Option<u64>,
    /// Tokens in a minute, estimated before and corrected after a call; no bound when absent.
    pub tokens_per_minute: Option<u64>,
    /// How long a call may take.
    pub timeouts: Timeouts,
    /// Whether answers are asked for piece by piece. Default true.
    pub stream: bool,
    /// The member of the request that carries the bound on tokens. Default `max_tokens`.
    pub max_tokens_as: String,
}

/// How long the parts of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To a connection. Default 5 s.
    pub connect: Duration,
    /// From sending to the first piece. Default 60 s; a call without stream has `total` alone.
    pub first_token: Duration,
    /// Between two pieces. Default 30 s.
    pub idle: Duration,
    /// To the end. Default 10 min.
    pub total: Duration,
}

/// A model at an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The endpoint's name.
    pub endpoint: String,
    /// The model, as the endpoint spells it.
    pub model: Text,
    /// Further members of every request to it; what a request says itself goes before.
    pub extra: Map<String, Value>,
}

impl Config {
    /// Reads the text of a `models.yaml`; `file` is its name in mistakes.
    ///
    /// # Errors
    /// Every mistake with its place, in the order of the text.
    pub fn read(text: &str, file: &str) -> Result<Self, Vec<Mistake>> {
        read::config(text).map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.in_file(file)).collect())
    }

    /// The candidates of a class, best first; none when neither it nor [`DEFAULT_CLASS`] is set.
    pub fn candidates(&self, class: &str) -> &[Candidate] {
        self.classes.get(class).or_else(|| self.classes.get(DEFAULT_CLASS)).map_or(&[], Vec::as_slice)
    }
}

/// One endpoint for all classes: `OPENAI_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_MODEL`.
impl Default for Config {
    fn default() -> Self {
        let endpoint = Endpoint {
            url: Text::From("OPENAI_BASE_URL".into()),
            key_from: Some("OPENAI_API_KEY".into()),
            ..Endpoint::default()
        };
        let candidate =
            Candidate { endpoint: DEFAULT_CLASS.into(), model: Text::From("OPENAI_MODEL".into()), extra: Map::new() };
        Self {
            endpoints: BTreeMap::from([(DEFAULT_CLASS.into(), endpoint)]),
            classes: BTreeMap::from([(DEFAULT_CLASS.into(), vec![candidate])]),
            ..Self::nothing()
        }
    }
}

impl Config {
    /// One model for all classes, whose answers come from the cassette that comes with the program.
    pub fn shipped() -> Self {
        let mut config = Self::default();
        for candidate in config.classes.values_mut().flatten() {
            candidate.model = Text::Given(SHIPPED_MODEL.into());
        }
        config
    }

    fn nothing() -> Self {
        Self {
            endpoints: BTreeMap::new(),
            classes: BTreeMap::new(),
            prices: Prices::default(),
            at_once: 16_384,
            at_once_per_tenant: 16_384,
        }
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            url: Text::Given(String::new()),
            key_from: None,
            headers: BTreeMap::new(),
            concurrent: 64,
            requests_per_minute: None,
            tokens_per_minute: None,
            timeouts: Timeouts::default(),
            stream: true,
            max_tokens_as: "max_tokens".into(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(600),
        }
    }
}

#[cfg(test)]
mod tests;

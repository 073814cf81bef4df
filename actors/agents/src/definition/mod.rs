//! What an agent is.
//!
//! A definition is written in YAML or JSON, checked against a JSON Schema that stands beside this file, and
//! kept as canonical JSON. A published version never changes.
//!
//! Never here: tasks, models, who may do what.

mod read;

pub use read::{mistakes, no_schema, parse, schema};

use std::time::Duration;

use mesh_kernel::ports::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use mesh_skills::yaml::{parse_duration, show_duration};

/// Largest definition, as JSON: every task keeps it. **Units**: bytes.
pub const DEFINITION_BYTES_MAX: usize = 64 * 1024;

/// What an agent is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Agent {
    /// Its name: lower-case letters, digits and `-`.
    pub name: String,
    /// What people see.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What it is for, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The group that it belongs to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Which models answer, and how.
    #[serde(default)]
    pub model: Model,
    /// What it is told before anything else.
    pub instructions: String,
    /// JSON Schema of what it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// JSON Schema of what it gives. Without one it gives `{"text": …}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What it may call, and nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<Binding>,
    /// Agents that it may give a part of its task, and nobody else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<Helper>,
    /// Skills that look at what it gives, in this order; one that fails has it corrected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// How much of everything a task may take.
    #[serde(default)]
    pub limits: Limits,
    /// How much a task may cost.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// What happens when it did not come to an end by itself.
    #[serde(default)]
    pub exhausted: Exhausted,
    /// What keeps texts from outside from setting off what it may do.
    #[serde(default, skip_serializing_if = "Guard::is_default")]
    pub guard: Guard,
}

/// Which models answer, and how. A bare text is the class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// The capability class, which the node's configuration maps to models.
    pub class: String,
    /// Longest answer. **Units**: tokens.
    pub max_tokens: u32,
    /// How freely it answers; the model's own when it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
}

impl Default for Model {
    fn default() -> Self {
        Self { class: "default".to_owned(), max_tokens: 4096, temperature: None }
    }
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Long {
            class: String,
            max_tokens: u32,
            temperature: Option<f64>,
        }
        impl Default for Long {
            fn default() -> Self {
                let Model { class, max_tokens, temperature } = Model::default();
                Self { class, max_tokens, temperature }
            }
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Short(String),
            Long(Long),
        }
        Ok(match Either::deserialize(from)? {
            Either::Short(class) => Self { class, ..Self::default() },
            Either::Long(Long { class, max_tokens, temperature }) => Self { class, max_tokens, temperature },
        })
    }
}

/// A skill that an agent may call. A bare text is its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// The skill.
    pub skill: String,
    /// The range of versions: resolved when a task begins, and then kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl<'de> Deserialize<'de> for Binding {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Long {
            skill: String,
            version: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Short(String),
            Long(Long),
        }
        Ok(match Either::deserialize(from)? {
            Either::Short(skill) => Self { skill, version: None },
            Either::Long(Long { skill, version }) => Self { skill, version },
        })
    }
}

/// An agent that another one may give a part of its task. A bare text is its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Helper {
    /// The agent.
    pub agent: String,
    /// Its version; the active one when a task begins, when it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

impl<'de> Deserialize<'de> for Helper {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Long {
            agent: String,
            version: Option<u32>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Short(String),
            Long(Long),
        }
        Ok(match Either::deserialize(from)? {
            Either::Short(agent) => Self { agent, version: None },
            Either::Long(Long { agent, version }) => Self { agent, version },
        })
    }
}

/// A skill that looks at what an agent gives: it is called with `with`, and beside that with `output` and `input`.
///
/// A failure of class validation, or an output `{"passed": false, "message": …}`, has the agent correct itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Check {
    /// The skill.
    pub skill: String,
    /// What it is called with beside the agent's output and input.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
}

/// How much of everything a task may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Answers of a model.
    pub turns: u32,
    /// Calls of skills.
    pub tool_calls: u32,
    /// Corrections of what it gives.
    pub corrections: u32,
    /// Attempts to get one answer.
    pub attempts: u32,
    /// From its assignment to its end; not while it waits for a person.
    #[serde(serialize_with = "write_duration", deserialize_with = "read_duration")]
    pub duration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { turns: 20, tool_calls: 50, corrections: 2, attempts: 5, duration: Duration::from_secs(30 * 60) }
    }
}

/// How much a task may cost; what is not said has no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Budget {
    /// **Units**: tokens, of input and output together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// **Units**: millionths of the currency of the price table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
}

impl Budget {
    /// Whether it bounds nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens to a task that did not come to an end by itself: its corrections or its turns are used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exhausted {
    /// It waits for a person, who helps it on, does it themselves, or ends it.
    #[default]
    Escalate,
    /// It fails.
    Fail,
}

/// What keeps texts from outside from setting off what an agent may do.
///
/// A task that has read what may have been written outside is tainted until its end: a model does what it reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Guard {
    /// Who has written what it is given.
    pub input: Origin,
    /// What becomes of a call, in a tainted task, whose effects accept only what is trusted.
    pub calls: Careful,
}

impl Guard {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Who has written something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody outside.
    #[default]
    Trusted,
    /// Perhaps somebody outside.
    Tainted,
}

/// What becomes of a call that a text from outside may have set off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Careful {
    /// It is refused, and the model is told why.
    #[default]
    Refuse,
    /// A person is asked, and shown what was read.
    Ask,
}

impl Agent {
    /// The definition as JSON with sorted keys: what its digest is of.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What names this version.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_json().to_string().as_bytes())
    }
}

/// The name under which a model is told of a skill: models take letters, digits, `_` and `-` alone.
pub fn tool_name(skill: &str) -> String {
    skill.replace('.', "_")
}

fn write_duration<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&show_duration(*duration))
}

fn read_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no duration: write `30s` or `5m`")))
}

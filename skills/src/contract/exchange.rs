//! What an entity and the performer of skills say to each other: the request and its outcome.
//!
//! Both are JSON inside payloads, so an old journal's requests can be read by a newer node: fields
//! are only ever added, with a default.

use mesh_kernel::envelope::{IdempotencyKey, Payload};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Failure;
use crate::logs::LogRef;

/// The handler name under which entities ask for skills.
pub const HANDLER: &str = "skill";

/// The command by which the outcome comes back: `RecordOutcome(SkillOutcome)`.
pub const OUTCOME_COMMAND: &str = "RecordOutcome";

/// `EffectRequest.input` of handler [`HANDLER`], as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkillCall {
    /// The skill's name.
    pub skill: String,
    /// Its version, when whoever asks has chosen one; what a new call uses when not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it is called with; may hold content references `{"$ref", "bytes"}` at any depth.
    #[serde(default)]
    pub input: Value,
    /// The run that asks; empty when another kind of entity does.
    #[serde(default)]
    pub run: String,
    /// The step that asks.
    #[serde(default)]
    pub step: String,
    /// Which item of a for-each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Counts the step's attempts, from 1.
    #[serde(default = "first")]
    pub attempt: u32,
    /// What the skill shows the outside world: the same for every attempt at the same work, so that a
    /// receiver tells a retry after an unclear failure from a second order. The request's own key,
    /// which has the attempt in it, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// Comes back unchanged with the outcome.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub echo: Value,
    /// Whoever asks tries again when the skill cannot be called: its attempts, the last one too, wait for a breaker that
    /// is open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// What from outside was read by whoever decided on this call, such as `skill:web.fetch`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taint: Vec<String>,
}

fn first() -> u32 {
    1
}

/// What came of a call; the content of the command [`OUTCOME_COMMAND`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkillOutcome {
    /// What the request gave to be echoed.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub echo: Value,
    /// The request's key.
    pub key: IdempotencyKey,
    /// The request's attempt: a late outcome of an older one is refused.
    pub attempt: u32,
    /// The output or the failure.
    pub result: SkillResult,
    /// How much it logged.
    #[serde(default)]
    pub log: LogRef,
    /// The skill gives what may have been written outside.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tainted: bool,
}

/// The output or the failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SkillResult {
    /// It did what it was asked.
    Ok {
        /// The output; large parts of it stand in the content store as `{"$ref", "bytes"}`.
        output: Value,
    },
    /// It did not.
    Failed {
        /// Why.
        failure: Failure,
    },
}

impl SkillOutcome {
    /// The command that tells the entity.
    pub fn into_command(self) -> Payload {
        Payload {
            name: OUTCOME_COMMAND.into(),
            schema_version: 1,
            bytes: serde_json::to_vec(&self).unwrap_or_default().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_kernel::entity::decode_tagged;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    enum Command {
        RecordOutcome(SkillOutcome),
    }

    #[test]
    fn an_outcome_arrives_as_the_command_of_the_entity() {
        let outcome = SkillOutcome {
            echo: json!({"epoch": 3}),
            key: IdempotencyKey::parse("run-1.build.1").unwrap(),
            attempt: 1,
            result: SkillResult::Failed { failure: Failure::timeout("x", "too slow") },
            log: LogRef { lines: 2, bytes: 40, truncated: false },
            tainted: true,
        };
        let payload = outcome.clone().into_command();
        let command: Command = decode_tagged(&payload.name, &payload.bytes).unwrap();
        assert_eq!(command, Command::RecordOutcome(outcome));
    }

    #[test]
    fn a_request_needs_no_more_than_the_skill() {
        let call: SkillCall = serde_json::from_value(json!({"skill": "text.echo"})).unwrap();
        assert_eq!((call.attempt, call.item, call.input.is_null()), (1, None, true));
    }
}

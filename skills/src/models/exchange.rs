//! What an entity and the performer of model calls say to each other: the call and its outcome.
//!
//! Both are JSON inside payloads, so an old journal's calls can be read by a newer node: fields are
//! only ever added, with a default.

use mesh_kernel::envelope::{IdempotencyKey, Payload};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Fault, MicroUnits, chat};
use crate::contract::Failure;

/// The handler name under which entities ask for models.
pub const HANDLER: &str = "model";

/// The command by which the outcome comes back: `RecordModelOutcome(ModelOutcome)`.
pub const OUTCOME_COMMAND: &str = "RecordModelOutcome";

/// `EffectRequest.input` of handler [`HANDLER`], as JSON: one attempt at one candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelCall {
    /// The capability class that is wanted, such as `reasoning`; the configuration says who has it.
    pub class: String,
    /// Which of the class's candidates, from 0; falling back is asking the next.
    #[serde(default)]
    pub candidate: u32,
    /// What is asked.
    pub request: chat::Request,
    /// The step that asks, `task/turn/kind/ordinal`: the same for every attempt at it.
    #[serde(default)]
    pub step_id: String,
    /// This attempt, journaled before it is sent; no two attempts share one.
    #[serde(default)]
    pub attempt_id: String,
    /// Counts the step's attempts, from 1.
    #[serde(default = "first")]
    pub attempt: u32,
    /// The run for which it is asked, whose budget it counts for; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// The project for which it is asked; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// Comes back unchanged with the outcome.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub echo: Value,
}

fn first() -> u32 {
    1
}

/// What came of a call; the content of the command [`OUTCOME_COMMAND`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelOutcome {
    /// What the call gave to be echoed.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub echo: Value,
    /// The request's key.
    pub key: IdempotencyKey,
    /// The request's attempt: a late outcome of an older one is refused.
    pub attempt: u32,
    /// The answer, the fault, or neither.
    pub result: ModelResult,
}

/// The answer, the fault, or neither.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ModelResult {
    /// A whole answer came.
    Answered {
        /// The answer.
        answer: chat::Answer,
        /// Who gave it.
        by: By,
        /// What it cost by the table that `by` names.
        cost: MicroUnits,
        /// From sending to the end.
        took_ms: u64,
        /// From sending to the first piece of the answer; absent when it came in one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_token_ms: Option<u64>,
    },
    /// None came, or one that cannot be used.
    Failed {
        /// Why, in words, with the delay that the other side asked for.
        failure: Failure,
        /// Which of the known ways.
        fault: Fault,
        /// How many candidates the class has: whether there is another to fall back to.
        #[serde(default)]
        candidates: u32,
        /// What had been received and is paid for all the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<chat::Usage>,
    },
    /// An earlier life may have sent it, and nobody knows what came of it: nothing is sent.
    Unknown {},
    /// A budget above the task has not enough left: nothing is sent.
    Withheld {
        /// Which budget, and what is missing.
        message: String,
        /// The task ends with it; else it waits for a person.
        #[serde(default)]
        stops: bool,
    },
}

/// Who answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct By {
    /// The endpoint's name in the configuration.
    pub endpoint: String,
    /// The model that was asked for.
    pub model: String,
    /// The version of the price table; empty when it has no price for the model, which then costs 0.
    #[serde(default)]
    pub prices: String,
}

impl ModelOutcome {
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
    use std::time::Duration;

    use mesh_kernel::entity::decode_tagged;
    use serde_json::json;

    use super::*;
    use crate::models::chat::{Answer, Finish, Said, Usage};

    #[derive(Debug, PartialEq, Deserialize)]
    enum Command {
        RecordModelOutcome(ModelOutcome),
    }

    fn answered() -> ModelResult {
        let answer = Answer {
            said: Said { text: "hello".into(), ..Said::default() },
            finish: Finish::Stop,
            usage: Usage { input_tokens: 3, output_tokens: 1, ..Usage::default() },
            id: Some("chatcmpl-1".into()),
            model: None,
        };
        let by = By { endpoint: "local".into(), model: "small".into(), prices: "2026-11".into() };
        ModelResult::Answered { answer, by, cost: MicroUnits(7), took_ms: 12, first_token_ms: Some(4) }
    }

    fn failed() -> ModelResult {
        ModelResult::Failed {
            failure: Failure::external("model.rate-limited", "later").after(Duration::from_secs(2)),
            fault: Fault::RateLimited,
            candidates: 2,
            lost: Some(Usage { estimated: true, ..Usage::default() }),
        }
    }

    #[test]
    fn an_outcome_arrives_as_the_command_of_the_entity() {
        for result in [answered(), failed(), ModelResult::Unknown {}] {
            let outcome = ModelOutcome {
                echo: json!({"epoch": 3}),
                key: IdempotencyKey::parse("task-1.turn-1.model").unwrap(),
                attempt: 1,
                result,
            };
            let payload = outcome.clone().into_command();
            let command: Command = decode_tagged(&payload.name, &payload.bytes).unwrap();
            assert_eq!(command, Command::RecordModelOutcome(outcome));
        }
    }

    #[test]
    fn results_are_told_apart_by_one_word() {
        let text = |result| serde_json::to_value::<ModelResult>(result).unwrap();
        assert_eq!(text(ModelResult::Unknown {}), json!({"unknown": {}}));
        assert_eq!(text(answered())["answered"]["tookMs"], 12);
        assert_eq!(text(answered())["answered"]["cost"], 7);
        assert_eq!(text(failed())["failed"]["fault"], "rate-limited");
    }

    #[test]
    fn a_call_needs_no_more_than_a_class_and_a_request() {
        let call: ModelCall =
            serde_json::from_value(json!({"class": "reasoning", "request": {"messages": [], "maxTokens": 9}})).unwrap();
        assert_eq!((call.candidate, call.attempt, call.echo.is_null()), (0, 1, true));
    }
}

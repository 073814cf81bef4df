//! What a model said: tools to be called, or what the agent gives.

use std::sync::Arc;

use mesh_skills::{
    contract::{Failure, FailureClass, SkillOutcome, SkillResult},
    models::chat::{Answer, Finish},
};
use serde_json::{Value, json};

use super::{
    super::{
        messages::{Event, Why},
        state::{Checked, Work},
        wants::check_input,
    },
    Deciding, Error,
};
use crate::definition::mistakes;

/// How often a check that itself fails is made.
const CHECK_ATTEMPTS: u32 = 3;

impl Deciding<'_> {
    /// Goes on from an answer that was recorded.
    pub(super) fn answered(&mut self, answer: &Answer) {
        if !answer.said.tool_calls.is_empty() {
            self.call_tools(answer);
            return;
        }
        if !self.task.notes.is_empty() {
            // Somebody told it something meanwhile: what it gives is not its last word.
            self.go_on();
            return;
        }
        let wrong = match (&answer.said.refusal, &answer.finish) {
            (Some(refusal), _) => Some(format!("you refused: {refusal}")),
            (None, Finish::Length) => {
                Some("your answer was cut, since it was longer than it may be: be briefer".to_owned())
            }
            (None, Finish::ContentFilter) => Some("the provider's filter ended your answer".to_owned()),
            _ => None,
        };
        match wrong {
            Some(mistakes) => self.invalid("answer", mistakes),
            None => self.gives(&answer.said.text),
        }
    }

    /// Validates what it gives: the schema first, then the checks.
    fn gives(&mut self, text: &str) {
        let Some(context) = self.context() else { return };
        let output = match &context.agent.output {
            None => json!({ "text": text }),
            Some(schema) => match read(text) {
                Err(mistakes) => return self.invalid("schema", mistakes),
                Ok(output) => match mistakes(schema, &output) {
                    Some(mistakes) => return self.invalid("schema", mistakes),
                    None => output,
                },
            },
        };
        self.check(0, Arc::new(output));
    }

    /// Has the next check made; completes the task after the last one.
    fn check(&mut self, check: u32, output: Arc<Value>) {
        let Some(context) = self.context() else { return };
        let Some(next) = context.agent.checks.get(check as usize) else {
            self.emit(Event::ValidationPassed {});
            self.complete(output);
            return;
        };
        let input = self.task.head.as_ref().map(|head| head.assigned.input.clone()).unwrap_or_default();
        let input = Arc::new(check_input(&next.with, &output, &input));
        self.emit(Event::CheckRequested { check, number: self.task.checks + 1, input });
    }

    pub(super) fn complete(&mut self, output: Arc<Value>) {
        let (spent, parent, taint) = (self.task.spent, self.parent(), self.taint());
        self.emit(Event::AgentTaskCompleted { output, spent, parent, taint });
    }

    pub(super) fn record_check(&mut self, number: u32, outcome: SkillOutcome) -> Result<(), Error> {
        let checked = match &self.task.work {
            Work::Check(checked) if checked.number == number && checked.attempt == outcome.attempt => checked.clone(),
            _ => return Err(Self::late(&outcome.key)),
        };
        let context = self.context();
        let check = context.as_ref().and_then(|context| context.agent.checks.get(checked.check as usize));
        let skill = check.map(|check| check.skill.clone()).unwrap_or_default();
        match outcome.result {
            SkillResult::Ok { output } if output.get("passed") == Some(&Value::Bool(false)) => {
                let message = output.get("message").and_then(Value::as_str).unwrap_or("it did not pass");
                self.invalid(&skill, message.to_owned());
            }
            SkillResult::Ok { .. } => self.check(checked.check + 1, checked.output),
            SkillResult::Failed { failure } if failure.class == FailureClass::Validation => {
                self.invalid(&skill, failure.message);
            }
            SkillResult::Failed { failure } => self.check_failed(&checked, failure),
        }
        Ok(())
    }

    /// The check itself failed: that says nothing about what it looked at.
    fn check_failed(&mut self, checked: &Checked, failure: Failure) {
        if checked.attempt >= CHECK_ATTEMPTS {
            self.fail(failure);
            return;
        }
        let retry_at = self.backoff(checked.attempt, &failure);
        let (check, number, failure) = (checked.check, checked.number, Arc::new(failure));
        self.emit(Event::CheckAttemptFailed { check, number, failure, retry_at });
    }

    /// The next attempt of a check is due.
    pub(super) fn check_again(&mut self) {
        if let Work::Check(Checked { check, number, attempt, .. }) = self.task.work {
            self.emit(Event::CheckAttemptStarted { check, number, attempt });
        }
    }

    /// What it gives is not good: it is told what is wrong, as often as it may be.
    fn invalid(&mut self, rule: &str, mistakes: String) {
        let Some(context) = self.context() else { return };
        self.emit(Event::ValidationFailed { rule: rule.to_owned(), mistakes: mistakes.clone() });
        let number = self.task.corrections + 1;
        if number > self.task.before.saturating_add(context.agent.limits.corrections) {
            let message = format!("what it gives is still not good after {} corrections: {mistakes}", number - 1);
            self.exhausted(Why::Corrections, message);
            return;
        }
        let message = match rule {
            "schema" => format!("Your answer does not fit the schema: {mistakes}. Give the whole answer again."),
            "answer" => format!("That cannot be used: {mistakes}. Give the whole answer again."),
            skill => format!("`{skill}` looked at your answer and says: {mistakes}\nGive the whole answer again."),
        };
        self.emit(Event::CorrectionAttempted { number, message });
        self.go_on();
    }
}

/// The JSON of an answer. One fence around it is no mistake, for many models cannot do without.
fn read(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inner = inner.map(|inner| inner.strip_prefix("json").unwrap_or(inner)).unwrap_or(text);
    serde_json::from_str(inner.trim()).map_err(|error| format!("it is not one JSON value and nothing else: {error}"))
}

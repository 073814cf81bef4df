//! Scripts: which answer a conversation gets.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answers for a model, in the order of the turns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Script {
    /// The model that answers so; every model without a script of its own when empty.
    pub model: String,
    /// A text that stands in the conversation's first messages; any conversation when empty.
    pub when: String,
    /// The first for a conversation without assistant messages, the second for one with one, ….
    pub answers: Vec<Answer>,
}

/// One answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Answer {
    /// What the model says.
    pub text: String,
    /// What it thinks, as `reasoning_content`.
    pub reasoning: String,
    /// The tools that it calls.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stops; by what it did when empty.
    pub finish: String,
    /// In how many pieces text and arguments are streamed. Default 1.
    pub pieces: usize,
    /// Pause before the first piece and between two. **Units**: milliseconds.
    pub delay_ms: u64,
    /// Tokens of input and output that it tells; counted from the text when absent.
    pub usage: Option<(u64, u64)>,
    /// What the first requests for this answer get instead, one after the other: names of
    /// [`crate::FAULTS`]. Counted for each idempotency key.
    pub faults: Vec<String>,
}

/// A tool call of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ToolCall {
    /// The provider's id; made from its place when empty.
    pub id: String,
    /// The tool.
    pub name: String,
    /// What it is called with; a text is sent as it is.
    pub arguments: Value,
}

/// What a request gets.
pub(crate) enum Turn {
    Answer(Answer),
    Fault(String),
}

#[derive(Default)]
pub(crate) struct Scripts {
    all: Vec<Script>,
    /// Requests so far, by idempotency key and turn.
    asked: HashMap<(String, usize), usize>,
}

impl Scripts {
    pub(crate) fn set(&mut self, script: Script) {
        self.all.retain(|known| (&known.model, &known.when) != (&script.model, &script.when));
        self.all.push(script);
    }

    pub(crate) fn answer(&mut self, request: &Value, model: &str, key: &str) -> Result<Turn, String> {
        let script = self.find(request, model);
        let script = script.ok_or_else(|| format!("there is no script for the model `{model}`"))?;
        let turn = turns(request);
        let answer = script.answers.get(turn).ok_or_else(|| {
            format!(
                "the script of `{model}` has {} answers, and turn {turn} (from 0) is asked for",
                script.answers.len()
            )
        })?;
        let answer = answer.clone();
        let asked = self.asked.entry((key.to_owned(), turn)).or_default();
        *asked += 1;
        match answer.faults.get(*asked - 1) {
            Some(fault) => Ok(Turn::Fault(fault.clone())),
            None => Ok(Turn::Answer(answer)),
        }
    }
}

impl Scripts {
    /// The one that says most of whom it answers: its words first, then its model.
    fn find(&self, request: &Value, model: &str) -> Option<&Script> {
        let asked = opening(request);
        let fits = |script: &&Script| {
            (script.model.is_empty() || script.model == model) && asked.contains(script.when.as_str())
        };
        self.all.iter().filter(fits).max_by_key(|script| (!script.when.is_empty(), !script.model.is_empty()))
    }
}

/// What is said before the first answer.
fn opening(request: &Value) -> String {
    let messages = request.get("messages").and_then(Value::as_array).into_iter().flatten();
    let role = |message: &&Value| message.get("role").and_then(Value::as_str) != Some("assistant");
    let texts = messages.take_while(role).filter_map(|message| message.get("content")?.as_str());
    texts.collect::<Vec<_>>().join("\n")
}

fn turns(request: &Value) -> usize {
    let messages = request.get("messages").and_then(Value::as_array);
    let said = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("assistant");
    messages.map_or(0, |messages| messages.iter().filter(said).count())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_script_for_certain_words_goes_before_one_for_any() {
        let script = |model: &str, when: &str, text: &str| Script {
            model: model.to_owned(),
            when: when.to_owned(),
            answers: vec![Answer { text: text.to_owned(), ..Answer::default() }],
        };
        let mut scripts = Scripts::default();
        for one in
            [script("", "", "any"), script("m", "", "model"), script("", "a rule", "rule"), script("", "", "new")]
        {
            scripts.set(one);
        }
        for (model, said, expected) in
            [("x", "hello", "new"), ("m", "hello", "model"), ("m", "write a rule", "rule"), ("x", "a rule", "rule")]
        {
            let request = json!({"messages": [{"role": "user", "content": said}]});
            let Ok(Turn::Answer(answer)) = scripts.answer(&request, model, "") else { panic!("{model}: {said}") };
            assert_eq!(answer.text, expected, "{model}: {said}");
        }
    }
}

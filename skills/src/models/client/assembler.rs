//! From what an endpoint sends, in one piece or in many, to one answer.
//!
//! "OpenAI-compatible" means many things: every member may be missing, null or of another type. The
//! rules here take what can be told apart without guessing; an answer counts when its end was said.

use serde_json::{Map, Value};

use super::refused;
use crate::models::{
    Fault,
    chat::{Answer, Arguments, Finish, Said, ToolCall, Usage},
    trouble::Trouble,
};

/// Folds what comes into an answer.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// Of the request, by our estimate: for endpoints that tell no figures.
    input_estimate: u64,
    text: String,
    refusal: String,
    extra: Map<String, Value>,
    calls: Vec<Partial>,
    finish: Option<Finish>,
    usage: Option<Value>,
    id: Option<String>,
    model: Option<String>,
    /// Bytes of all that the model wrote.
    written: u64,
}

/// A tool call of which more may come.
#[derive(Debug, Default)]
struct Partial {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    object: Option<Value>,
}

impl Assembler {
    pub(super) fn new(input_estimate: u64) -> Self {
        Self { input_estimate, ..Self::default() }
    }

    /// Takes a whole answer, which is at its end because it is a whole JSON value.
    pub(super) fn whole(&mut self, value: &Value) -> Result<(), Trouble> {
        self.take(value, "message")?;
        if value.get("choices").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            return Err(Trouble::new(Fault::EmptyAnswer, "the answer has no `choices`"));
        }
        self.finish.get_or_insert(Finish::Other(String::new()));
        Ok(())
    }

    /// Takes a piece of a stream and says which text it brought.
    pub(super) fn chunk(&mut self, value: &Value) -> Result<&str, Trouble> {
        let before = self.text.len();
        self.take(value, "delta")?;
        Ok(self.text.get(before..).unwrap_or_default())
    }

    /// Whether the model said that it was at its end.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// What was used up to now.
    pub(super) fn usage(&self) -> Usage {
        usage(self.usage.as_ref(), self.input_estimate, self.written.div_ceil(4))
    }

    /// The answer.
    pub(super) fn answer(self) -> Result<Answer, Trouble> {
        let usage = self.usage();
        let Some(finish) = self.finish else {
            let message = "the answer ended without a finish reason: its rest was lost on the way";
            return Err(Trouble::new(Fault::EndedEarly, message).losing(usage));
        };
        let said = Said {
            text: self.text,
            refusal: (!self.refusal.is_empty()).then_some(self.refusal),
            tool_calls: self.calls.into_iter().enumerate().map(|(place, call)| call.whole(place)).collect(),
            extra: self.extra,
        };
        let is_empty = said.text.trim().is_empty() && said.tool_calls.is_empty() && said.refusal.is_none();
        if is_empty && !matches!(finish, Finish::Length | Finish::ContentFilter) {
            let message = "the answer has neither text nor tool call nor refusal";
            return Err(Trouble::new(Fault::EmptyAnswer, message).losing(usage));
        }
        Ok(Answer { said, finish, usage, id: self.id, model: self.model })
    }

    fn take(&mut self, value: &Value, member: &str) -> Result<(), Trouble> {
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            return Err(refused::in_body(error).losing(self.usage()));
        }
        if let Some(usage) = value.get("usage").filter(|usage| usage.as_object().is_some_and(|usage| !usage.is_empty()))
        {
            self.usage = Some(usage.clone());
        }
        keep_first(&mut self.id, value.get("id"));
        keep_first(&mut self.model, value.get("model"));
        let Some(choice) = first_choice(value) else { return Ok(()) };
        if let Some(said) = choice.get(member).and_then(Value::as_object) {
            self.said(said);
        }
        if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str).and_then(Finish::parse) {
            self.finish = Some(finish);
        }
        Ok(())
    }

    fn said(&mut self, said: &Map<String, Value>) {
        for (member, value) in said {
            match member.as_str() {
                "content" => {
                    let before = self.text.len();
                    push_content(&mut self.text, value);
                    self.count(self.text.len() - before);
                }
                "refusal" => {
                    let text = value.as_str().unwrap_or_default();
                    self.refusal.push_str(text);
                    self.count(text.len());
                }
                "tool_calls" => {
                    let calls = value.as_array().map_or(&[][..], Vec::as_slice);
                    calls.iter().for_each(|call| self.tool_call(call));
                }
                "function_call" if value.is_object() => self.tool_call(&serde_json::json!({"function": value})),
                // What must be sent back with the message; the rest of what endpoints add is refused
                // by others when they see it.
                _ if goes_back(member) => {
                    self.count(value.as_str().map_or(0, str::len));
                    merge(self.extra.entry(member.clone()).or_insert(Value::Null), value);
                }
                _ => {}
            }
        }
    }

    fn tool_call(&mut self, delta: &Value) {
        let function = delta.get("function").unwrap_or(delta);
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, name) = (text(delta, "id"), text(function, "name"));
        let place = self.place(delta.get("index").and_then(Value::as_u64), &id, &name);
        let arguments = function.get("arguments").unwrap_or(&Value::Null);
        self.count(name.len() + arguments.as_str().map_or(0, str::len));
        let Some(call) = self.calls.get_mut(place) else { return };
        if call.id.is_empty() {
            call.id = id;
        }
        // Some repeat the name with every piece.
        if call.name != name {
            call.name.push_str(&name);
        }
        match arguments {
            Value::String(piece) => call.arguments.push_str(piece),
            Value::Null => {}
            other => call.object = Some(other.clone()),
        }
    }

    /// Which call a piece belongs to: by its index, else by its id, else the last. Another id on the
    /// same index is another call.
    fn place(&mut self, index: Option<u64>, id: &str, name: &str) -> usize {
        let found = match (index, id) {
            (Some(_), "") => self.calls.iter().rposition(|call| call.index == index),
            (Some(_), id) => {
                let at = |call: &Partial| call.index == index && (call.id == id || call.id.is_empty());
                self.calls.iter().rposition(at)
            }
            (None, "") => {
                let goes_on = |call: &Partial| name.is_empty() || !call.is_complete();
                self.calls.len().checked_sub(1).filter(|last| self.calls.get(*last).is_some_and(goes_on))
            }
            (None, id) => self.calls.iter().rposition(|call| call.id == id),
        };
        found.unwrap_or_else(|| {
            self.calls.push(Partial { index, ..Partial::default() });
            self.calls.len() - 1
        })
    }

    fn count(&mut self, bytes: usize) {
        self.written += u64::try_from(bytes).unwrap_or(u64::MAX);
    }
}

impl Partial {
    /// Whether a further name can only be another call's.
    fn is_complete(&self) -> bool {
        self.object.is_some() || serde_json::from_str::<Map<String, Value>>(&self.arguments).is_ok()
    }

    fn whole(self, place: usize) -> ToolCall {
        let arguments = match self.object {
            Some(object @ Value::Object(_)) => Arguments::Object(object),
            Some(other) => Arguments::Unreadable(other.to_string()),
            None => Arguments::parse(&self.arguments),
        };
        let id = if self.id.is_empty() { format!("call-{place}") } else { self.id };
        ToolCall { id, name: self.name, arguments }
    }
}

fn first_choice(value: &Value) -> Option<&Value> {
    let choices = value.get("choices")?.as_array()?;
    choices.iter().find(|choice| choice.get("index").and_then(Value::as_u64).is_none_or(|index| index == 0))
}

fn keep_first(into: &mut Option<String>, value: Option<&Value>) {
    if into.is_none() {
        *into = value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    }
}

fn push_content(text: &mut String, content: &Value) {
    match content {
        Value::String(piece) => text.push_str(piece),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).for_each(|piece| text.push_str(piece));
        }
        _ => {}
    }
}

fn goes_back(member: &str) -> bool {
    member.starts_with("reasoning") || member.starts_with("thinking") || member == "extra_content"
}

fn merge(into: &mut Value, piece: &Value) {
    match (into, piece) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) => text.push_str(more),
        (Value::Array(items), Value::Array(more)) => items.extend(more.iter().cloned()),
        (into, piece) => *into = piece.clone(),
    }
}

/// The endpoint's figures; where it has none, our estimate, marked as such.
fn usage(told: Option<&Value>, input: u64, output: u64) -> Usage {
    let number = |names: [&str; 2]| told.and_then(|told| names.iter().find_map(|name| told.get(name)?.as_u64()));
    let part = |names: [&str; 2], member| {
        told.and_then(|told| names.iter().find_map(|name| told.get(name)?.get(member)?.as_u64())).unwrap_or(0)
    };
    let told_input = number(["prompt_tokens", "input_tokens"]);
    let told_output = number(["completion_tokens", "output_tokens"]);
    Usage {
        input_tokens: told_input.unwrap_or(input),
        output_tokens: told_output.unwrap_or(output),
        cached_input_tokens: part(["prompt_tokens_details", "input_tokens_details"], "cached_tokens"),
        reasoning_tokens: part(["completion_tokens_details", "output_tokens_details"], "reasoning_tokens"),
        estimated: told_input.is_none() || told_output.is_none(),
    }
}

#[cfg(test)]
mod tests;

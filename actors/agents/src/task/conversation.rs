//! What a model is asked: a function of the task's state, so the same turn always asks the same.

use std::borrow::Cow;

use mesh_kernel::ports::Digest;
use mesh_skills::models::{
    chat::{Format, Message, Request, ToolSpec},
    secrets,
};
use serde_json::Value;

use super::state::Task;

/// Longest result of a tool that a model is shown. **Units**: bytes.
const TOLD_BYTES_MAX: usize = 32 * 1024;

/// The next request, with what it is told before it.
pub(super) fn next(task: &Task) -> Request {
    let mut request = under_way(task);
    request.messages.extend(task.notes.iter().map(|note| Message::User { text: note.clone() }));
    request
}

/// The request that is under way: what it was told since is not in it.
pub(super) fn under_way(task: &Task) -> Request {
    let (Some(head), Some(context)) = (&task.head, &task.context) else { return Request::default() };
    let agent = &context.agent;
    let mut messages = Vec::with_capacity(task.transcript.len() + task.notes.len() + 2);
    let mut instructions = agent.instructions.trim_end().to_owned();
    if let Some(schema) = &agent.output {
        instructions
            .push_str("\n\nYour last answer is one JSON value, and nothing around it, that fits this JSON Schema:\n");
        instructions.push_str(&schema.to_string());
    }
    messages.push(Message::System { text: instructions });
    messages.push(Message::User { text: asked(&head.assigned.goal, &head.assigned.input) });
    messages.extend(task.transcript.iter().map(|message| message.as_ref().clone()));
    let tools = context.tools.iter().map(|tool| ToolSpec {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: parameters(&tool.input),
    });
    let format = agent.output.as_ref().map(|schema| Format {
        name: agent.name.replace('-', "_"),
        schema: schema.clone(),
        strict: false,
    });
    Request {
        messages,
        tools: tools.collect(),
        format,
        max_tokens: agent.model.max_tokens,
        temperature: agent.model.temperature,
        extra: serde_json::Map::new(),
    }
}

/// The first thing that it is told: the goal, and what it is given.
fn asked(goal: &str, input: &Value) -> String {
    let nothing = input.is_null() || input.as_object().is_some_and(serde_json::Map::is_empty);
    match (goal.trim(), nothing) {
        (goal, true) => goal.to_owned(),
        ("", false) => input.to_string(),
        (goal, false) => format!("{goal}\n\nInput:\n{input}"),
    }
}

/// Models take an object's schema alone: a skill that takes anything takes any object.
fn parameters(input: &Value) -> Value {
    match input {
        Value::Object(schema) if schema.get("type").is_some_and(|of| of == "object") => input.clone(),
        Value::Object(schema) if schema.contains_key("properties") => {
            let mut schema = schema.clone();
            schema.insert("type".to_owned(), Value::from("object"));
            Value::Object(schema)
        }
        _ => serde_json::json!({ "type": "object", "properties": {} }),
    }
}

/// What names a request.
pub(super) fn digest(request: &Request) -> Digest {
    Digest::of(&serde_json::to_vec(request).unwrap_or_default())
}

/// How many tokens a request has, from the number of its bytes: a quarter of them, and eight for each message.
pub(super) fn estimate(request: &Request) -> u64 {
    let bytes = |message: &Message| match message {
        Message::System { text } | Message::User { text } => text.len(),
        Message::Assistant(said) => {
            said.text.len() + said.tool_calls.iter().map(|call| call.arguments.to_text().len() + 32).sum::<usize>()
        }
        Message::Tool { call, text } => call.len() + text.len(),
    };
    let messages: usize = request.messages.iter().map(|message| bytes(message) + 32).sum();
    let tools: usize =
        request.tools.iter().map(|tool| tool.description.len() + tool.parameters.to_string().len() + 32).sum();
    (messages + tools) as u64 / 4
}

/// A tool's output as a model reads it: without what looks like a key, and not too long.
pub(super) fn told(output: &Value) -> String {
    let mut text = match output {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if let Cow::Owned(redacted) = secrets::redact(&text) {
        text = redacted;
    }
    if text.len() > TOLD_BYTES_MAX {
        let bytes = text.len();
        text.truncate(text.floor_char_boundary(TOLD_BYTES_MAX));
        text.push_str(&format!("\n… (cut: {bytes} bytes in all)"));
    }
    text
}

//! A task as people see it.

use mesh_skills::models::chat::Message;
use serde_json::{Map, Value, json};

use super::{
    state::{Phase, Task, Tooled, Work},
    wants,
};

/// Longest text of one message in a view. **Units**: bytes; the journal has it whole.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// The task as JSON, without what is not there.
pub(super) fn view(task: &Task) -> Value {
    let Some(head) = &task.head else { return Value::Null };
    let context = task.context.as_ref();
    let seen = json!({
        "task": head.address.id(),
        "agent": head.assigned.agent,
        "version": context.map(|context| context.version),
        "state": state(task),
        "goal": head.assigned.goal,
        "input": head.assigned.input,
        "parent": head.assigned.parent,
        "run": wants::parent_run(task),
        "submittedBy": head.assigned.submitted_by,
        "assignedAt": head.at,
        "movedAt": task.moved_at,
        "endedAt": task.ended_at,
        "deadline": task.deadline,
        "waiting": waiting(task),
        "turn": task.turn,
        "corrections": task.corrections,
        "taint": task.taint,
        "spent": task.spent,
        "answeredBy": task.by.as_ref().map(|by| format!("{}/{}", by.endpoint, by.model)),
        "output": task.output,
        "failure": task.failure,
        "conversation": task.transcript.iter().map(|message| said(message)).collect::<Vec<_>>(),
    });
    let Value::Object(seen) = seen else { return Value::Null };
    let told = |value: &Value| !value.is_null() && value != "" && value != &json!([]);
    Value::Object(seen.into_iter().filter(|(_, value)| told(value)).collect::<Map<_, _>>())
}

fn state(task: &Task) -> &'static str {
    if task.paused.is_some() && !task.phase.is_final() { "Paused" } else { task.phase.as_str() }
}

/// For what it waits, in words.
fn waiting(task: &Task) -> Option<String> {
    if task.phase.is_final() {
        return None;
    }
    if let Some((by, reason)) = &task.paused {
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        return Some(format!("to be resumed, paused by {by}{because}"));
    }
    if let Some((_, message)) = &task.escalated {
        return Some(format!("a person: {message}"));
    }
    Some(match &task.work {
        Work::Nothing if task.phase == Phase::ContextLoading => "what it needs to know".to_owned(),
        Work::Nothing => "its next turn".to_owned(),
        Work::Model { attempt: 1, .. } => "a model's answer".to_owned(),
        Work::Model { attempt, .. } => format!("a model's answer, attempt {attempt}"),
        Work::Again { at, .. } => format!("the next attempt to get an answer, at {at}"),
        Work::Tools(tools) => {
            let open: Vec<String> = tools.iter().filter(|tool| tool.told.is_none()).map(open).collect();
            open.join(", ")
        }
        Work::Check(_) => "a check of what it gives".to_owned(),
    })
}

/// What is under way of a call, as people are told.
fn open(tool: &Tooled) -> String {
    match &tool.child {
        Some(child) => format!("agent `{}` ({child})", tool.skill),
        None => tool.skill.clone(),
    }
}

fn said(message: &Message) -> Value {
    match message {
        Message::System { text } => json!({ "from": "system", "text": cut(text) }),
        Message::User { text } => json!({ "from": "mesh", "text": cut(text) }),
        Message::Tool { call, text } => json!({ "from": "tool", "call": call, "text": cut(text) }),
        Message::Assistant(said) => {
            let calls: Vec<Value> = said
                .tool_calls
                .iter()
                .map(|call| json!({ "call": call.id, "tool": call.name, "arguments": cut(&call.arguments.to_text()) }))
                .collect();
            json!({ "from": "agent", "text": cut(&said.text), "calls": calls })
        }
    }
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    format!("{}…", text.get(..end).unwrap_or_default())
}

//! Harmless deviations: usable answers, as servers give them that are merely compatible.

use serde_json::{Value, json};

use crate::{
    chat::{chunks, set, whole},
    reply::{Piece, Reply, done, event, raw},
    script::{Answer, ToolCall},
};

/// The names after `deviate:`. Each answers with the same text and the same two tool calls.
pub const DEVIATIONS: [&str; 25] = [
    "none",
    "no-id",
    "no-object",
    "no-created",
    "no-role",
    "usage-empty",
    "usage-null",
    "usage-missing",
    "usage-in-every-chunk",
    "finish-other",
    "finish-empty",
    "tool-call-without-type",
    "tool-call-without-id",
    "arguments-object",
    "chunk-without-index",
    "index-always-zero",
    "unknown-fields",
    "content-parts",
    "sse-comments",
    "sse-crlf",
    "sse-keepalive",
    "no-done",
    "no-last-line",
    "json-for-a-stream",
    "cut-anywhere",
];

/// The text of every deviating answer.
pub const TEXT: &str = "Grüße aus Köln ✓";

/// The answer that all deviate from.
fn answer() -> Answer {
    let call =
        |id: &str, city: &str| ToolCall { id: id.into(), name: "weather".into(), arguments: json!({"city": city}) };
    Answer {
        text: TEXT.into(),
        tool_calls: vec![call("call_a", "Paris"), call("call_b", "Rome")],
        pieces: 3,
        usage: Some((31, 17)),
        ..Answer::default()
    }
}

pub(crate) fn reply(name: &str, streams: bool) -> Reply {
    let model = format!("deviate:{name}");
    if !streams || name == "json-for-a-stream" {
        let mut whole = whole(&answer(), &model);
        deviate(name, &mut whole, "message");
        return Reply::json(200, &whole);
    }
    let mut chunks = match name {
        "index-always-zero" | "tool-call-without-id" => one_after_the_other(&model),
        _ => chunks(&answer(), &model),
    };
    chunks.iter_mut().for_each(|chunk| deviate(name, chunk, "delta"));
    Reply::events(pieces(name, &chunks))
}

/// The calls' pieces not in turns: without an index nobody could tell them apart.
fn one_after_the_other(model: &str) -> Vec<Value> {
    let mut chunks = chunks(&answer(), model);
    chunks.sort_by_key(|chunk| {
        let call = chunk.pointer("/choices/0/delta/tool_calls/0/index").and_then(Value::as_u64);
        let ends = chunk.pointer("/choices/0/finish_reason").is_none_or(Value::is_string);
        (ends, call.map_or(0, |call| call + 1))
    });
    chunks
}

fn deviate(name: &str, value: &mut Value, member: &str) {
    match name {
        "no-id" => without(value, "", "id"),
        "no-object" => without(value, "", "object"),
        "no-created" => without(value, "", "created"),
        "no-role" => without(value, &format!("/choices/0/{member}"), "role"),
        "usage-empty" => set(value, "usage", json!({})),
        "usage-null" => set(value, "usage", Value::Null),
        "usage-missing" => without(value, "", "usage"),
        "usage-in-every-chunk" => {
            set(value, "usage", json!({"prompt_tokens": 31, "completion_tokens": 17, "total_tokens": 48}));
        }
        "finish-other" => finish(value, |finish| if finish.is_null() { Value::Null } else { "eos".into() }),
        "finish-empty" => finish(value, |finish| if finish.is_null() { "".into() } else { finish }),
        "unknown-fields" => {
            set(value, "service_tier", "galactic".into());
            set(value, "choices_v2", json!([{"error": null}]));
        }
        "content-parts" => {
            let said = value.pointer_mut(&format!("/choices/0/{member}"));
            if let Some(said) = said
                && let Some(text) = said.get("content").and_then(Value::as_str).map(str::to_owned)
            {
                set(said, "content", json!([{"type": "text", "text": text}]));
            }
        }
        _ => calls(name, value, member),
    }
}

fn calls(name: &str, value: &mut Value, member: &str) {
    let calls = value.pointer_mut(&format!("/choices/0/{member}/tool_calls")).and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten() {
        match name {
            "tool-call-without-type" => without(call, "", "type"),
            "tool-call-without-id" => {
                without(call, "", "id");
                without(call, "", "index");
            }
            "chunk-without-index" => {
                let id = call.get("index").map(|index| if *index == json!(0) { "call_a" } else { "call_b" });
                if let Some(id) = id {
                    set(call, "id", id.into());
                }
                without(call, "", "index");
            }
            "index-always-zero" if call.get("index").is_some() => set(call, "index", 0.into()),
            "arguments-object" => arguments_object(call, member == "message"),
            _ => {}
        }
    }
}

/// The first piece has the whole object and the others nothing.
fn arguments_object(call: &mut Value, whole: bool) {
    let is_first = call.get("index") == Some(&json!(0));
    let has_name = call.pointer("/function/name").is_some();
    let city = if whole {
        let text = call.pointer("/function/arguments").and_then(Value::as_str).unwrap_or_default();
        if text.contains("Paris") { "Paris" } else { "Rome" }
    } else if is_first {
        "Paris"
    } else {
        "Rome"
    };
    if let Some(function) = call.get_mut("function") {
        let arguments = if whole || has_name { json!({"city": city}) } else { Value::Null };
        set(function, "arguments", arguments);
    }
}

fn finish(value: &mut Value, change: impl Fn(Value) -> Value) {
    if let Some(choice) = value.pointer_mut("/choices/0") {
        let finish = choice.get("finish_reason").cloned().unwrap_or_default();
        set(choice, "finish_reason", change(finish));
    }
}

fn without(value: &mut Value, at: &str, key: &str) {
    if let Some(object) = value.pointer_mut(at).and_then(Value::as_object_mut) {
        object.remove(key);
    }
}

fn pieces(name: &str, chunks: &[Value]) -> Vec<Piece> {
    let text = |separator: &str| -> String { chunks.iter().map(|chunk| format!("data: {chunk}{separator}")).collect() };
    match name {
        "sse-comments" => {
            chunks.iter().flat_map(|chunk| [raw(": PROCESSING\n\n"), event(chunk)]).chain([done()]).collect()
        }
        "sse-keepalive" => {
            let alive = || raw("event: keepalive\ndata: {}\n\n");
            chunks.iter().flat_map(|chunk| [alive(), event(chunk)]).chain([done()]).collect()
        }
        "sse-crlf" => vec![raw(&text("\r\n\r\n")), raw("data: [DONE]\r\n\r\n")],
        "no-done" => chunks.iter().map(event).collect(),
        "no-last-line" => {
            let text = text("\n\n");
            vec![raw(text.trim_end())]
        }
        // Within characters, within `data:`, between the two line feeds.
        "cut-anywhere" => {
            let whole = format!("{}data: [DONE]\n\n", text("\n\n"));
            whole.as_bytes().chunks(7).map(|piece| Piece::Bytes(bytes::Bytes::copy_from_slice(piece))).collect()
        }
        _ => chunks.iter().map(event).chain([done()]).collect(),
    }
}

//! A scripted answer, whole or in pieces, as OpenAI sends it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    reply::{Piece, Reply, done, event},
    script::{Answer, ToolCall},
};

pub(crate) fn reply(answer: &Answer, model: &str, streams: bool) -> Reply {
    if !streams {
        let mut pieces = Vec::new();
        pause(&mut pieces, answer);
        pieces.push(Piece::Bytes(whole(answer, model).to_string().into()));
        return Reply::Answer { status: 200, headers: vec![("content-type", "application/json".into())], pieces };
    }
    let mut pieces = Vec::new();
    for chunk in chunks(answer, model) {
        pause(&mut pieces, answer);
        pieces.push(event(&chunk));
    }
    pieces.push(done());
    Reply::events(pieces)
}

fn pause(pieces: &mut Vec<Piece>, answer: &Answer) {
    if answer.delay_ms > 0 {
        pieces.push(Piece::Wait(Duration::from_millis(answer.delay_ms)));
    }
}

/// The answer in one piece.
pub(crate) fn whole(answer: &Answer, model: &str) -> Value {
    let calls: Vec<_> = answer.tool_calls.iter().enumerate().map(|(place, call)| tool_call(place, call)).collect();
    let mut message = json!({"role": "assistant", "content": answer.text, "refusal": null});
    if !calls.is_empty() {
        set(&mut message, "tool_calls", calls.into());
    }
    if !answer.reasoning.is_empty() {
        set(&mut message, "reasoning_content", answer.reasoning.as_str().into());
    }
    let choice = json!({"index": 0, "message": message, "finish_reason": finish(answer), "logprobs": null});
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": model,
           "choices": [choice], "usage": usage(answer)})
}

/// The answer as chunks: the role, the text, the calls, the finish, the figures.
pub(crate) fn chunks(answer: &Answer, model: &str) -> Vec<Value> {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model,
               "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": null}], "usage": null})
    };
    let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    for piece in cut(&answer.reasoning, answer.pieces) {
        chunks.push(chunk(json!({"reasoning_content": piece}), Value::Null));
    }
    for piece in cut(&answer.text, answer.pieces) {
        chunks.push(chunk(json!({"content": piece}), Value::Null));
    }
    for (place, call) in answer.tool_calls.iter().enumerate() {
        let mut head = tool_call(place, call);
        set(&mut head, "index", place.into());
        set(&mut head, "function", json!({"name": call.name, "arguments": ""}));
        chunks.push(chunk(json!({"tool_calls": [head]}), Value::Null));
    }
    // In turns, as models that call several tools at once do.
    let cuts: Vec<_> = answer.tool_calls.iter().map(|call| cut(&arguments(call), answer.pieces.max(2))).collect();
    for turn in 0..cuts.iter().map(Vec::len).max().unwrap_or(0) {
        for (place, pieces) in cuts.iter().enumerate() {
            if let Some(piece) = pieces.get(turn) {
                let delta = json!({"tool_calls": [{"index": place, "function": {"arguments": piece}}]});
                chunks.push(chunk(delta, Value::Null));
            }
        }
    }
    chunks.push(chunk(json!({}), finish(answer).into()));
    let mut figures = chunk(json!({}), Value::Null);
    set(&mut figures, "choices", json!([]));
    set(&mut figures, "usage", usage(answer));
    chunks.push(figures);
    chunks
}

/// Sets a member of an object.
pub(crate) fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn tool_call(place: usize, call: &ToolCall) -> Value {
    let id = if call.id.is_empty() { format!("call_{place}") } else { call.id.clone() };
    json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": arguments(call)}})
}

fn arguments(call: &ToolCall) -> String {
    match &call.arguments {
        Value::String(text) => text.clone(),
        Value::Null => "{}".to_owned(),
        value => value.to_string(),
    }
}

fn finish(answer: &Answer) -> &str {
    match answer.finish.as_str() {
        "" if answer.tool_calls.is_empty() => "stop",
        "" => "tool_calls",
        said => said,
    }
}

fn usage(answer: &Answer) -> Value {
    let (input, output) = answer.usage.unwrap_or((20, u64::try_from(answer.text.len()).unwrap_or(0) / 4 + 1));
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
           "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}})
}

/// A text in so many pieces; none of an empty one.
fn cut(text: &str, pieces: usize) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let size = letters.len().div_ceil(pieces.max(1)).max(1);
    letters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

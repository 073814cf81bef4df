//! What a request means, whatever its spelling: the name under which its answer is kept.

use std::collections::HashMap;

use mesh_kernel::envelope::hex;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// Changes when the meaning of keys does; old cassettes then miss, and say so.
const DIALECT: &str = "chat-1";

/// Members that say who asks or how, and not what.
const VOLATILE: [&str; 5] = ["user", "metadata", "safety_identifier", "prompt_cache_key", "stream_options"];

/// The request as it is compared: without volatile members, calls named in their order, tools by
/// name.
pub(super) fn meant(body: &[u8]) -> Value {
    let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(members) = body.as_object_mut() {
        VOLATILE.iter().for_each(|member| drop(members.remove(*member)));
        rename_calls(members);
        if let Some(tools) = members.get_mut("tools").and_then(Value::as_array_mut) {
            let name = |tool: &Value| tool.pointer("/function/name").and_then(Value::as_str).map(str::to_owned);
            tools.sort_by_key(name);
        }
    }
    body
}

/// SHA-256 over method, path, dialect and the canonical body. Headers and address are out.
pub(super) fn key(path: &str, meant: &Value) -> String {
    let mut text = format!("POST\n{}\n{DIALECT}\n", short(path));
    canonical(meant, &mut text);
    hex(text.as_bytes())
}

/// The digest of some bytes, in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}

/// The path below the endpoint's base: another base is another address, not another question.
pub(super) fn short(path: &str) -> &str {
    ["/chat/completions", "/embeddings"].into_iter().find(|end| path.ends_with(end)).unwrap_or(path)
}

/// Providers draw the ids of calls by chance, and a re-recorded conversation has others.
fn rename_calls(members: &mut Map<String, Value>) {
    let mut names: HashMap<String, String> = HashMap::new();
    let mut rename = |value: Option<&mut Value>| {
        if let Some(Value::String(id)) = value {
            let next = names.len() + 1;
            *id = names.entry(std::mem::take(id)).or_insert_with(|| format!("call_{next}")).clone();
        }
    };
    for message in members.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            rename(call.get_mut("id"));
        }
        rename(message.get_mut("tool_call_id"));
    }
}

/// Writes JSON as RFC 8785 does: keys sorted by their UTF-16 units, no spaces, whole numbers without
/// a fraction. Numbers of more than 2^53 and exponents keep the spelling of `serde_json`.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_cached_key(|(key, _)| key.encode_utf16().collect::<Vec<_>>());
            list(out, ['{', '}'], sorted, |(key, value), out| {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
            });
        }
        Value::Array(items) => list(out, ['[', ']'], items, canonical),
        Value::Number(number) => match number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15) {
            Some(whole) => out.push_str(&format!("{whole:.0}")),
            None => out.push_str(&number.to_string()),
        },
        plain => out.push_str(&plain.to_string()),
    }
}

fn list<T>(out: &mut String, brackets: [char; 2], items: impl IntoIterator<Item = T>, write: impl Fn(T, &mut String)) {
    let [open, close] = brackets;
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key_of(body: &Value) -> String {
        key("/v1/chat/completions", &meant(body.to_string().as_bytes()))
    }

    fn conversation(id: &str) -> Value {
        json!({"model": "m", "stream": true, "temperature": 1.0, "messages": [
            {"role": "assistant", "tool_calls": [{"id": id, "function": {"name": "f"}}]},
            {"role": "tool", "tool_call_id": id, "content": "x"}],
            "tools": [{"function": {"name": "b"}}, {"function": {"name": "a"}}]})
    }

    #[test]
    fn what_is_spelled_differently_and_means_the_same_has_the_same_key() {
        let key = key_of(&conversation("call_x"));
        let mut same = conversation("call_y");
        same["user"] = "somebody".into();
        same["stream_options"] = json!({"include_usage": true});
        same["temperature"] = json!(1);
        same["tools"].as_array_mut().unwrap().reverse();
        assert_eq!(key_of(&same), key);
        assert_eq!(super::key("/other/base/chat/completions", &meant(same.to_string().as_bytes())), key);
    }

    #[test]
    fn what_means_something_else_has_another_key() {
        let key = key_of(&conversation("c"));
        for (at, value) in [
            ("/model", json!("n")),
            ("/stream", json!(false)),
            ("/temperature", json!(0.5)),
            ("/messages/1/content", json!("y")),
            ("/messages/1/tool_call_id", json!("another")),
            ("/tools/0/function/name", json!("c")),
        ] {
            let mut other = conversation("c");
            *other.pointer_mut(at).unwrap() = value;
            assert_ne!(key_of(&other), key, "{at}");
        }
    }

    #[test]
    fn keys_are_sorted_as_the_standard_says() {
        let mut out = String::new();
        canonical(&json!({"\u{fb33}": 1, "\u{1f600}": 2.0, "a": [null, "é\n"]}), &mut out);
        assert_eq!(out, "{\"a\":[null,\"é\\n\"],\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }
}

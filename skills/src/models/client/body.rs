//! The body of a request: our conversation in the words of chat completions.

use serde_json::{Map, Value, json};

use crate::models::{
    chat::{Message, Request, Said, ToolSpec},
    config::Endpoint,
};

/// The whole body. What the candidate adds gives way to what the request says itself.
pub(super) fn of(request: &Request, endpoint: &Endpoint, model: &str, added: &Map<String, Value>) -> Value {
    let mut body = added.clone();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), request.messages.iter().map(message).collect());
    if !request.tools.is_empty() {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
    }
    if let Some(format) = &request.format {
        let schema = json!({"name": format.name, "schema": format.schema, "strict": format.strict});
        body.insert("response_format".into(), json!({"type": "json_schema", "json_schema": schema}));
    }
    body.insert(endpoint.max_tokens_as.clone(), request.max_tokens.into());
    if let Some(temperature) = request.temperature {
        body.insert("temperature".into(), temperature.into());
    }
    body.extend(request.extra.clone());
    // Never left out: with `byot` nobody below sets it, and a stream that was not asked for ends
    // empty without an error.
    body.insert("stream".into(), endpoint.stream.into());
    if endpoint.stream {
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    Value::Object(body)
}

/// What the request will use at input, for endpoints and budgets that are told no figures.
/// **Units**: tokens.
pub(in crate::models) fn input_estimate(request: &Request) -> u64 {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let bytes = |message: &Message| match message {
        Message::System { text } | Message::User { text } | Message::Tool { text, .. } => text.len(),
        Message::Assistant(said) => said_bytes(said),
    };
    let said: usize = request.messages.iter().map(bytes).sum();
    let tools: usize = request.tools.iter().map(|tool| tool.description.len() + json_bytes(&tool.parameters)).sum();
    let format = request.format.as_ref().map_or(0, |format| json_bytes(&format.schema));
    number(said + tools + format).div_ceil(4) + 8 * number(request.messages.len())
}

fn said_bytes(said: &Said) -> usize {
    let calls: usize = said.tool_calls.iter().map(|call| call.name.len() + call.arguments.to_text().len()).sum();
    said.text.len() + calls
}

fn json_bytes(value: &Value) -> usize {
    if value.is_null() { 0 } else { value.to_string().len() }
}

fn message(message: &Message) -> Value {
    match message {
        Message::System { text } => json!({"role": "system", "content": text}),
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Tool { call, text } => json!({"role": "tool", "tool_call_id": call, "content": text}),
        Message::Assistant(said) => assistant(said),
    }
}

fn assistant(said: &Said) -> Value {
    let mut message = said.extra.clone();
    message.insert("role".into(), "assistant".into());
    // A turn that only called tools has no content, and an empty one is refused by some.
    let content = if said.text.is_empty() && !said.tool_calls.is_empty() { Value::Null } else { (&*said.text).into() };
    message.insert("content".into(), content);
    if let Some(refusal) = &said.refusal {
        message.insert("refusal".into(), refusal.as_str().into());
    }
    if !said.tool_calls.is_empty() {
        let call = |call: &crate::models::chat::ToolCall| {
            let function = json!({"name": call.name, "arguments": call.arguments.to_text()});
            json!({"id": call.id, "type": "function", "function": function})
        };
        message.insert("tool_calls".into(), said.tool_calls.iter().map(call).collect());
    }
    Value::Object(message)
}

fn tool(tool: &ToolSpec) -> Value {
    let mut function = json!({"name": tool.name, "description": tool.description});
    if let (Some(function), false) = (function.as_object_mut(), tool.parameters.is_null()) {
        function.insert("parameters".into(), tool.parameters.clone());
    }
    json!({"type": "function", "function": function})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::chat::{Arguments, Format, ToolCall};

    fn request() -> Request {
        let said = Said {
            tool_calls: vec![ToolCall {
                id: "c1".into(),
                name: "look".into(),
                arguments: Arguments::Unreadable("{\"at\"".into()),
            }],
            extra: json!({"reasoning_content": "hm"}).as_object().unwrap().clone(),
            ..Said::default()
        };
        Request {
            messages: vec![
                Message::System { text: "be brief".into() },
                Message::User { text: "look".into() },
                Message::Assistant(said),
                Message::Tool { call: "c1".into(), text: "what?".into() },
            ],
            tools: vec![ToolSpec {
                name: "look".into(),
                description: "Looks.".into(),
                parameters: json!({"type": "object"}),
            }],
            format: Some(Format { name: "f".into(), schema: json!({"type": "object"}), strict: true }),
            max_tokens: 50,
            temperature: Some(0.5),
            extra: json!({"seed": 1}).as_object().unwrap().clone(),
        }
    }

    #[test]
    fn a_conversation_is_sent_as_it_was_had() {
        let added = json!({"seed": 2, "reasoning_effort": "high"});
        let body = of(&request(), &Endpoint::default(), "large", added.as_object().unwrap());
        assert_eq!(
            body,
            json!({
                "model": "large", "max_tokens": 50, "temperature": 0.5, "seed": 1, "reasoning_effort": "high",
                "stream": true, "stream_options": {"include_usage": true},
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": "look"},
                    {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\""}}]},
                    {"role": "tool", "tool_call_id": "c1", "content": "what?"},
                ],
                "tools": [{"type": "function", "function":
                    {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}}],
                "response_format": {"type": "json_schema",
                    "json_schema": {"name": "f", "schema": {"type": "object"}, "strict": true}},
            })
        );
    }

    #[test]
    fn an_endpoint_has_its_own_ways() {
        let endpoint = Endpoint { stream: false, max_tokens_as: "max_completion_tokens".into(), ..Endpoint::default() };
        let body = of(&request(), &endpoint, "m", &Map::new());
        assert_eq!((&body["stream"], &body["max_completion_tokens"]), (&json!(false), &json!(50)));
        assert!(body.get("stream_options").is_none() && body.get("max_tokens").is_none());
    }

    #[test]
    fn an_estimate_counts_words_tools_and_messages() {
        let estimate = input_estimate(&request());
        assert!((45..70).contains(&estimate), "{estimate}");
        assert_eq!(input_estimate(&Request::default()), 0);
    }
}

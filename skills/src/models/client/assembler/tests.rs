use serde_json::json;

use super::*;

fn streamed(chunks: &[Value]) -> Result<Answer, Trouble> {
    let mut assembler = Assembler::new(10);
    for chunk in chunks {
        assembler.chunk(chunk)?;
    }
    assembler.answer()
}

fn deltas(deltas: &[Value]) -> Answer {
    let mut chunks: Vec<_> = deltas.iter().map(|delta| json!({"choices": [{"delta": delta}]})).collect();
    chunks.push(json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}));
    streamed(&chunks).unwrap()
}

fn calls(answer: &Answer) -> Vec<(String, String, String)> {
    let of = |call: &ToolCall| (call.id.clone(), call.name.clone(), call.arguments.to_text());
    answer.said.tool_calls.iter().map(of).collect()
}

fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
    (id.to_owned(), name.to_owned(), arguments.to_owned())
}

#[test]
fn parallel_calls_are_told_apart_by_index_else_by_id_else_by_their_order() {
    let two = vec![call("a", "f", "{\"x\":1}"), call("b", "g", "{\"y\":2}")];
    let by_index = deltas(&[
        json!({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{\"y\""}}]}),
        json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\""}}]}),
        json!({"tool_calls": [{"index": 1, "function": {"arguments": ":2}"}}, {"index": 0, "function": {"arguments": ":1}"}}]}),
    ]);
    let mut sorted = calls(&by_index);
    sorted.sort();
    assert_eq!(sorted, two);
    let by_id = deltas(&[
        json!({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{\"x\""}}, {"id": "b", "function": {"name": "g", "arguments": "{\"y\""}}]}),
        json!({"tool_calls": [{"id": "a", "function": {"arguments": ":1}"}}, {"id": "b", "function": {"arguments": ":2}"}}]}),
    ]);
    assert_eq!(calls(&by_id), two);
    let by_order = deltas(&[
        json!({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{\"x\""}}]}),
        json!({"tool_calls": [{"function": {"arguments": ":1}"}}]}),
        json!({"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{\"y\""}}]}),
        json!({"tool_calls": [{"function": {"arguments": ":2}"}}]}),
    ]);
    assert_eq!(calls(&by_order), two);
    let same_index = deltas(&[
        json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\""}}]}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        json!({"tool_calls": [{"index": 0, "id": "b", "function": {"name": "g", "arguments": "{\"y\""}}]}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": ":2}"}}]}),
    ]);
    assert_eq!(calls(&same_index), two);
}

#[test]
fn calls_without_index_and_id_are_told_apart_when_the_one_before_is_whole() {
    let answer = deltas(&[
        json!({"tool_calls": [{"function": {"name": "f", "arguments": "{\"x\":1}"}}]}),
        json!({"tool_calls": [{"function": {"name": "g", "arguments": {"y": 2}}}]}),
    ]);
    assert_eq!(calls(&answer), [call("call-0", "f", "{\"x\":1}"), call("call-1", "g", "{\"y\":2}")]);
}

#[test]
fn nothing_in_arguments_is_repaired() {
    let answer = deltas(&[json!({"tool_calls": [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\": 1"}},
        {"index": 1, "id": "b", "function": {"name": "f", "arguments": [1]}},
        {"index": 2, "id": "c", "function": {"name": "f"}},
    ]})]);
    let arguments: Vec<_> = answer.said.tool_calls.into_iter().map(|call| call.arguments).collect();
    assert_eq!(
        arguments,
        [Arguments::Unreadable("{\"x\": 1".into()), Arguments::Unreadable("[1]".into()), Arguments::Object(json!({}))]
    );
}

#[test]
fn what_must_be_sent_back_is_kept_and_the_rest_is_not() {
    let answer = deltas(&[
        json!({"role": "assistant", "reasoning_content": "let ", "annotations": []}),
        json!({"reasoning_content": "me see", "reasoning_details": [{"a": 1}], "content": "yes"}),
        json!({"reasoning_details": [{"b": 2}], "reasoning_content": null}),
    ]);
    assert_eq!(
        Value::Object(answer.said.extra),
        json!({"reasoning_content": "let me see", "reasoning_details": [{"a": 1}, {"b": 2}]})
    );
}

#[test]
fn a_stream_without_a_finish_reason_is_no_answer_and_tells_what_was_lost() {
    let trouble =
        streamed(&[json!({"choices": [{"delta": {"content": "12345678"}, "finish_reason": ""}]})]).unwrap_err();
    assert_eq!(trouble.fault, Fault::EndedEarly);
    let lost = trouble.lost.unwrap();
    assert_eq!((lost.input_tokens, lost.output_tokens, lost.estimated), (10, 2, true));
}

#[test]
fn figures_come_from_the_endpoint_or_are_marked_as_ours() {
    let text = json!({"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]});
    for nothing in [json!({}), Value::Null] {
        let usage = streamed(&[text.clone(), json!({"choices": [], "usage": nothing})]).unwrap().usage;
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.estimated), (10, 1, true));
    }
    let told = json!({"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3},
                      "completion_tokens_details": {"reasoning_tokens": 2}});
    let usage = streamed(&[text, json!({"choices": [], "usage": told})]).unwrap().usage;
    let expected =
        Usage { input_tokens: 7, output_tokens: 5, cached_input_tokens: 3, reasoning_tokens: 2, estimated: false };
    assert_eq!(usage, expected);
}

#[test]
fn an_empty_answer_is_a_fault_unless_a_bound_or_a_filter_emptied_it() {
    for (finish, fault) in [
        ("stop", Some(Fault::EmptyAnswer)),
        ("eos", Some(Fault::EmptyAnswer)),
        ("length", None),
        ("content_filter", None),
    ] {
        let got = streamed(&[json!({"choices": [{"delta": {"reasoning": "hm"}, "finish_reason": finish}]})]);
        assert_eq!(got.err().map(|trouble| trouble.fault), fault, "{finish}");
    }
}

#[test]
fn an_error_is_seen_before_anything_else() {
    let error = json!({"error": {"message": "no", "code": "insufficient_quota"}, "choices": []});
    assert_eq!(Assembler::new(0).whole(&error).unwrap_err().fault, Fault::InsufficientQuota);
    assert_eq!(Assembler::new(0).chunk(&json!({"error": "oops"})).unwrap_err().fault, Fault::ErrorInBody);
}

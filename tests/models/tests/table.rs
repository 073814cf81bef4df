//! Every deviation ends in the right answer and every fault in its name, after exactly one request.

#![expect(clippy::panic, reason = "these are tests and their helpers")]

mod support;

use std::time::Duration;

use mesh_model_server::{DEVIATIONS, FAULTS, TEXT};
use mesh_skills::{
    contract::FailureClass,
    models::{
        Fault, ModelResult,
        cassette::Mode,
        chat::{Answer, Arguments, Finish},
    },
};
use serde_json::json;
use support::{Bench, KEY};

fn answered(name: &str, result: ModelResult) -> Answer {
    match result {
        ModelResult::Answered { answer, .. } => answer,
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_deviates_harmlessly_is_an_answer() {
    let bench = Bench::start().await;
    for name in DEVIATIONS {
        for endpoint in ["streams", "whole"] {
            let (result, text) = bench.ask(endpoint, &format!("deviate:{name}")).await;
            let answer = answered(name, result);
            assert_eq!((answer.said.text.as_str(), text.as_str()), (TEXT, TEXT), "{name}, {endpoint}");
            let calls: Vec<_> = answer.said.tool_calls.iter().map(|call| (&*call.name, &call.arguments)).collect();
            let city = |name| Arguments::Object(json!({"city": name}));
            assert_eq!(calls, [("weather", &city("Paris")), ("weather", &city("Rome"))], "{name}, {endpoint}");
            let ids: Vec<_> = answer.said.tool_calls.iter().map(|call| call.id.as_str()).collect();
            let made = name == "tool-call-without-id";
            assert_eq!(ids, if made { ["call-0", "call-1"] } else { ["call_a", "call_b"] }, "{name}, {endpoint}");
            let finish = if name == "finish-other" { Finish::Other("eos".into()) } else { Finish::ToolCalls };
            assert_eq!(answer.finish, finish, "{name}, {endpoint}");
            let told = !matches!(name, "usage-empty" | "usage-null" | "usage-missing");
            assert_eq!(answer.usage.estimated, !told, "{name}, {endpoint}");
            assert!(!told || (answer.usage.input_tokens, answer.usage.output_tokens) == (31, 17), "{name}, {endpoint}");
        }
    }
    bench.was_asked_once_for_each().await;
}

/// The fault, and how long the endpoint asks to wait. **Units**: milliseconds.
fn expected(name: &str) -> (Fault, Option<u64>) {
    let fault = match name {
        "429-retry-after" => return (Fault::RateLimited, Some(2_000)),
        "429-retry-after-ms" => return (Fault::RateLimited, Some(1_500)),
        "429-http-date" | "429-retry-after-huge" => return (Fault::RateLimited, Some(120_000)),
        "429-quota-code" | "429-quota-type" => Fault::InsufficientQuota,
        "400-context-length" => Fault::ContextLength,
        "400-content-filter" => Fault::ContentFilter,
        "400-integer-code" | "redirect" => Fault::BadRequest,
        "401" | "403-text" => Fault::Unauthorized,
        "404" => Fault::NotFound,
        "408" | "409" | "503" | "529" => Fault::Overloaded,
        "500" | "502-html" => Fault::ServerError,
        "close" | "cut" | "cut-at-once" | "cut-json" => Fault::CutOff,
        "ends-early" | "ends-early-done" => Fault::EndedEarly,
        "broken-chunk" => Fault::BrokenChunk,
        "stall-head" | "stall-first" | "stall-comments" => Fault::TimeoutFirstToken,
        "stall-idle" => Fault::TimeoutIdle,
        "for-ever" => Fault::TimeoutTotal,
        "html" => Fault::NotAStream,
        "not-json" => Fault::NotJson,
        "error-in-body" | "error-event" => Fault::ErrorInBody,
        "empty" => Fault::EmptyAnswer,
        "too-large" => Fault::TooLarge,
        name if name.starts_with("429") => Fault::RateLimited,
        name => panic!("nothing is expected of `{name}`"),
    };
    (fault, None)
}

#[tokio::test]
async fn a_fault_has_its_name_its_delay_and_one_request() {
    let bench = Bench::start().await;
    for name in FAULTS {
        let endpoint = match name {
            "stall-head" | "stall-first" | "stall-comments" => "hasty-first",
            "stall-idle" => "hasty-idle",
            "for-ever" => "hasty-total",
            _ => "streams",
        };
        let (result, _) = bench.ask(endpoint, &format!("fault:{name}")).await;
        let told = serde_json::to_string(&result).unwrap();
        assert!(!told.contains(KEY), "{name} tells the key: {told}");
        let ModelResult::Failed { failure, fault, candidates, lost } = result else { panic!("{name}: {result:?}") };
        let (named, delay) = expected(name);
        assert_eq!(fault, named, "{name}: {failure}");
        assert_eq!(failure.code, format!("model.{fault}"));
        assert_eq!(failure.retry_after, delay.map(Duration::from_millis), "{name}");
        assert_eq!(candidates, 1, "{name}");
        let begun =
            ["cut", "ends-early", "ends-early-done", "broken-chunk", "stall-idle", "for-ever", "error-event", "empty"];
        let received = begun.contains(&name);
        let output = lost.map_or(0, |lost| lost.output_tokens);
        assert_eq!(output > 0, received, "{name} lost {lost:?}");
    }
    bench.was_asked_once_for_each().await;
}

#[tokio::test]
async fn answers_that_were_read_to_their_end_leave_the_connection_to_the_next_call() {
    let bench = Bench::start().await;
    for _ in 0..20 {
        for (endpoint, model) in [("streams", "deviate:none"), ("whole", "deviate:none"), ("streams", "fault:503")] {
            bench.ask(endpoint, model).await;
        }
    }
    let made = bench.connections().await;
    assert!(made <= 4, "{made} connections were made for 60 calls");
}

#[tokio::test]
async fn whatever_becomes_of_a_call_the_entity_hears_of_it() {
    let bench = Bench::start().await;
    let effect = bench.effect("no such endpoint", "m");
    let ModelResult::Failed { fault, candidates, .. } = bench.perform(effect).await.unwrap().result else { panic!() };
    assert_eq!((fault, candidates), (Fault::NoCandidate, 0));
    let mut effect = bench.effect("streams", "deviate:none");
    let outcome = bench.panicked(&effect);
    assert_eq!((outcome.key, outcome.attempt), (effect.request.key.clone(), effect.request.attempt));
    assert!(matches!(outcome.result, ModelResult::Failed { fault: Fault::Performer, .. }));
    let mut unreadable = effect.clone();
    unreadable.request.input = bytes::Bytes::from_static(b"{}");
    let outcome = bench.perform(unreadable).await.unwrap();
    assert!(matches!(outcome.result, ModelResult::Failed { fault: Fault::Performer, .. }));
    // The step's own time ends a call as well.
    effect = bench.effect("streams", "fault:stall-head");
    effect.request.timeout = Some(Duration::from_millis(100));
    let outcome = bench.perform(effect).await.unwrap();
    assert!(matches!(outcome.result, ModelResult::Failed { fault: Fault::TimeoutTotal, .. }));
}

#[tokio::test]
async fn texts_become_vectors_or_a_named_fault() {
    let bench = Bench::start().await;
    let embedded = bench.embed("streams", &["a", "b", "a"]).await.unwrap();
    let [a, b, again] = embedded.vectors.as_slice() else { panic!("{embedded:?}") };
    assert_eq!((a, a.len()), (again, 8));
    assert_ne!(a, b);
    assert_eq!((embedded.usage.input_tokens, embedded.usage.estimated), (3, false));
    let refused = bench.embed("no such endpoint", &["a"]).await.unwrap_err();
    assert_eq!(refused.fault, Fault::NoCandidate, "{refused}");
    let refused = bench.embed("nobody", &["a"]).await.unwrap_err();
    assert_eq!(refused.fault, Fault::Connect, "{refused}");
    assert!(!refused.to_string().contains(KEY));
}

#[tokio::test]
async fn nobody_listening_is_no_connection_and_may_be_tried_elsewhere() {
    let bench = Bench::start().await;
    let (result, _) = bench.ask("nobody", "fault:500").await;
    let ModelResult::Failed { failure, fault, .. } = result else { panic!("{result:?}") };
    assert_eq!((fault, failure.class), (Fault::Connect, FailureClass::External));
    assert!(fault.again() && fault.elsewhere());
}

#[tokio::test]
async fn what_an_earlier_life_may_have_sent_is_not_sent_again() {
    let bench = Bench::start().await;
    let effect = bench.effect("streams", "deviate:none");
    let effect = mesh_kernel::ports::effects::EffectCall { asked_before: true, ..effect };
    assert_eq!(bench.perform(effect).await.unwrap().result, ModelResult::Unknown {});
    assert!(bench.seen().await.is_empty());
}

#[tokio::test]
async fn a_call_that_nobody_wants_any_more_tells_nothing_and_ends_the_request() {
    let bench = Bench::start().await;
    let effect = bench.effect("streams", "fault:stall-idle");
    let cancelled = effect.cancelled.clone();
    let (outcome, ()) = tokio::join!(bench.perform(effect), async {
        bench.text_came().await;
        cancelled.cancel();
    });
    assert!(outcome.is_none());
    // The endpoint would go on writing, and asking for money, as long as the connection stays.
    while bench.open().await > 0 {}
}

#[tokio::test]
async fn a_conversation_goes_by_its_script_also_when_a_turn_is_asked_for_again() {
    let bench = Bench::start().await;
    bench
        .script(json!({"model": "scripted", "answers": [
            {"text": "let me look", "reasoning": "hm", "pieces": 4, "toolCalls": [{"name": "look", "arguments": {"at": "x"}}]},
            {"text": "it is there", "delayMs": 1, "faults": ["503", "cut"]},
        ]}))
        .await;
    let first = answered("first", bench.ask("streams", "scripted").await.0);
    assert_eq!(first.said.extra["reasoning_content"], "hm");
    let again = answered("again", bench.ask("streams", "scripted").await.0);
    assert_eq!(first, again);
    let request = support::request(vec![
        support::user("where?"),
        mesh_skills::models::chat::Message::Assistant(first.said),
        mesh_skills::models::chat::Message::Tool { call: "call_0".into(), text: "seen".into() },
    ]);
    let mut faults = Vec::new();
    let said = loop {
        match bench.ask_this("streams", "scripted", request.clone()).await {
            ModelResult::Answered { answer, .. } => break answer.said.text,
            ModelResult::Failed { fault, .. } => faults.push(fault),
            other => panic!("{other:?}"),
        }
        assert!(faults.len() < 5);
    };
    assert_eq!((said.as_str(), faults), ("it is there", vec![Fault::Overloaded, Fault::CutOff]));
}

#[tokio::test]
async fn what_was_recorded_from_an_endpoint_is_played_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let models =
        ["deviate:none", "deviate:cut-anywhere", "deviate:json-for-a-stream", "fault:429-retry-after", "fault:cut"];
    let bench = Bench::with_cassette(folder.path(), Mode::Record).await;
    let mut recorded = Vec::new();
    for model in models {
        recorded.push(outcome_of(bench.ask("streams", model).await.0));
    }
    assert_eq!(bench.seen().await.len(), models.len());
    let bench = Bench::with_cassette(folder.path(), Mode::Replay).await;
    for (model, recorded) in models.into_iter().zip(recorded) {
        assert_eq!(outcome_of(bench.ask("streams", model).await.0), recorded, "{model}");
    }
    let (result, _) = bench.ask("streams", "deviate:no-id").await;
    assert!(matches!(result, ModelResult::Failed { fault: Fault::NoCassetteEntry, .. }), "{result:?}");
    assert!(bench.seen().await.is_empty());
    let index = std::fs::read_to_string(folder.path().join("index.jsonl")).unwrap();
    assert_eq!(index.lines().count(), models.len());
    assert!(!index.contains(KEY) && !index.to_lowercase().contains("authorization"), "{index}");
}

/// What does not depend on how fast it was.
fn outcome_of(result: ModelResult) -> Result<Answer, (Fault, Option<Duration>)> {
    match result {
        ModelResult::Answered { answer, .. } => Ok(answer),
        ModelResult::Failed { failure, fault, .. } => Err((fault, failure.retry_after)),
        other => panic!("{other:?}"),
    }
}

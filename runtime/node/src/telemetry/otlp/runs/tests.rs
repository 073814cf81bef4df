//! Histories and the spans that they make.

use mesh_kernel::ports::Digest;
use mesh_kernel::{
    entity::encode_tagged,
    envelope::{EventId, Headers, Principal, TraceId},
};
use mesh_workflows::run::{DefinitionRef, End};
use serde_json::json;

use super::*;

const RUN: &str = "acme/control-plane/run/run-1";

fn event(second: i64, event: &Event) -> Envelope {
    let payload = encode_tagged(event, 1).unwrap();
    let subject: Address = RUN.parse().unwrap();
    let event_id = EventId::parse(&format!("evt-{second}")).unwrap();
    let mut headers = Headers::new(subject.clone(), Principal::system("test"));
    headers.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    Envelope {
        event_type: payload.name,
        tenant_id: subject.tenant().clone(),
        project_id: None,
        module_id: None,
        trace_id: TraceId::parse("trace-0190a5c2-7d7b-7c3e-9b1a-0123456789ab").unwrap(),
        correlation_id: (&event_id).into(),
        causation_id: event_id.clone(),
        event_id,
        occurred_at: Timestamp::from_unix_nanos(second * 1_000_000_000),
        payload: payload.bytes,
        headers,
    }
}

fn submitted() -> Event {
    let submit = SubmitRun {
        definition: DefinitionRef { name: "order".into(), version: 3, digest: Digest::of(b"x") },
        workflow: (&json!({ "steps": [{ "id": "pay", "skill": "http.post" }] })).into(),
        input: json!({}),
        request_id: None,
        body: None,
        project: None,
        labels: Default::default(),
        submitted_by: Some("key:ann".into()),
        parent: None,
    };
    Event::RunSubmitted(Box::new(submit))
}

fn requested(attempt: u32) -> Event {
    Event::StepRequested { step: "pay".into(), item: None, attempt, input: json!({}).into(), due: None }
}

fn no() -> std::sync::Arc<Failure> {
    Failure::external("http.refused", "nobody answers").into()
}

fn failed_run() -> Vec<Envelope> {
    let first = Event::AttemptFailed {
        step: "pay".into(),
        item: None,
        attempt: 1,
        failure: no(),
        retry_at: Timestamp::default(),
        log: None,
    };
    let last = Event::StepFailed { step: "pay".into(), item: None, attempt: 2, failure: no(), log: None };
    let end = Event::RunFailed { failure: no(), step: Some("pay".into()), end: End::default() };
    let events = [submitted(), Event::RunStarted {}, requested(1), first, requested(2), last, end];
    events.iter().zip(1..).map(|(told, second)| event(second, told)).collect()
}

fn told(history: &[Envelope]) -> Vec<Span> {
    spans(history, &Sampler::named("always_on", None).unwrap())
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no `{name}` in {names:?}"))
}

fn seconds(span: &Span) -> (u64, u64) {
    (span.start_time_unix_nano / 1_000_000_000, span.end_time_unix_nano / 1_000_000_000)
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == 2 && status.message == "nobody answers")
}

#[test]
fn a_run_is_one_tree_with_the_times_of_its_events() {
    let spans = told(&failed_run());
    assert_eq!(spans.len(), 4);
    let [root, step, one, two] = ["run order", "step pay", "pay #1", "pay #2"].map(|name| named(&spans, name));
    assert_eq!([root, step, one, two].map(seconds), [(1, 7), (3, 6), (3, 4), (5, 6)]);
    assert!(root.parent_span_id.is_empty());
    assert_eq!(step.parent_span_id, root.span_id);
    assert_eq!((&one.parent_span_id, &two.parent_span_id), (&step.span_id, &step.span_id));
    assert!([root, step, one, two].into_iter().all(is_error));
    assert!(spans.iter().all(|span| span.trace_id == root.trace_id));
    assert_eq!(root.links.len(), 1, "the caller's own span is linked");
    assert!(one.attributes.contains(&span::pair("mesh.skill", "http.post")));
    assert_eq!(told(&failed_run()), spans, "told twice it is not the same");
}

#[test]
fn a_retried_run_is_told_as_a_round_of_its_own() {
    let mut history = failed_run();
    let retried = Event::RunRetried { by: "key:ann".into(), from_step: None, reset: vec!["pay".into()] };
    let ok =
        Event::StepSucceeded { step: "pay".into(), item: None, attempt: 3, output: None, log: None, taint: Vec::new() };
    let end = Event::RunSucceeded { outputs: json!({}).into(), taint: Vec::new(), end: End::default() };
    let before = told(&history);
    history.push(event(10, &retried));
    assert!(told(&history).is_empty(), "a run that goes on was told");
    history.extend([event(11, &requested(3)), event(12, &ok), event(13, &end)]);
    let spans = told(&history);
    assert_eq!(spans.len(), 3);
    let root = named(&spans, "run order");
    assert_eq!((seconds(root), root.status.as_ref().unwrap().code), ((10, 13), 1));
    assert_eq!(root.links[0].span_id, named(&before, "run order").span_id);
    assert!(spans.iter().all(|span| before.iter().all(|old| old.span_id != span.span_id)));
}

#[test]
fn a_child_hangs_below_the_attempt_that_asked_for_it() {
    let parent = mesh_workflows::run::Parent {
        run: RUN.parse().unwrap(),
        step: "call".into(),
        item: None,
        depth: 1,
        taint: Vec::new(),
    };
    let asked = Event::ChildRequested {
        step: "call".into(),
        item: None,
        attempt: 1,
        child: "run-1".into(),
        definition: "order".into(),
        version: None,
        input: json!({}).into(),
        parent: parent.clone(),
        due: None,
    };
    let end = Event::RunSucceeded { outputs: json!({}).into(), taint: Vec::new(), end: End::default() };
    let above = told(&[event(1, &submitted()), event(2, &asked), event(3, &end)]);
    let Event::RunSubmitted(mut submit) = submitted() else { unreachable!() };
    submit.parent = Some(parent);
    let below = told(&[event(2, &Event::RunSubmitted(submit)), event(3, &end)]);
    assert_eq!(named(&below, "run order").parent_span_id, named(&above, "call #1").span_id);
}

#[test]
fn what_is_not_sampled_is_not_told_at_all() {
    assert!(spans(&failed_run(), &Sampler::OFF).is_empty());
}

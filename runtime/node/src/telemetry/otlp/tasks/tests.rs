//! Histories of tasks and the spans that they make.

use mesh_kernel::{
    entity::encode_tagged,
    envelope::{EventId, Headers, Principal, TraceId},
    ports::Digest,
};
use mesh_skills::models::{Fault, chat};
use serde_json::json;

use super::*;

const TASK: &str = "acme/agent-mesh/task/task-1";
const TRACE: [u8; 16] = [7; 16];

fn history(events: &[Event]) -> Vec<Envelope> {
    let told = |(event, second): (&Event, i64)| {
        let payload = encode_tagged(event, 1).unwrap();
        let subject: Address = TASK.parse().unwrap();
        let event_id = EventId::parse(&format!("evt-{second}")).unwrap();
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
            headers: Headers::new(subject, Principal::system("test")),
        }
    };
    events.iter().zip(1..).map(told).collect()
}

fn assigned() -> Event {
    let assigned = AssignTask {
        agent: "clerk".to_owned(),
        version: 0,
        goal: "a secret goal".to_owned(),
        input: json!({ "letter": "a secret letter" }),
        parent: None,
        submitted_by: "key:ann".to_owned(),
        taint: Vec::new(),
        project: String::new(),
        run: String::new(),
        depth: 0,
        most: Default::default(),
    };
    Event::AgentTaskAssigned(Box::new(assigned))
}

fn asked(attempt: u32) -> Event {
    let digest = Digest::of(b"x");
    Event::ModelCallRequested { turn: 1, attempt, candidate: 0, digest, reserved: 0, reserved_cost: 0 }
}

fn failed(attempt: u32) -> Event {
    let failure = Failure::external("model.rate-limited", "a secret reason").into();
    let fault = Fault::RateLimited;
    Event::ModelCallFailed { turn: 1, attempt, fault, failure, lost: None, lost_cost: 0, retry_at: None, next: 0 }
}

fn answered(estimated: bool) -> Event {
    let said = chat::Said { text: "a secret answer".to_owned(), ..chat::Said::default() };
    let usage = chat::Usage { input_tokens: 9, output_tokens: 3, estimated, ..chat::Usage::default() };
    let answer = Answer { said, finish: Finish::Stop, usage, id: None, model: Some("small-2026".to_owned()) };
    let by = By { endpoint: "local".to_owned(), model: "small".to_owned(), prices: String::new() };
    let (answer, cost) = (Arc::new(answer), Default::default());
    Event::ModelCallAnswered { turn: 1, attempt: 2, answer, by, cost, took_ms: 5, first_token_ms: None }
}

fn told(events: &[Event]) -> Vec<Span> {
    spans(&history(events), TRACE, Timestamp::from_unix_nanos(100_000_000_000))
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no `{name}` in {names:?}"))
}

fn seconds(span: &Span) -> (u64, u64) {
    (span.start_time_unix_nano / 1_000_000_000, span.end_time_unix_nano / 1_000_000_000)
}

fn has(span: &Span, key: &str) -> bool {
    span.attributes.iter().any(|known| known.key == key)
}

#[test]
fn one_call_covers_its_attempts_and_nothing_that_was_said_is_told() {
    let done = Event::AgentTaskCompleted {
        output: Arc::new(json!("a secret output")),
        spent: Default::default(),
        parent: None,
        taint: Vec::new(),
    };
    let unknown = Event::ModelCallOutcomeUnknown { turn: 1, attempt: 2 };
    let events = [assigned(), asked(1), failed(1), asked(2), unknown, asked(3), answered(false), done];
    let spans = told(&events);
    assert_eq!(spans.len(), 2);
    let (agent, chat) = (named(&spans, "invoke_agent clerk"), named(&spans, "chat small"));
    assert_eq!((seconds(agent), seconds(chat)), ((1, 8), (2, 7)));
    assert_eq!(agent.parent_span_id, ids::asked_for("acme", "task-1"));
    let attempts: Vec<&str> = chat.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(attempts, ["attempt 1: rate-limited", "attempt 2: its outcome is unknown"]);
    assert!(has(chat, genai::USAGE_INPUT_TOKENS) && !has(chat, genai::ERROR_TYPE));
    assert!(!format!("{spans:?}").contains("secret"), "{spans:?}");
    assert_eq!(told(&events), spans, "told twice it is not the same");
}

#[test]
fn what_we_guess_ourselves_is_not_told_as_usage() {
    let spans = told(&[assigned(), asked(1), answered(true)]);
    assert!(!has(named(&spans, "chat small"), genai::USAGE_INPUT_TOKENS));
}

#[test]
fn a_call_without_an_answer_ends_with_its_last_fault_and_a_task_that_goes_on_with_its_run() {
    let spans = told(&[assigned(), asked(1), failed(1)]);
    let (agent, chat) = (named(&spans, "invoke_agent clerk"), named(&spans, "chat"));
    assert_eq!((seconds(agent), seconds(chat)), ((1, 100), (2, 3)));
    assert!(chat.attributes.contains(&span::pair(genai::ERROR_TYPE, "rate-limited")));
    assert!(agent.status.is_none());
}

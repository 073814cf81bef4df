//! Tools: called in parallel, told in order, refused where they may not be called.

use mesh_kernel::BoxFuture;
use mesh_skills::contract::{Call, Skill};

use super::*;

#[test]
fn calls_of_one_turn_are_made_at_once_and_told_in_the_models_order() {
    let mut sim = Sim::begun(CLERK, json!({}));
    let names = sim.calls(&[("text_echo", json!({ "text": "a" })), ("text_echo", json!({ "text": "b" }))]);
    assert_eq!(names, ["ModelCallAnswered", "ToolCallRequested", "ToolCallRequested"]);
    let keys: BTreeSet<String> = sim.skills().iter().map(|(request, _)| request.key.to_string()).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(sim.skill(1, Ok(json!({ "text": "B" }))), ["ToolCallSucceeded"]);
    assert_eq!(sim.skill(0, Ok(json!("A"))), ["ToolCallSucceeded", "ModelCallRequested"]);
    assert_eq!(texts(&sim.asks().request.messages)[2..], ["assistant: ", "c0: A", "c1: {\"text\":\"B\"}"]);
}

#[test]
fn ids_that_a_provider_repeats_do_not_confuse_the_calls() {
    let mut sim = Sim::begun(CLERK, json!({}));
    let call = |text: &str| ToolCall {
        id: "same".into(),
        name: "text_echo".into(),
        arguments: Arguments::Object(json!({ "text": text })),
    };
    sim.model(answered(Said { tool_calls: vec![call("a"), call("b")], ..Said::default() }, Finish::ToolCalls));
    sim.skill(1, Ok(json!("B")));
    sim.skill(0, Ok(json!("A")));
    assert_eq!(texts(&sim.asks().request.messages)[3..], ["same: A", "same: B"]);
    sim.model(answered(Said { tool_calls: vec![call("c")], ..Said::default() }, Finish::ToolCalls));
    assert_eq!(sim.skills().len(), 1, "the next turn's call is another one");
}

#[test]
fn a_call_that_may_not_be_made_is_told_to_the_model_and_the_task_goes_on() {
    let mut sim = Sim::begun(CLERK, json!({}));
    let names = sim.calls(&[("shell", json!({})), ("text_echo", json!({ "text": "a" }))]);
    assert_eq!(names, ["ModelCallAnswered", "ToolCallRefused", "ToolCallRequested"]);
    sim.skill(0, Ok(json!("A")));
    assert!(texts(&sim.asks().request.messages)[3].contains("there is no tool `shell`: there are text_echo"));
    let unreadable =
        ToolCall { id: "u".into(), name: "text_echo".into(), arguments: Arguments::Unreadable("{\"text\":".into()) };
    let said = Said { tool_calls: vec![unreadable], ..Said::default() };
    let names = sim.model(answered(said, Finish::ToolCalls));
    assert_eq!(names, ["ModelCallAnswered", "ToolCallRefused", "ModelCallRequested"]);
}

#[test]
fn the_same_call_again_and_again_is_refused_in_the_end() {
    let mut sim = Sim::begun(CLERK, json!({}));
    for _ in 0..3 {
        sim.calls(&[("text_echo", json!({ "text": "a" }))]);
        sim.skill(0, Ok(json!("A")));
    }
    let names = sim.calls(&[("text_echo", json!({ "text": "a" }))]);
    assert_eq!(names, ["ModelCallAnswered", "ToolCallRefused", "ModelCallRequested"]);
    sim.calls(&[("text_echo", json!({ "text": "b" }))]);
    assert_eq!(sim.skills().len(), 1);
}

#[test]
fn a_task_that_wants_more_tools_than_it_may_waits_for_a_person() {
    let mut sim = Sim::begun(&format!("{CLERK}limits: {{ toolCalls: 1 }}\n"), json!({}));
    sim.calls(&[("text_echo", json!({ "text": "a" })), ("text_echo", json!({ "text": "b" }))]);
    assert_eq!(sim.skills().len(), 1);
    sim.skill(0, Ok(json!("A")));
    let names = sim.calls(&[("text_echo", json!({ "text": "c" }))]);
    assert_eq!(names, ["ModelCallAnswered", "ToolCallRefused", "AgentTaskEscalated"]);
    sim.send(Command::ResumeTask { tokens: 0, cost: 0 }).unwrap();
    sim.calls(&[("text_echo", json!({ "text": "c" }))]);
    assert_eq!(sim.skills().len(), 1, "who was helped on may call as many again");
}

#[test]
fn what_fails_outside_is_tried_again_under_the_same_name_and_then_told() {
    let mut sim = Sim::begun(CLERK, json!({}));
    sim.calls(&[("text_echo", json!({ "text": "a" }))]);
    let shown = |sim: &Sim| sim.skills()[0].1.idempotency_key.clone();
    let first = shown(&sim);
    for attempt in 2..=3 {
        assert_eq!(sim.skill(0, Err(Failure::external("x", "down"))), ["ToolAttemptFailed"]);
        assert_eq!(sim.fire("tool:0"), ["ToolAttemptStarted"]);
        assert_eq!((shown(&sim), sim.skills()[0].0.attempt), (first.clone(), attempt));
    }
    assert_eq!(sim.skill(0, Err(Failure::external("x", "down"))), ["ToolCallFailed", "ModelCallRequested"]);
    assert_eq!(texts(&sim.asks().request.messages)[3], "c0: error: down (x, external)");
    sim.calls(&[("text_echo", json!({ "text": "b" }))]);
    let names = sim.skill(0, Err(Failure::validation("v", "wrong input")));
    assert_eq!(names, ["ToolCallFailed", "ModelCallRequested"], "what is wrong is not tried again");
}

#[test]
fn a_tool_that_can_be_computed_stands_in_one_append_with_its_call() {
    struct Upper(Manifest);
    impl Skill for Upper {
        fn manifest(&self) -> &Manifest {
            &self.0
        }

        fn call<'a>(&'a self, _: Call) -> BoxFuture<'a, Result<Value, Failure>> {
            Box::pin(async { Ok(json!("never")) })
        }

        fn compute(&self, input: &Value) -> Option<Result<Value, Failure>> {
            Some(Ok(json!(input["text"].as_str().unwrap_or_default().to_uppercase())))
        }
    }
    let upper: Arc<dyn Skill> = Arc::new(Upper(Manifest::new("text.echo", "x").at_once()));
    let mut sim = Sim::computing(CLERK, json!({}), Registry::new([upper]).unwrap());
    let names = sim.calls(&[("text_echo", json!({ "text": "a" }))]);
    assert_eq!(names, ["ModelCallAnswered", "ToolCallRequested", "ToolCallSucceeded", "ModelCallRequested"]);
    assert_eq!(texts(&sim.asks().request.messages)[3], "c0: A");
}

#[test]
fn a_result_that_is_long_is_cut_and_says_so() {
    let mut sim = Sim::begun(CLERK, json!({}));
    sim.calls(&[("text_echo", json!({}))]);
    sim.skill(0, Ok(json!("é".repeat(40_000))));
    let told = texts(&sim.asks().request.messages).remove(3);
    assert!(told.len() < 33_000 && told.ends_with("(cut: 80000 bytes in all)"), "{}", told.len());
}

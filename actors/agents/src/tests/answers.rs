//! What an agent gives: taken, corrected, looked at.

use super::*;

const TYPED: &str = "name: clerk\ninstructions: sort\noutput: { type: object, required: [n], properties: { n: { type: integer } } }\nlimits: { corrections: 1 }\n";

#[test]
fn a_task_goes_from_its_assignment_to_its_output_in_events_that_have_names() {
    let mut sim = Sim::begun(CLERK, json!({ "letters": 3 }));
    let asked = sim.asks();
    assert_eq!((asked.class.as_str(), asked.attempt_id.as_str()), ("default", "task-1/1/model/1"));
    assert_eq!(texts(&asked.request.messages), ["system: sort letters", "user: sort it\n\nInput:\n{\"letters\":3}"]);
    assert_eq!(asked.request.tools[0].name, "text_echo");
    assert_eq!(sim.says("done"), ["ModelCallAnswered", "ValidationPassed", "AgentTaskCompleted"]);
    let names: Vec<&str> = sim.log.iter().map(|(payload, _)| payload.name.as_ref()).collect();
    assert_eq!(names[..4], ["AgentTaskAssigned", "TaskClaimed", "ContextLoaded", "ModelCallRequested"]);
    assert_eq!(sim.task.output.as_deref(), Some(&json!({ "text": "done" })));
    let Some(Event::AgentTaskCompleted { parent, spent, .. }) = sim.events.last() else { panic!() };
    assert_eq!(parent.as_ref().unwrap().step, "ask");
    assert_eq!((spent.input_tokens, spent.output_tokens, spent.cost, spent.turns), (100, 20, 10, 1));
}

#[test]
fn what_does_not_fit_the_schema_is_told_precisely_and_given_again() {
    let mut sim = Sim::begun(TYPED, json!({}));
    let names = sim.says("{\"n\": \"three\"}");
    assert_eq!(names, ["ModelCallAnswered", "ValidationFailed", "CorrectionAttempted", "ModelCallRequested"]);
    let messages = texts(&sim.asks().request.messages);
    assert!(messages.last().unwrap().contains("`/n`") && messages.last().unwrap().contains("integer"), "{messages:?}");
    sim.says("```json\n{\"n\": 3}\n```");
    assert_eq!(sim.task.output.as_deref(), Some(&json!({ "n": 3 })));
}

#[test]
fn when_corrections_are_used_up_a_person_is_asked_and_can_help_it_on() {
    let mut sim = Sim::begun(TYPED, json!({}));
    sim.says("three");
    assert_eq!(sim.says("four"), ["ModelCallAnswered", "ValidationFailed", "AgentTaskEscalated"]);
    assert!(sim.wants().effects.is_empty() && sim.wants().timers.is_empty(), "its clock stands");
    let names = sim.send(Command::RedirectTask { note: "answer with {\"n\": 4}".into() }).unwrap();
    assert_eq!(names, ["TaskRedirected", "ModelCallRequested"]);
    assert_eq!(texts(&sim.asks().request.messages).last().unwrap(), "user: answer with {\"n\": 4}");
    sim.says("no");
    sim.says("{\"n\": 4}");
    assert_eq!(sim.task.phase, Phase::Completed);
}

#[test]
fn an_agent_that_shall_not_escalate_fails_with_what_is_wrong() {
    let mut sim = Sim::begun(&format!("{TYPED}exhausted: fail\n"), json!({}));
    sim.says("three");
    sim.says("four");
    let failure = sim.task.failure.as_ref().unwrap();
    assert_eq!((sim.task.phase, failure.code.as_str()), (Phase::Failed, "agent.corrections"));
    assert!(failure.message.contains("not one JSON value"), "{failure}");
}

#[test]
fn an_answer_that_was_cut_or_refused_is_no_output() {
    for (said, finish) in [
        (Said { text: "half".into(), ..Said::default() }, Finish::Length),
        (Said { refusal: Some("I may not".into()), ..Said::default() }, Finish::Stop),
        (Said::default(), Finish::ContentFilter),
    ] {
        let mut sim = Sim::begun(CLERK, json!({}));
        let names = sim.model(answered(said, finish.clone()));
        assert_eq!(names[1..], ["ValidationFailed", "CorrectionAttempted", "ModelCallRequested"], "{finish:?}");
    }
}

#[test]
fn a_check_that_finds_fault_has_the_agent_correct_itself() {
    let source = "name: clerk\ninstructions: sort\nchecks: [{ skill: code.test, with: { strict: true } }, { skill: code.lint }]\n";
    let mut sim = Sim::begun(source, json!({ "x": 1 }));
    assert_eq!(sim.says("fn a() {}"), ["ModelCallAnswered", "CheckRequested"]);
    assert_eq!(sim.task.phase, Phase::Validating);
    let call = sim.skills().remove(0).1;
    assert_eq!(call.input, json!({ "strict": true, "output": { "text": "fn a() {}" }, "input": { "x": 1 } }));
    sim.skill(0, Ok(json!({ "passed": false, "message": "a test failed" })));
    assert!(
        texts(&sim.asks().request.messages)
            .last()
            .unwrap()
            .contains("`code.test` looked at your answer and says: a test failed")
    );
    sim.says("fn b() {}");
    assert_eq!(sim.skill(0, Err(Failure::external("x", "no disk"))), ["CheckAttemptFailed"]);
    assert_eq!(sim.fire("check"), ["CheckAttemptStarted"]);
    assert_eq!(sim.skill(0, Ok(json!({ "passed": true }))), ["CheckRequested"]);
    assert_eq!(sim.skill(0, Ok(Value::Null)), ["ValidationPassed", "AgentTaskCompleted"]);
    assert_eq!(sim.task.output.as_deref(), Some(&json!({ "text": "fn b() {}" })));
}

#[test]
fn a_check_that_is_broken_fails_the_task_and_not_what_it_looked_at() {
    let mut sim = Sim::begun("name: clerk\ninstructions: sort\nchecks: [{ skill: code.test }]\n", json!({}));
    sim.says("x");
    for _ in 0..2 {
        sim.skill(0, Err(Failure::internal("x", "a bug")));
        sim.fire("check");
    }
    sim.skill(0, Err(Failure::internal("x", "a bug")));
    assert_eq!((sim.task.phase, sim.task.failure.unwrap().code.as_str()), (Phase::Failed, "x"));
}

#[test]
fn an_input_that_does_not_fit_and_an_agent_that_is_not_there_fail_the_task_before_a_model_is_asked() {
    let source = "name: clerk\ninstructions: sort\ninput: { type: object, required: [letters] }\n";
    let sim = Sim::begun(source, json!({ "x": 1 }));
    assert_eq!((sim.task.phase, sim.task.spent.model_calls), (Phase::Failed, 0));
    let mut sim = Sim::absent();
    sim.send(Command::AssignAgentTask(Box::new(assigned(json!({}))))).unwrap();
    let key = sim.effect(context::HANDLER).key;
    let result = ContextResult::Failed { failure: Failure::validation("agent.unknown", "no such agent") };
    sim.send(Command::RecordContext(Box::new(ContextOutcome { key, result }))).unwrap();
    assert_eq!(sim.task.failure.unwrap().code, "agent.unknown");
}

//! Models: asked once for each attempt that was recorded, again where that may help.

use super::*;

#[test]
fn a_fault_falls_back_at_once_and_then_begins_again_after_a_pause() {
    let mut sim = Sim::begun(CLERK, json!({}));
    assert_eq!(sim.fails(Fault::ServerError, 2), ["ModelCallFailed", "ModelCallRequested"]);
    assert_eq!((sim.asks().candidate, sim.asks().attempt_id.as_str()), (1, "task-1/1/model/2"));
    assert_eq!(sim.fails(Fault::RateLimited, 2), ["ModelCallFailed"]);
    assert!(sim.wants().effects.is_empty());
    assert_eq!(sim.fire("answer"), ["ModelCallRequested"]);
    assert_eq!((sim.asks().candidate, sim.asks().attempt_id.as_str()), (0, "task-1/1/model/3"));
    sim.says("done");
    assert_eq!(sim.task.phase, Phase::Completed);
    assert_eq!(sim.asked.len(), 3);
}

#[test]
fn a_provider_that_asks_for_time_is_given_it_up_to_a_bound() {
    for (asked, least, most) in [(30, 30, 31), (3600, 120, 121), (0, 1, 2)] {
        let mut sim = Sim::begun(CLERK, json!({}));
        let failure = Fault::RateLimited.failure("later").after(Duration::from_secs(asked));
        sim.model(ModelResult::Failed { failure, fault: Fault::RateLimited, candidates: 1, lost: None });
        let wait = sim.wants().timers.iter().find(|timer| timer.name == "answer").unwrap().due.since(sim.now);
        assert!(wait.as_secs() >= least && wait.as_secs() < most, "{asked}: {wait:?}");
    }
}

#[test]
fn what_cannot_help_is_not_tried_again_and_tries_have_an_end() {
    let mut sim = Sim::begun(CLERK, json!({}));
    assert_eq!(sim.fails(Fault::BadRequest, 2), ["ModelCallFailed", "AgentTaskFailed"]);
    assert_eq!(sim.task.failure.as_ref().unwrap().code, "model.bad-request");
    let mut sim = Sim::begun(&format!("{CLERK}limits: {{ attempts: 2 }}\n"), json!({}));
    sim.fails(Fault::Connect, 1);
    sim.fire("answer");
    assert_eq!(sim.fails(Fault::Connect, 1), ["ModelCallFailed", "AgentTaskFailed"]);
}

#[test]
fn an_attempt_of_which_nobody_knows_is_counted_and_asked_again_under_another_name() {
    let mut sim = Sim::begun(CLERK, json!({}));
    let before = sim.effect("model");
    let names = sim.model(ModelResult::Unknown {});
    assert_eq!(names, ["ModelCallOutcomeUnknown", "ModelCallRequested"]);
    let after = sim.effect("model");
    assert_ne!(before.key, after.key);
    assert_eq!(sim.asks().attempt_id, "task-1/1/model/2");
    assert!(sim.task.spent.lost_tokens > 4096, "what was reserved counts as spent");
    let late = ModelOutcome {
        echo: Value::Null,
        key: before.key,
        attempt: 1,
        result: answered(Said { text: "late".into(), ..Said::default() }, Finish::Stop),
    };
    let refused = sim.send(Command::RecordModelOutcome(Box::new(late))).unwrap_err();
    assert!(matches!(refused, Error::Late { .. }), "{refused}");
}

#[test]
fn the_turns_of_a_task_have_an_end() {
    let mut sim = Sim::begun(&format!("{CLERK}limits: {{ turns: 2 }}\n"), json!({}));
    for text in ["a", "b"] {
        sim.calls(&[("text_echo", json!({ "text": text }))]);
        sim.skill(0, Ok(json!("A")));
    }
    assert_eq!(sim.task.phase, Phase::Escalated);
}

#[test]
fn a_budget_warns_and_then_waits_for_a_person_and_is_never_overrun_by_more_than_one_call() {
    let source = format!("{CLERK}model: {{ class: small, maxTokens: 100 }}\nbudget: {{ tokens: 1000 }}\n");
    let mut sim = Sim::begun(&source, json!({}));
    let mut warned = false;
    for n in 0.. {
        assert!(n < 20, "nothing stops it");
        assert!(sim.task.spent.tokens() <= 1000);
        sim.calls(&[("text_echo", json!({ "text": n.to_string() }))]);
        let names = sim.skill(0, Ok(json!("A")));
        warned |= names.contains(&"BudgetWarned".to_owned());
        if names.contains(&"BudgetExhausted".to_owned()) {
            break;
        }
    }
    assert!(warned && sim.wants().effects.is_empty());
    assert_eq!(sim.decider.view(&sim.task, "")["state"], "Paused");
    let names = sim.send(Command::ResumeTask { tokens: 1000, cost: 0 }).unwrap();
    assert_eq!(names, ["TaskResumed", "ModelCallRequested"]);
    let source = format!("{CLERK}budget: {{ cost: 10 }}\n");
    let mut sim = Sim::begun(&source, json!({}));
    sim.calls(&[("text_echo", json!({}))]);
    assert_eq!(sim.skill(0, Ok(json!("A"))), ["ToolCallSucceeded", "BudgetExhausted"]);
}

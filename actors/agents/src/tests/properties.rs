//! Random outcomes and random people in random order: what must hold always.
//!
//! What holds at every moment is checked by [`Sim::holds`] after each command.

use proptest::prelude::*;

use super::*;

const ANY: &str = "name: clerk\nmodel: { class: small, maxTokens: 200 }\ninstructions: sort\nskills: [text.echo, value.pass, web.fetch, mail.send]\nagents: [helper]\noutput: { type: object, required: [n] }\nchecks: [{ skill: code.test }]\nlimits: { turns: 6, toolCalls: 5, corrections: 2, attempts: 3 }\nbudget: { tokens: 6000 }\n";

fn act(sim: &mut Sim, choice: u32) {
    let pick = (choice / 32) as usize;
    match choice % 16 {
        0 => drop(sim.send(Command::PauseTask { reason: String::new() })),
        1 => drop(sim.send(Command::ResumeTask { tokens: 500, cost: 0 })),
        2 if choice.is_multiple_of(3) => drop(sim.send(Command::RedirectTask { note: format!("note {choice}") })),
        3 if choice.is_multiple_of(41) => drop(sim.send(Command::CancelTask { reason: String::new() })),
        4 => {
            let timers = sim.wants().timers;
            if let Some(timer) = timers.get(pick % timers.len().max(1)).filter(|timer| timer.name != "deadline") {
                sim.fire(&timer.name.clone());
            }
        }
        5 if choice.is_multiple_of(5) => {
            // Something late: it changes nothing, whatever it says.
            let key = IdempotencyKey::parse("task-1.1.model.99").unwrap();
            let result = ModelResult::Unknown {};
            let late = ModelOutcome { echo: Value::Null, key, attempt: 99, result };
            assert!(sim.send(Command::RecordModelOutcome(Box::new(late))).is_err());
        }
        _ => outcome(sim, choice, pick),
    }
}

fn outcome(sim: &mut Sim, choice: u32, pick: usize) {
    if let Some(child) = sim.task.children().first().filter(|_| choice.is_multiple_of(3)) {
        let (task, output) = (child.clone(), Arc::new(json!(choice)));
        let taint = if choice.is_multiple_of(2) { vec!["skill:web.fetch".to_owned()] } else { Vec::new() };
        let (result, spent) = (crate::task::SubtaskResult::Succeeded { output }, crate::task::Spent::default());
        sim.send(Command::RecordSubtask { task, result, taint, spent }).unwrap();
        return;
    }
    let skills = sim.skills().len();
    if skills > 0 {
        let result = match choice % 7 {
            0 => Err(Failure::external("x", "down")),
            1 => Err(Failure::validation("v", "wrong")),
            2 => Ok(json!({ "passed": false })),
            _ => Ok(json!({ "passed": true, "n": choice })),
        };
        sim.skill(pick % skills, result);
        return;
    }
    if sim.wants().effects.is_empty() {
        return;
    }
    match choice % 11 {
        0 => drop(sim.model(ModelResult::Unknown {})),
        1 if choice.is_multiple_of(3) => {
            drop(sim.model(ModelResult::Withheld { message: "spent".to_owned(), stops: false }));
        }
        1 => drop(sim.fails(Fault::ServerError, 1 + choice % 3)),
        2 => drop(sim.says("not json")),
        3 => drop(sim.says("{\"n\": 1}")),
        4 => drop(sim.calls(&[("nothing", json!({})), ("value_pass", json!({ "x": choice % 3 }))])),
        5 => drop(sim.calls(&[("web_fetch", json!({ "x": choice % 5 })), ("mail_send", json!({ "x": choice % 7 }))])),
        6 => drop(sim.calls(&[("helper", json!({ "goal": choice % 5 })), ("mail_send", json!({ "x": choice % 5 }))])),
        7 => drop(sim.calls(&[("mail_send", json!({ "x": choice % 5 }))])),
        _ => drop(sim.calls(&[("text_echo", json!({ "x": choice % 5 })), ("value_pass", json!({ "x": choice % 5 }))])),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_conversation_is_whole_an_attempt_has_one_name_and_someone_moves_the_task(
        choices in prop::collection::vec(any::<u32>(), 1..80),
        asks in any::<bool>(),
    ) {
        let guard = if asks { "guard: { calls: ask }\n" } else { "" };
        let mut sim = Sim::begun(&format!("{ANY}{guard}"), json!({}));
        for choice in choices {
            act(&mut sim, choice);
        }
        super::guard::nothing_tainted_sets_off_what_is_careful(&sim.events);
        let requested = sim.events.iter().filter(|event| matches!(event, Event::ModelCallRequested { .. })).count();
        prop_assert_eq!(requested, sim.asked.len(), "two attempts have one name");
        let withheld = sim.events.iter().filter(|event| matches!(event, Event::ModelCallWithheld { .. })).count();
        prop_assert_eq!((requested - withheld) as u32, sim.task.spent.model_calls);
        let reserved = sim.events.iter().filter_map(|event| match event {
            Event::ModelCallRequested { reserved, .. } => Some(*reserved),
            _ => None,
        });
        let granted: u64 = sim.events.iter().map(|event| match event {
            Event::TaskResumed { tokens, .. } => *tokens,
            _ => 0,
        }).sum();
        prop_assert!(sim.task.spent.tokens() <= 6000 + granted + reserved.max().unwrap_or_default());
    }
}

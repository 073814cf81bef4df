//! What people do with a task.

use super::*;

#[test]
fn a_paused_task_ends_what_is_under_way_and_begins_nothing() {
    let mut sim = Sim::begun(CLERK, json!({}));
    sim.send(Command::PauseTask { reason: "lunch".into() }).unwrap();
    assert_eq!(sim.wants().effects.len(), 1, "what was asked is still answered");
    sim.calls(&[("text_echo", json!({ "text": "a" }))]);
    sim.skill(0, Ok(json!("A")));
    assert!(sim.wants().effects.is_empty() && sim.wants().timers.is_empty());
    assert_eq!(sim.decider.view(&sim.task, "")["waiting"], "to be resumed, paused by ada: lunch");
    let names = sim.send(Command::ResumeTask { tokens: 0, cost: 0 }).unwrap();
    assert_eq!(names, ["TaskResumed", "ModelCallRequested"]);
}

#[test]
fn the_time_that_a_person_takes_does_not_count() {
    let mut sim = Sim::begun(&format!("{CLERK}limits: {{ duration: 10m }}\n"), json!({}));
    sim.pass(Duration::from_secs(60));
    sim.send(Command::PauseTask { reason: String::new() }).unwrap();
    sim.pass(Duration::from_secs(3600));
    sim.send(Command::ResumeTask { tokens: 0, cost: 0 }).unwrap();
    let due = sim.wants().timers.iter().find(|timer| timer.name == "deadline").unwrap().due;
    assert_eq!(due.since(sim.now).as_secs(), 540);
    assert_eq!(sim.fire("deadline"), ["AgentTaskTimedOut"]);
    assert_eq!(sim.task.failure.as_ref().unwrap().code, "agent.timeout");
}

#[test]
fn a_note_reaches_the_agent_even_when_it_was_just_done() {
    let mut sim = Sim::begun(CLERK, json!({}));
    sim.send(Command::RedirectTask { note: "in French".into() }).unwrap();
    assert_eq!(sim.says("done"), ["ModelCallAnswered", "ModelCallRequested"]);
    assert_eq!(texts(&sim.asks().request.messages)[2..], ["assistant: done", "user: in French"]);
    sim.calls(&[("text_echo", json!({}))]);
    sim.send(Command::RedirectTask { note: "and short".into() }).unwrap();
    sim.skill(0, Ok(json!("A")));
    let told = texts(&sim.asks().request.messages);
    assert_eq!(told[4..], ["assistant: ", "c0: A", "user: and short"], "a note never parts a call from its result");
    for note in ["", " ", &"x".repeat(17 * 1024)] {
        assert!(matches!(sim.send(Command::RedirectTask { note: note.into() }), Err(Error::Note { .. })));
    }
}

#[test]
fn a_person_can_do_it_and_gives_what_the_agent_must() {
    let source = "name: clerk\ninstructions: sort\noutput: { type: object, required: [n] }\n";
    let mut sim = Sim::begun(source, json!({}));
    let refused = sim.send(Command::TakeOverTask { output: json!({}) }).unwrap_err();
    assert!(matches!(refused, Error::Output { .. }), "{refused}");
    let names = sim.send(Command::TakeOverTask { output: json!({ "n": 1 }) }).unwrap();
    assert_eq!(names, ["TaskTakenOver", "AgentTaskCompleted"]);
    assert!(sim.wants().effects.is_empty(), "nobody waits for the model any more");
}

#[test]
fn a_cancelled_task_wants_nothing_and_takes_nothing_more() {
    let mut sim = Sim::begun(CLERK, json!({}));
    assert_eq!(sim.send(Command::CancelTask { reason: "enough".into() }).unwrap(), ["AgentTaskCancelled"]);
    for command in [
        Command::PauseTask { reason: String::new() },
        Command::ResumeTask { tokens: 1, cost: 0 },
        Command::RedirectTask { note: "x".into() },
        Command::TakeOverTask { output: json!({}) },
        Command::CancelTask { reason: String::new() },
    ] {
        assert!(matches!(sim.send(command.clone()), Err(Error::State { .. })), "{command:?}");
    }
}

#[test]
fn a_task_that_was_cancelled_before_it_was_assigned_never_begins() {
    let mut sim = Sim::absent();
    let guess = sim.send(Command::CancelTask { reason: "a guess".into() }).unwrap_err();
    assert!(matches!(guess, Error::Absent { .. }), "a caller finds nothing");
    sim.by = Principal::system("reactor");
    sim.send(Command::CancelTask { reason: "the run was cancelled".into() }).unwrap();
    assert!(sim.send(Command::AssignAgentTask(Box::new(assigned(json!({}))))).unwrap().is_empty());
    assert!(sim.wants().effects.is_empty());
}

#[test]
fn the_same_assignment_again_is_the_same_task_and_another_is_refused() {
    let mut sim = Sim::begun(CLERK, json!({ "x": 1 }));
    assert!(sim.send(Command::AssignAgentTask(Box::new(assigned(json!({ "x": 1 }))))).unwrap().is_empty());
    let other = sim.send(Command::AssignAgentTask(Box::new(assigned(json!({ "x": 2 }))))).unwrap_err();
    assert!(matches!(other, Error::Other { .. }));
}

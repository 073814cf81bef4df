//! Agents that give parts of their tasks to others: budget, taint and end go with it.

use super::*;
use crate::task::{Refused, Spent, SubtaskResult};

const HEAD: &str = "name: head\ninstructions: lead\nagents: [clerk, { agent: reader, version: 2 }]\n";

fn part(agent: &str, goal: &str) -> (String, Value) {
    (agent.to_owned(), json!({ "goal": goal, "input": { "n": 1 } }))
}

fn gives(sim: &mut Sim, parts: &[(String, Value)]) -> Vec<String> {
    let parts: Vec<(&str, Value)> = parts.iter().map(|(agent, input)| (agent.as_str(), input.clone())).collect();
    sim.calls(&parts)
}

fn assigned_last(sim: &Sim) -> (String, AssignTask) {
    let last = sim.events.iter().rev().find_map(|event| match event {
        Event::SubtaskRequested { task, assign, .. } => Some((task.clone(), assign.as_ref().clone())),
        _ => None,
    });
    last.unwrap()
}

fn ends(sim: &mut Sim, task: &str, result: Result<Value, Failure>, taint: &[&str], tokens: u64) -> Vec<String> {
    let result = match result {
        Ok(output) => SubtaskResult::Succeeded { output: Arc::new(output) },
        Err(failure) => SubtaskResult::Failed { failure: Arc::new(failure) },
    };
    let taint = taint.iter().map(|source| (*source).to_owned()).collect();
    let spent = Spent { input_tokens: tokens, cost: 3, ..Spent::default() };
    sim.send(Command::RecordSubtask { task: task.to_owned(), result, taint, spent }).unwrap()
}

#[test]
fn a_part_is_given_to_another_agent_and_what_it_gives_is_told_in_order() {
    let mut sim = Sim::begun(HEAD, json!({}));
    let told: Vec<String> = sim.asks().request.tools.iter().map(|tool| tool.name.clone()).collect();
    assert_eq!(told, ["clerk", "reader"]);
    let names = gives(&mut sim, &[part("clerk", "sort"), part("reader", "read")]);
    assert_eq!(names, ["ModelCallAnswered", "SubtaskRequested", "SubtaskRequested"]);
    let (task, assign) = assigned_last(&sim);
    assert_eq!(
        (task.as_str(), assign.agent.as_str(), assign.version, assign.goal.as_str()),
        ("task-1-1-1", "reader", 2, "read")
    );
    assert_eq!((assign.run.as_str(), assign.depth, assign.project.as_str()), ("run-1", 1, "proj-1"));
    assert_eq!(assign.parent.unwrap().run, sim.address);
    assert!(sim.decider.view(&sim.task, "")["waiting"].as_str().unwrap().contains("agent `clerk` (task-1-1-0)"));
    assert_eq!(ends(&mut sim, "task-1-1-1", Ok(json!("read")), &[], 5), ["SubtaskEnded"]);
    let failure = Failure::validation("agent.input", "no letter");
    assert_eq!(ends(&mut sim, "task-1-1-0", Err(failure), &[], 5), ["SubtaskEnded", "ModelCallRequested"]);
    let told = texts(&sim.asks().request.messages).join("\n");
    assert!(told.contains("no letter") && told.ends_with("c1: read"), "{told}");
    assert_eq!(ends(&mut sim, "task-1-1-0", Ok(json!("late")), &[], 5), [""; 0], "twice");
    assert_eq!((sim.task.spent.tokens(), sim.task.spent.cost), (130, 16), "what they spent is its own");
}

#[test]
fn what_another_agent_has_read_taints_whoever_gave_it_the_part() {
    let careful = format!("{HEAD}skills: [mail.send]\n");
    let mut sim = Sim::begun(&careful, json!({}));
    gives(&mut sim, &[part("reader", "read")]);
    ends(&mut sim, "task-1-1-0", Ok(json!("mail mallory")), &["skill:web.fetch"], 1);
    let names = sim.calls(&[("mail_send", json!({ "to": "mallory" }))]);
    assert_eq!(names, ["ModelCallAnswered", "ToolCallRefused", "ModelCallRequested"]);
    gives(&mut sim, &[part("clerk", "mail mallory")]);
    assert_eq!(assigned_last(&sim).1.taint, ["skill:web.fetch"], "and goes on to the next one");
}

#[test]
fn agents_share_what_is_left_of_the_budget_and_find_an_end_in_depth() {
    let mut sim = Sim::begun(&format!("{HEAD}budget: {{ tokens: 10000 }}\n"), json!({}));
    gives(&mut sim, &[part("clerk", "a"), part("reader", "b")]);
    assert_eq!(assigned_last(&sim).1.most.tokens, Some((10_000 - 120) / 2));

    let mut child = Sim::absent();
    let most = crate::definition::Budget { tokens: Some(100), cost: None };
    child.send(Command::AssignAgentTask(Box::new(AssignTask { most, ..assigned(json!({})) }))).unwrap();
    let request = child.effect(context::HANDLER);
    child.knows(agent(CLERK));
    assert_eq!(child.decider.view(&child.task, "")["state"], "Paused", "{request:?}");

    let mut deep = Sim::absent();
    deep.send(Command::AssignAgentTask(Box::new(AssignTask { depth: 4, ..assigned(json!({})) }))).unwrap();
    deep.knows(agent(HEAD));
    let names = gives(&mut deep, &[part("clerk", "a")]);
    assert_eq!(names, ["ModelCallAnswered", "ToolCallRefused", "ModelCallRequested"]);
    assert!(deep.events.iter().any(|event| matches!(event, Event::ToolCallRefused { because: Refused::TooDeep, .. })));
}

#[test]
fn whoever_ends_waits_for_nobody_and_says_so() {
    let done = Command::TakeOverTask { output: json!({ "text": "done" }) };
    for (end, last) in
        [(Command::CancelTask { reason: String::new() }, "AgentTaskCancelled"), (done, "AgentTaskCompleted")]
    {
        let mut sim = Sim::begun(HEAD, json!({}));
        gives(&mut sim, &[part("clerk", "a"), part("reader", "b")]);
        ends(&mut sim, "task-1-1-0", Ok(json!(1)), &[], 0);
        let names = sim.send(end).unwrap();
        assert_eq!((names.first().unwrap().as_str(), names.last().unwrap().as_str()), ("SubtasksAbandoned", last));
        let abandoned = sim.events.iter().find_map(|event| match event {
            Event::SubtasksAbandoned { tasks, .. } => Some(tasks.clone()),
            _ => None,
        });
        assert_eq!(abandoned.unwrap(), ["task-1-1-1"]);
        assert_eq!(ends(&mut sim, "task-1-1-1", Ok(json!(1)), &[], 0), [""; 0], "too late");
    }
    let mut sim = Sim::begun(HEAD, json!({}));
    gives(&mut sim, &[part("clerk", "a")]);
    assert_eq!(sim.fire("deadline"), ["SubtasksAbandoned", "AgentTaskTimedOut"]);
}

//! How events move the state.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use mesh_kernel::envelope::{Address, Timestamp};
use mesh_skills::models::{
    chat::{Message, Said, Usage},
    secrets,
};

use super::{
    conversation,
    messages::{AssignTask, Event, SubtaskResult},
    state::{Checked, Head, Phase, Task, Tooled, Work},
};
use crate::definition::Origin;

/// Moves the state by one event.
pub(super) fn evolve(task: &mut Task, event: Event, at: Timestamp, address: &Address) {
    task.moved_at = at;
    match event {
        Event::AgentTaskAssigned(assigned) => assign(task, *assigned, at, address),
        Event::TaskClaimed {} => task.phase = Phase::ContextLoading,
        Event::ContextLoaded(context) => {
            task.deadline = Some(at.plus(context.agent.limits.duration));
            if context.agent.guard.input == Origin::Tainted {
                task.taint.insert("input".to_owned());
            }
            task.context = Some(Arc::new(*context));
            task.phase = Phase::Executing;
        }
        event @ (Event::ModelCallRequested { .. }
        | Event::ModelCallAnswered { .. }
        | Event::ModelCallFailed { .. }
        | Event::ModelCallOutcomeUnknown { .. }
        | Event::ModelCallWithheld { .. }) => model(task, event, at),
        event @ (Event::ToolCallRequested { .. }
        | Event::ToolCallHeld { .. }
        | Event::ToolAttemptFailed { .. }
        | Event::ToolAttemptStarted { .. }
        | Event::ToolCallSucceeded { .. }
        | Event::ToolCallFailed { .. }
        | Event::ToolCallRefused { .. }) => tool(task, event),
        event @ (Event::SubtaskRequested { .. } | Event::SubtaskEnded { .. }) => subtask(task, event),
        // What ends it follows.
        Event::SubtasksAbandoned { .. } => {}
        event @ (Event::CheckRequested { .. }
        | Event::CheckAttemptFailed { .. }
        | Event::CheckAttemptStarted { .. }
        | Event::ValidationPassed {}
        | Event::ValidationFailed { .. }
        | Event::CorrectionAttempted { .. }) => validation(task, event),
        event @ (Event::BudgetWarned { .. }
        | Event::BudgetExhausted { .. }
        | Event::TaskPaused { .. }
        | Event::TaskResumed { .. }
        | Event::TaskRedirected { .. }
        | Event::TaskTakenOver { .. }
        | Event::AgentTaskEscalated { .. }) => steered(task, event, at),
        event @ (Event::AgentTaskCompleted { .. }
        | Event::AgentTaskFailed { .. }
        | Event::AgentTaskTimedOut { .. }
        | Event::AgentTaskCancelled { .. }) => ended(task, event, at),
    }
}

fn assign(task: &mut Task, assigned: AssignTask, at: Timestamp, address: &Address) {
    task.taint.extend(assigned.taint.iter().cloned());
    task.head = Some(Arc::new(Head { address: address.clone(), assigned, at }));
    task.phase = Phase::Assigned;
}

fn model(task: &mut Task, event: Event, at: Timestamp) {
    match event {
        Event::ModelCallRequested { turn, attempt, candidate, reserved, reserved_cost, .. } => {
            for note in std::mem::take(&mut task.notes) {
                say(task, Message::User { text: note });
            }
            if turn != task.turn {
                task.withheld = 0;
            }
            (task.turn, task.attempts) = (turn, attempt);
            task.spent.model_calls += 1;
            task.phase = Phase::Executing;
            task.work = Work::Model { attempt, candidate, reserved, reserved_cost, made: OnceLock::new() };
        }
        Event::ModelCallAnswered { answer, by, cost, .. } => {
            task.spent.turns += 1;
            task.spent.input_tokens += answer.usage.input_tokens;
            task.spent.output_tokens += answer.usage.output_tokens;
            task.spent.cost = task.spent.cost.saturating_add(cost.0);
            task.by = Some(by);
            task.work = match answer.said.tool_calls.is_empty() {
                true => Work::Nothing,
                false => Work::Tools(tools(task, &answer.said)),
            };
            say(task, Message::Assistant(answer.said.clone()));
        }
        Event::ModelCallFailed { attempt, lost, lost_cost, retry_at, next, .. } => {
            pay(task, lost_cost);
            task.spent.lost_tokens += lost.map_or(0, |lost: Usage| lost.input_tokens + lost.output_tokens);
            task.work = match retry_at {
                Some(at) => Work::Again { attempt: attempt + 1, candidate: next, at },
                None => Work::Nothing,
            };
        }
        Event::ModelCallOutcomeUnknown { .. } => {
            // It may have been paid for: what was reserved counts as spent.
            if let Work::Model { reserved, reserved_cost, .. } = task.work {
                task.spent.lost_tokens += reserved;
                pay(task, reserved_cost);
            }
            task.work = Work::Nothing;
        }
        Event::ModelCallWithheld { attempt, .. } => {
            let candidate = if let Work::Model { candidate, .. } = task.work { candidate } else { 0 };
            task.withheld += 1;
            task.spent.model_calls = task.spent.model_calls.saturating_sub(1);
            task.work = Work::Again { attempt: attempt + 1, candidate, at };
        }
        _ => {}
    }
}

fn pay(task: &mut Task, cost: u64) {
    task.spent.cost = task.spent.cost.saturating_add(i64::try_from(cost).unwrap_or(i64::MAX));
}

/// The calls of a turn, before any was made.
fn tools(task: &Task, said: &Said) -> Vec<Tooled> {
    let skill_of = |name: &str| {
        let tools = task.context.iter().flat_map(|context| &context.tools);
        tools.into_iter().find(|tool| tool.name == name).map(|tool| tool.skill.clone()).unwrap_or_default()
    };
    let of = |call: &mesh_skills::models::chat::ToolCall| Tooled {
        id: call.id.clone(),
        name: call.name.clone(),
        skill: skill_of(&call.name),
        input: Arc::default(),
        attempt: 0,
        told: None,
        again: None,
        held: false,
        child: None,
        taint: BTreeSet::new(),
        made: OnceLock::new(),
    };
    said.tool_calls.iter().map(of).collect()
}

fn tool(task: &mut Task, event: Event) {
    match event {
        Event::ToolCallRequested { call, skill, input, .. } => {
            *task.calls.entry(call_key(&skill, &input)).or_default() += 1;
            task.spent.tool_calls += 1;
            let taint = task.taint.clone();
            change(task, call, |tool| {
                (tool.skill, tool.input, tool.attempt) = (skill, input, 1);
                // Who allowed a call that was held has seen what was read.
                tool.taint = if std::mem::take(&mut tool.held) { BTreeSet::new() } else { taint };
            });
        }
        Event::ToolCallHeld { call, skill, input, .. } => {
            change(task, call, |tool| (tool.skill, tool.input, tool.held) = (skill, input, true));
        }
        Event::ToolAttemptFailed { call, retry_at, .. } => change(task, call, |tool| {
            tool.attempt += 1;
            tool.again = Some(retry_at);
            tool.made = OnceLock::new();
        }),
        Event::ToolAttemptStarted { call, .. } => change(task, call, |tool| tool.again = None),
        Event::ToolCallSucceeded { call, output, tainted, .. } => {
            read(task, call, tainted);
            settle(task, call, conversation::told(&output));
        }
        Event::ToolCallFailed { call, failure, tainted, .. } => {
            read(task, call, tainted);
            settle(task, call, secrets::redact(&format!("error: {failure}")).into_owned());
        }
        Event::ToolCallRefused { call, message, .. } => settle(task, call, format!("error: {message}")),
        _ => {}
    }
}

fn subtask(task: &mut Task, event: Event) {
    match event {
        Event::SubtaskRequested { call, task: child, assign, .. } => {
            let input = given(&assign.goal, &assign.input);
            *task.calls.entry(call_key(&assign.agent, &input)).or_default() += 1;
            task.spent.tool_calls += 1;
            change(task, call, |tool| {
                (tool.skill, tool.input, tool.child) = (assign.agent, Arc::new(input), Some(child));
            });
        }
        Event::SubtaskEnded { call, result, taint, spent, .. } => {
            task.taint.extend(taint);
            task.spent.input_tokens += spent.input_tokens;
            task.spent.output_tokens += spent.output_tokens;
            task.spent.lost_tokens += spent.lost_tokens;
            task.spent.cost = task.spent.cost.saturating_add(spent.cost);
            let told = match result {
                SubtaskResult::Succeeded { output } => conversation::told(&output),
                SubtaskResult::Failed { failure } => secrets::redact(&format!("error: {failure}")).into_owned(),
            };
            settle(task, call, told);
        }
        _ => {}
    }
}

/// What an agent is given as a tool, in one form.
pub(super) fn given(goal: &str, input: &serde_json::Value) -> serde_json::Value {
    serde_json::json!({ "goal": goal, "input": input })
}

/// What a tool gave is read by the model from now on.
fn read(task: &mut Task, call: u32, tainted: bool) {
    if let (true, Work::Tools(tools)) = (tainted, &task.work)
        && let Some(tool) = tools.get(call as usize)
    {
        task.taint.insert(format!("skill:{}", tool.skill));
    }
}

fn change(task: &mut Task, call: u32, with: impl FnOnce(&mut Tooled)) {
    if let Work::Tools(tools) = &mut task.work
        && let Some(tool) = tools.get_mut(call as usize)
    {
        with(tool);
    }
}

/// A call has its result; the last one ends the turn, in the order in which the model made the calls.
fn settle(task: &mut Task, call: u32, told: String) {
    change(task, call, |tool| {
        tool.told = Some(told);
        tool.again = None;
    });
    let Work::Tools(tools) = &mut task.work else { return };
    if tools.iter().all(|tool| tool.told.is_some()) {
        let results: Vec<Message> = std::mem::take(tools)
            .into_iter()
            .map(|tool| Message::Tool { call: tool.id, text: tool.told.unwrap_or_default() })
            .collect();
        task.work = Work::Nothing;
        results.into_iter().for_each(|result| say(task, result));
    }
}

/// The same skill with the same input has the same key.
pub(super) fn call_key(skill: &str, input: &serde_json::Value) -> String {
    mesh_kernel::ports::Digest::of(format!("{skill} {input}").as_bytes()).short()
}

fn validation(task: &mut Task, event: Event) {
    match event {
        Event::CheckRequested { check, number, input, .. } => {
            task.phase = Phase::Validating;
            task.checks = number;
            let output = Arc::new(input.get("output").cloned().unwrap_or_default());
            task.work =
                Work::Check(Checked { check, number, attempt: 1, input, output, again: None, made: OnceLock::new() });
        }
        Event::CheckAttemptFailed { retry_at, .. } => {
            if let Work::Check(checked) = &mut task.work {
                checked.attempt += 1;
                checked.again = Some(retry_at);
                checked.made = OnceLock::new();
            }
        }
        Event::CheckAttemptStarted { .. } => {
            if let Work::Check(checked) = &mut task.work {
                checked.again = None;
            }
        }
        Event::ValidationPassed {} => task.work = Work::Nothing,
        Event::ValidationFailed { .. } => {
            task.phase = Phase::Correcting;
            task.work = Work::Nothing;
        }
        Event::CorrectionAttempted { number, message } => {
            task.corrections = number;
            task.phase = Phase::Correcting;
            say(task, Message::User { text: secrets::redact(&message).into_owned() });
        }
        _ => {}
    }
}

fn steered(task: &mut Task, event: Event, at: Timestamp) {
    match event {
        Event::BudgetWarned { .. } => task.warned = true,
        Event::BudgetExhausted { missing, .. } => {
            task.paused = Some(("the budget".to_owned(), missing));
            halt(task, at);
        }
        Event::TaskPaused { by, reason } => {
            task.paused = Some((by, reason));
            halt(task, at);
        }
        Event::TaskResumed { tokens, cost, .. } => {
            task.granted = (task.granted.0.saturating_add(tokens), task.granted.1.saturating_add(cost));
            task.paused = None;
            go_on(task, at);
        }
        Event::TaskRedirected { note, .. } => {
            task.notes.push(note);
            if task.phase == Phase::Escalated {
                go_on(task, at);
            }
        }
        Event::TaskTakenOver { .. } => {
            task.paused = None;
            task.work = Work::Nothing;
        }
        Event::AgentTaskEscalated { because, message } => {
            task.phase = Phase::Escalated;
            task.escalated = Some((because, message));
            task.work = Work::Nothing;
            halt(task, at);
        }
        _ => {}
    }
}

/// The clock of a task stands while it waits for a person.
fn halt(task: &mut Task, at: Timestamp) {
    if let Some(deadline) = task.deadline.take() {
        task.left_ms = Some(u64::try_from(deadline.since(at).as_millis()).unwrap_or(u64::MAX));
    }
}

fn go_on(task: &mut Task, at: Timestamp) {
    if task.phase == Phase::Escalated {
        task.phase = Phase::Executing;
        task.escalated = None;
        task.before = task.corrections;
        task.turns_before = task.turn;
        task.calls_before = task.spent.tool_calls;
        task.calls = BTreeMap::new();
    }
    if task.paused.is_none()
        && let Some(left) = task.left_ms.take()
    {
        task.deadline = Some(at.plus(Duration::from_millis(left)));
    }
}

fn ended(task: &mut Task, event: Event, at: Timestamp) {
    task.work = Work::Nothing;
    task.notes.clear();
    task.deadline = None;
    task.ended_at = Some(at);
    match event {
        Event::AgentTaskCompleted { output, .. } => {
            task.phase = Phase::Completed;
            task.output = Some(output);
        }
        Event::AgentTaskFailed { failure, .. } => {
            task.phase = Phase::Failed;
            task.failure = Some(failure);
        }
        Event::AgentTaskTimedOut { failure, .. } => {
            task.phase = Phase::TimedOut;
            task.failure = Some(failure);
        }
        _ => task.phase = Phase::Cancelled,
    }
}

fn say(task: &mut Task, message: Message) {
    task.bytes += match &message {
        Message::System { text } | Message::User { text } | Message::Tool { text, .. } => text.len() + 64,
        Message::Assistant(said) => said.text.len() + 256 * (1 + said.tool_calls.len()),
    };
    task.transcript.push(Arc::new(message));
}

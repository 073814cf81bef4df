//! An agent's task, as its entity shows it.

use mesh_kernel::envelope::{Address, ErrorKind, Refusal, Timestamp};
use mesh_proto::v1::{self, TaskState};
use serde::Deserialize;
use serde_json::Value;

use super::{json::to_value, view::read};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TaskView {
    task: String,
    agent: String,
    version: u32,
    state: String,
    waiting: String,
    goal: String,
    input: Value,
    parent: Option<Parent>,
    run: String,
    submitted_by: String,
    assigned_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    turn: u32,
    corrections: u32,
    taint: Vec<String>,
    spent: mesh_agents::task::Spent,
    answered_by: String,
    output: Option<Value>,
    failure: Option<Failure>,
    conversation: Vec<Said>,
}

#[derive(Debug, Deserialize)]
struct Parent {
    run: String,
    step: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Failure {
    class: String,
    code: String,
    message: String,
    details: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    from: String,
    text: String,
    call: String,
    calls: Vec<Call>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call {
    call: String,
    tool: String,
    arguments: String,
}

/// The message of a task's view.
///
/// # Errors
/// `NotFound` when it was cancelled before it was assigned; `Internal` when the entity gives another view than this
/// version expects.
pub(in crate::gateway) fn message(view: &Value) -> Result<v1::Task, Refusal> {
    if view.is_null() {
        let message = "this task was cancelled before it was assigned: there is nothing of it to see";
        return Err(Refusal::new("GTW-0061", ErrorKind::NotFound, message));
    }
    let view: TaskView = read(view)?;
    let parent = view.parent.as_ref();
    Ok(v1::Task {
        task_id: view.task,
        agent: view.agent,
        version: view.version,
        state: state(&view.state).into(),
        waiting: view.waiting,
        goal: view.goal,
        input: Some(to_value(&view.input)),
        run_id: view.run.clone(),
        parent_task_id: parent.and_then(parent_task).unwrap_or_default(),
        step_id: parent.map(|parent| parent.step.clone()).unwrap_or_default(),
        submitted_by: view.submitted_by,
        assign_time: view.assigned_at.map(Into::into),
        end_time: view.ended_at.map(Into::into),
        turn: view.turn,
        corrections: view.corrections,
        taint: view.taint,
        spent: Some(spent(&view.spent)),
        answered_by: view.answered_by,
        output: view.output.as_ref().map(to_value),
        failure: view.failure.map(|failure| v1::RunFailure {
            step_id: String::new(),
            failure_class: failure.class,
            code: failure.code,
            message: failure.message,
            details: Some(failure.details).filter(|details| !details.is_null()).as_ref().map(to_value),
        }),
        conversation: view.conversation.into_iter().map(said).collect(),
    })
}

/// The task that gave it, when no run did.
fn parent_task(parent: &Parent) -> Option<String> {
    let address: Address = parent.run.parse().ok()?;
    address.is(mesh_agents::task::KIND).then(|| address.id().to_owned())
}

fn state(name: &str) -> TaskState {
    match name {
        "Assigned" => TaskState::Assigned,
        "ContextLoading" => TaskState::ContextLoading,
        "Executing" => TaskState::Executing,
        "Validating" => TaskState::Validating,
        "Correcting" => TaskState::Correcting,
        "Paused" => TaskState::Paused,
        "Escalated" => TaskState::Escalated,
        "Completed" => TaskState::Completed,
        "Failed" => TaskState::Failed,
        "TimedOut" => TaskState::TimedOut,
        "Cancelled" => TaskState::Cancelled,
        _ => TaskState::Unspecified,
    }
}

fn spent(spent: &mesh_agents::task::Spent) -> v1::TaskSpent {
    v1::TaskSpent {
        input_tokens: spent.input_tokens,
        output_tokens: spent.output_tokens,
        lost_tokens: spent.lost_tokens,
        cost_micros: spent.cost,
        turns: spent.turns,
        model_calls: spent.model_calls,
        tool_calls: spent.tool_calls,
    }
}

fn said(said: Said) -> v1::TaskMessage {
    let calls = said.calls.into_iter().map(|call| v1::TaskToolCall {
        call_id: call.call,
        tool: call.tool,
        arguments: call.arguments,
    });
    v1::TaskMessage { from: said.from, text: said.text, call_id: said.call, calls: calls.collect() }
}

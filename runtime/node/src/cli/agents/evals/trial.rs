//! One trial: a task is given through the public API, and followed to its end or to a person.

use std::time::{Duration, Instant};

use mesh_agents::definition::tool_name;
use mesh_proto::v1::{self, TaskState};
use mesh_skills::yaml::show_duration;
use mesh_workflows::form::{struct_to_json, to_value, value_to_json};
use prost_types::value::Kind;
use serde_json::Value;
use tonic::Code;

use super::{
    file::Case,
    grade::{Called, Seen},
};
use crate::cli::{
    Failure,
    agents::task,
    clients,
    connect::Link,
    context::fresh_request_id,
    output::label,
    runs::{is_final, name_and_version},
};

/// How often it is looked where a task stands: at first, and at most.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Beyond a trial's time: until then the node itself ends a task whose trial has gone away.
const GRACE: Duration = Duration::from_secs(10);

/// One version of the agent that is tried.
#[derive(Debug, Clone)]
pub(super) struct Tried {
    pub(super) name: String,
    pub(super) version: u32,
    /// Names as a model knows them, and the skills that they mean.
    tools: Vec<(String, String)>,
}

/// The version of an agent that NAME or NAME@VERSION names.
pub(super) async fn version_of(link: &Link, name: &str) -> Result<Tried, Failure> {
    let (name, version) = name_and_version(name)?;
    let request = v1::GetAgentRequest { name, version };
    let answer = clients::agents(link.clone()).get_agent(request).await?.into_inner();
    let agent = answer.agent.ok_or(Failure::Lacking("agent"))?;
    let tools = agent.skills.into_iter().map(|skill| (tool_name(&skill), skill)).collect();
    Ok(Tried { name: agent.name, version: agent.version, tools })
}

/// What comes of a case.
///
/// # Errors
/// When the node cannot be asked. What it refuses is an outcome.
pub(super) async fn tried(link: &Link, agent: &Tried, case: &Case) -> Result<Seen, Failure> {
    let began = Instant::now();
    let mut seen = Seen::default();
    let mut last = None;
    let followed = followed(link, agent, case, &mut seen, &mut last);
    let goes_on = match tokio::time::timeout(case.time_limit, followed).await {
        Ok(goes_on) => goes_on?,
        Err(_) => {
            seen.outcome = "timed-out".to_owned();
            seen.why = format!("no end within {}", show_duration(case.time_limit));
            !seen.run_id.is_empty()
        }
    };
    if let Some(task) = last {
        told(&mut seen, task, agent);
    }
    if goes_on {
        cancel(link, &seen.run_id).await;
    }
    seen.took = began.elapsed();
    Ok(seen)
}

/// Follows a task to its end or to a person; whether it goes on.
async fn followed(
    link: &Link,
    agent: &Tried,
    case: &Case,
    seen: &mut Seen,
    last: &mut Option<v1::Task>,
) -> Result<bool, Failure> {
    let run = match given(link, agent, case).await {
        Ok(run) => run,
        Err(Failure::Refused(status)) if status.code() == Code::InvalidArgument => {
            seen.outcome = "refused".to_owned();
            seen.why = Failure::Refused(status).to_string();
            return Ok(false);
        }
        Err(failure) => return Err(failure),
    };
    seen.run_id = run.run_id;
    let mut pause = LOOK_EVERY.0;
    loop {
        let request = v1::GetRunRequest { run_id: seen.run_id.clone() };
        let run = patient(|| {
            let (mut client, request) = (clients::workflows(link.clone()), request.clone());
            async move { client.get_run(request).await }
        });
        let run = run.await?.run.ok_or(Failure::Lacking("run"))?;
        if let Some(step) = run.steps.iter().find(|step| !step.task_id.is_empty()) {
            seen.task_id.clone_from(&step.task_id);
            *last = looked(link, &seen.task_id).await?.or_else(|| last.take());
        }
        let waits = last.as_ref().is_some_and(|task| matches!(task.state(), TaskState::Escalated | TaskState::Paused));
        if is_final(run.state()) || waits {
            ended(seen, &run, last.as_ref());
            return Ok(!is_final(run.state()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_EVERY.1);
    }
}

/// Gives the task; a node that is busy is asked again, under the same request id.
async fn given(link: &Link, agent: &Tried, case: &Case) -> Result<v1::Run, Failure> {
    let Some(Kind::StructValue(input)) = to_value(&Value::Object(case.input.clone())).kind else {
        return Err(Failure::Usage(format!("the input of `{}` cannot be sent", case.name)));
    };
    let request = v1::RunAgentRequest {
        name: agent.name.clone(),
        version: agent.version,
        goal: case.goal.clone(),
        input: Some(input),
        timeout: (case.time_limit + GRACE).try_into().ok(),
        request_id: fresh_request_id(),
        ..Default::default()
    };
    let answer = patient(|| {
        let (mut client, request) = (clients::agents(link.clone()), request.clone());
        async move { client.run_agent(request).await }
    });
    answer.await?.run.ok_or(Failure::Lacking("run"))
}

/// Asks until the node has room; the trial's time bounds it.
async fn patient<T, F>(ask: impl Fn() -> F) -> Result<T, tonic::Status>
where
    F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
{
    loop {
        match ask().await {
            Err(status) if status.code() == Code::ResourceExhausted => tokio::time::sleep(LOOK_EVERY.1).await,
            answer => return answer.map(tonic::Response::into_inner),
        }
    }
}

/// The task; none before it is assigned.
async fn looked(link: &Link, task_id: &str) -> Result<Option<v1::Task>, Failure> {
    match task::get(link, task_id).await {
        Err(Failure::Refused(status)) if matches!(status.code(), Code::NotFound | Code::ResourceExhausted) => Ok(None),
        answer => answer,
    }
}

fn ended(seen: &mut Seen, run: &v1::Run, task: Option<&v1::Task>) {
    let state = task.map(v1::Task::state).unwrap_or_default();
    let failure = task.and_then(|task| task.failure.as_ref()).or(run.failure.as_ref());
    if let Some(failure) = failure {
        seen.code.clone_from(&failure.code);
        seen.why.clone_from(&failure.message);
    }
    seen.outcome = match state {
        TaskState::Completed | TaskState::Failed | TaskState::TimedOut | TaskState::Cancelled => {
            label(state.as_str_name(), "TASK_STATE")
        }
        TaskState::Escalated | TaskState::Paused if !is_final(run.state()) => {
            seen.why = task.map(|task| task.waiting.clone()).unwrap_or_default();
            "escalated".to_owned()
        }
        _ if run.state() == v1::RunState::Succeeded => "completed".to_owned(),
        _ if run.state() == v1::RunState::Cancelled => "cancelled".to_owned(),
        _ => "failed".to_owned(),
    };
    if task.and_then(|task| task.output.as_ref()).is_none() {
        let outputs = run.outputs.as_ref().map(struct_to_json).unwrap_or_default();
        seen.output = outputs.get(mesh_workflows::invocation::OUTPUT).cloned().unwrap_or_default();
    }
}

/// What a task's own record says.
fn told(seen: &mut Seen, task: v1::Task, agent: &Tried) {
    if let Some(output) = &task.output {
        seen.output = value_to_json(output);
    }
    seen.spent = task.spent.unwrap_or_default();
    seen.corrections = task.corrections;
    let calls = task.conversation.into_iter().flat_map(|said| said.calls).map(|call| {
        let skill = agent.tools.iter().find(|(tool, _)| *tool == call.tool).map(|(_, skill)| skill.clone());
        Called {
            // What the agent may not call has no skill's name; the model was told so.
            skill: skill.unwrap_or(call.tool),
            // Long arguments are cut, and are no JSON then.
            arguments: serde_json::from_str(&call.arguments).unwrap_or(Value::String(call.arguments)),
        }
    });
    seen.calls = calls.collect();
}

/// Nobody waits for it any more; that it cannot be said changes nothing of what was seen.
async fn cancel(link: &Link, run_id: &str) {
    let request = v1::CancelRunRequest {
        run_id: run_id.to_owned(),
        reason: "its trial is over".to_owned(),
        request_id: fresh_request_id(),
        ..Default::default()
    };
    if let Err(status) = clients::workflows(link.clone()).cancel_run(request).await {
        eprintln!("{run_id} could not be cancelled: {}", status.message());
    }
}

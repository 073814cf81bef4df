//! What the Agent Mesh does because of others' events: it takes the tasks that runs ask for, ends those that nobody
//! waits for, and tells runs how their tasks ended.

use std::sync::Arc;

use mesh_agents::{
    definition::Budget,
    task::{self, AssignTask, Command, Event, Parent, SubtaskResult},
};
use mesh_kernel::{
    entity::{decode_tagged, encode_tagged},
    envelope::{Address, Envelope},
    follow::{Reaction, Reactor},
};
use mesh_skills::contract::{Failure, FailureClass};
use mesh_workflows::run;
use serde::Serialize;

/// The reactions of the Agent Mesh.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reactions;

impl Reactor for Reactions {
    fn name(&self) -> &'static str {
        "agent-mesh"
    }

    fn interests(&self) -> &'static [&'static str] {
        &[
            "TaskRequested",
            "WaitsAbandoned",
            "SubtaskRequested",
            "SubtasksAbandoned",
            "AgentTaskCompleted",
            "AgentTaskFailed",
            "AgentTaskTimedOut",
            "AgentTaskCancelled",
        ]
    }

    fn react(&self, event: &Envelope) -> Vec<Reaction> {
        let subject = &event.headers.subject;
        if subject.is(run::KIND) {
            return match decode_tagged(&event.event_type, &event.payload) {
                Ok(happened) => of_run(event, happened),
                Err(error) => undecodable(event, &error),
            };
        }
        if subject.is(task::KIND) {
            return match decode_tagged(&event.event_type, &event.payload) {
                Ok(happened) => of_task(event, happened),
                Err(error) => undecodable(event, &error),
            };
        }
        Vec::new()
    }
}

/// The kernel quarantines entities whose events cannot be decoded; here nothing is sent.
fn undecodable(event: &Envelope, error: &mesh_kernel::entity::CodecError) -> Vec<Reaction> {
    tracing::error!(event = %event.event_id, %error, "an event cannot be decoded");
    Vec::new()
}

fn of_run(event: &Envelope, happened: run::Event) -> Vec<Reaction> {
    match happened {
        run::Event::TaskRequested { task, agent, version, goal, input, parent, submitted_by, project, .. } => {
            let assign = AssignTask {
                agent: agent.to_string(),
                version: version.unwrap_or_default(),
                goal,
                input: input.as_ref().clone(),
                parent: Some(Parent { run: parent.run, step: parent.step.to_string() }),
                submitted_by,
                taint: parent.taint,
                project: project.unwrap_or_default(),
                run: String::new(),
                depth: 0,
                most: Budget::default(),
            };
            to_task(event, &task, &Command::AssignAgentTask(Box::new(assign)), "assign").into_iter().collect()
        }
        run::Event::WaitsAbandoned { tasks, reason, .. } => {
            let cancel = |task: &String| {
                let command = Command::CancelTask { reason: reason.clone() };
                to_task(event, task, &command, "cancel-task")
            };
            tasks.iter().filter_map(cancel).collect()
        }
        _ => Vec::new(),
    }
}

fn to_task(event: &Envelope, task: &str, command: &Command, handler: &'static str) -> Option<Reaction> {
    reaction(Address::new(&event.tenant_id, task::KIND, task).ok()?, command, handler)
}

/// What a task gives to other agents becomes tasks; its end ends what waits for it, and those that it no longer waits
/// for.
fn of_task(event: &Envelope, happened: Event) -> Vec<Reaction> {
    match happened {
        Event::SubtaskRequested { task, assign, .. } => {
            to_task(event, &task, &Command::AssignAgentTask(assign), "assign").into_iter().collect()
        }
        Event::SubtasksAbandoned { tasks, reason } => {
            let cancel =
                |task: &String| to_task(event, task, &Command::CancelTask { reason: reason.clone() }, "cancel-task");
            tasks.iter().filter_map(cancel).collect()
        }
        ended => end_of_task(event, ended).into_iter().collect(),
    }
}

fn end_of_task(event: &Envelope, happened: Event) -> Option<Reaction> {
    let (parent, result, taint, spent) = match happened {
        Event::AgentTaskCompleted { output, parent, taint, spent } => (parent, Ok(output), taint, spent),
        Event::AgentTaskFailed { failure, parent, taint, spent }
        | Event::AgentTaskTimedOut { failure, parent, taint, spent } => (parent, Err(failure), taint, spent),
        Event::AgentTaskCancelled { by, reason, parent, spent } => {
            let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            let message = format!("task `{}` was cancelled by {by}{because}", event.headers.subject.id());
            let failure = Failure::new(FailureClass::Cancelled, "agent.cancelled", message);
            (parent, Err(Arc::new(failure)), Vec::new(), spent)
        }
        _ => return None,
    };
    let Parent { run: to, step } = parent?;
    let task = event.headers.subject.id().to_owned();
    if to.is(task::KIND) {
        let result = match result {
            Ok(output) => SubtaskResult::Succeeded { output },
            Err(failure) => SubtaskResult::Failed { failure },
        };
        return reaction(to, &Command::RecordSubtask { task, result, taint, spent }, "record-subtask");
    }
    let result = match result {
        Ok(output) => run::ChildResult::Succeeded { outputs: output.as_ref().clone(), taint },
        Err(failure) => run::ChildResult::Failed { failure: failure.as_ref().clone() },
    };
    reaction(to, &run::Command::RecordTask { step, task, result }, "record-task")
}

fn reaction<C: Serialize>(to: Address, command: &C, handler: &'static str) -> Option<Reaction> {
    Some(Reaction { to, command: encode_tagged(command, 1).ok()?, handler })
}

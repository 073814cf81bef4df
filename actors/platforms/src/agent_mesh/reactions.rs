//! What the Agent Mesh does because of others' events: it takes the tasks that runs ask for, ends those that nobody
//! waits for, and tells runs how their tasks ended.

use mesh_agents::task::{self, AssignTask, Command, Event, Parent};
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
                Ok(happened) => of_task(event, happened).into_iter().collect(),
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

/// The end of a task ends the step that waits for it.
fn of_task(event: &Envelope, happened: Event) -> Option<Reaction> {
    let (parent, result) = match happened {
        Event::AgentTaskCompleted { output, parent, taint, .. } => {
            (parent, run::ChildResult::Succeeded { outputs: output.as_ref().clone(), taint })
        }
        Event::AgentTaskFailed { failure, parent, .. } | Event::AgentTaskTimedOut { failure, parent, .. } => {
            (parent, run::ChildResult::Failed { failure: failure.as_ref().clone() })
        }
        Event::AgentTaskCancelled { by, reason, parent } => {
            let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            let message = format!("task `{}` was cancelled by {by}{because}", event.headers.subject.id());
            let failure = Failure::new(FailureClass::Cancelled, "agent.cancelled", message);
            (parent, run::ChildResult::Failed { failure })
        }
        _ => return None,
    };
    let Parent { run, step } = parent?;
    let command = run::Command::RecordTask { step, task: event.headers.subject.id().to_owned(), result };
    reaction(run, &command, "record-task")
}

fn reaction<C: Serialize>(to: Address, command: &C, handler: &'static str) -> Option<Reaction> {
    Some(Reaction { to, command: encode_tagged(command, 1).ok()?, handler })
}

//! One task of an agent, as a durable entity.
//!
//! A task is assigned, claimed, and loads its context; then turns follow each other: a model is asked, the tools that
//! it calls are called, and what it gives in the end is validated, and corrected while corrections are left. Each
//! model call, tool call and check is a step of its own: asked for by an event before it is made, and answered in one
//! append with what follows from it. So a crash anywhere repeats nothing that was answered.
//!
//! INVARIANT: a task that has not ended waits for something that is named: an outcome, an instant, or a person.
//!
//! INVARIANT: between what a model said with tool calls in it and the next thing that it is told stand the results of
//! all these calls, so a conversation is always well formed.

mod conversation;
mod decide;
mod error;
mod evolve;
mod messages;
mod state;
mod view;
mod wants;

pub use error::Error;
pub use messages::{AssignTask, Command, Event, Parent, Refused, SubtaskResult, Why};
pub use state::{Phase, Spent, Task};

use mesh_kernel::{
    entity::{Cause, Decider, Recorded, Wants},
    envelope::{Address, Kind},
};
use mesh_skills::contract::Registry;
use serde_json::Value;

/// The kind of a task's address.
pub const KIND: Kind = Kind { platform: "agent-mesh", name: "task" };

/// Decides for all tasks.
#[derive(Debug, Clone, Default)]
pub struct TaskDecider {
    computes: Registry,
}

impl TaskDecider {
    /// The same; tools whose skill is pure and answers at once ([`Registry::compute`]) are computed within the
    /// decision, and stand in one append with what asked for them.
    #[must_use]
    pub fn computing(mut self, skills: Registry) -> Self {
        self.computes = skills;
        self
    }
}

impl Decider for TaskDecider {
    type State = Task;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = KIND;
    const CONTROL: &'static [&'static str] = &["FireTimer", "CancelTask", "PauseTask"];

    fn initial(&self, _: &Address) -> Task {
        Task::default()
    }

    fn decide(&self, task: &Task, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
        decide::decide(&self.computes, task, command, cause)
    }

    fn evolve(&self, task: &mut Task, event: Event, recorded: &Recorded<'_>) {
        evolve::evolve(task, event, recorded.at, recorded.address);
    }

    fn wants(&self, task: &Task) -> Wants {
        wants::wants(task)
    }

    fn view(&self, task: &Task, _: &str) -> Value {
        view::view(task)
    }

    fn is_done(&self, task: &Task) -> bool {
        task.phase.is_final()
    }

    fn size_hint(&self, task: &Task) -> usize {
        4096 + task.bytes
    }
}

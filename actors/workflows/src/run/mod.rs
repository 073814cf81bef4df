//! A run: one execution of a definition, as a durable entity.
//!
//! Commands come in ([`messages`]), a pure decision is made ([`decide`]), events come out and move
//! the state ([`evolve`]). What the state still wants (skills without an outcome, instants) is a
//! function of it ([`wants`]), so after a crash exactly that is asked for again. Others are told by
//! reactions ([`reactions`]): children, parents, concurrency limits.
//!
//! INVARIANT: a run that has not ended waits for something that is named: a skill's outcome, an
//! instant, a signal, an approval, a child, a slot, or the person who paused it.

mod decide;
mod error;
mod evolve;
pub mod history;
mod ids;
mod messages;
pub mod reactions;
mod state;
mod view;
mod wants;

pub use crate::submission::{DefinitionRef, Parent, SubmitRun, WorkflowJson};
pub use decide::{check_input, check_whole};
pub use error::Error;
pub use ids::run_id;
pub use messages::{ChildResult, Command, End, Event, SkipReason};
pub use state::{Run, Slot, Status, Step, StepStatus, Wait, Work};

use std::sync::Arc;

use mesh_kernel::{
    entity::{Cause, Decider, Recorded, Wants},
    envelope::{Address, Kind},
};
use mesh_skills::contract::Registry;
use serde_json::Value;

use crate::plan::{Plan, Plans};
use evolve::Moment;

/// The kind of a run's address.
pub const KIND: Kind = Kind { platform: "control-plane", name: "run" };

/// Decides for all runs. Holds nothing but compiled definitions and the skills that it computes itself.
#[derive(Debug, Clone, Default)]
pub struct RunDecider {
    known: decide::Known,
}

impl RunDecider {
    /// A decider that shares its compiled definitions with others, and asks performers for every step.
    pub fn new(plans: Plans) -> Self {
        Self { known: decide::Known { plans, ..decide::Known::default() } }
    }

    /// The same; steps whose skill is pure and answers at once ([`Registry::compute`]) are computed within
    /// the decision, at most so many, and stand in one append with what asked for them.
    #[must_use]
    pub fn computing(mut self, skills: Registry, at_most: usize) -> Self {
        self.known.computes = decide::Computes { skills, at_most };
        self
    }

    /// The plan of a run; found again by its digest when the state comes from a snapshot.
    fn plan(&self, run: &Run) -> Option<Arc<Plan>> {
        if let Some(plan) = run.plan.get() {
            return Some(plan.clone());
        }
        let head = run.head.as_ref()?;
        let plan = self.known.plans.get(head.definition.digest, &head.workflow).ok()?;
        // Lost races set the same plan.
        drop(run.plan.set(plan.clone()));
        Some(plan)
    }
}

impl Decider for RunDecider {
    type State = Run;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = KIND;

    fn initial(&self, _address: &Address) -> Run {
        Run::default()
    }

    fn decide(&self, run: &Run, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
        decide::decide(&self.known, run, command, cause)
    }

    fn evolve(&self, run: &mut Run, event: Event, recorded: &Recorded<'_>) {
        if let Event::RunSubmitted(submit) = &event {
            let moment = Moment { address: recorded.address, trace_id: recorded.trace_id, at: recorded.at };
            evolve::submitted(run, submit, moment);
        }
        if let Event::RunForestalled { by, reason } = &event {
            evolve::forestalled(run, by, reason, recorded.at);
        }
        if let Some(plan) = self.plan(run) {
            evolve::apply(run, &plan, &event, recorded.at);
        }
    }

    fn wants(&self, run: &Run) -> Wants {
        self.plan(run).map(|plan| wants::wants(run, &plan)).unwrap_or_default()
    }

    fn view(&self, run: &Run, what: &str) -> Value {
        view::view(run, self.plan(run).as_deref(), what)
    }

    fn is_done(&self, run: &Run) -> bool {
        run.status.is_final()
    }

    fn size_hint(&self, run: &Run) -> usize {
        2048 + run.steps.len() * 512 + run.signals.len() * 256
    }
}

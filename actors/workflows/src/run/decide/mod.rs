//! What happens to a run because of a command.
//!
//! A decision is made on a copy of the state that really moves with each event it makes, so what
//! follows from an outcome (skips, the next steps, the end) is decided on what will be true, and all
//! of it stands in one append.

mod approve;
mod compute;
mod control;
mod end;
mod outcome;
mod schedule;
mod submit;

mod timer;

pub use submit::{check_input, check_whole};

use std::sync::Arc;

use mesh_kernel::{entity::Cause, envelope::Role};
use mesh_skills::contract::{Failure, FailureClass, Registry};
use serde_json::Value;

use super::{
    error::Error,
    evolve::{self, Moment},
    messages::{Command, Event, SkipReason},
    state::{Run, Status},
};
use crate::{
    expression::{RunFacts, Scope, StepFacts},
    plan::{Plan, Plans, StepIndex},
};

/// Most events in one append; what does not fit follows at once in another.
const EVENTS_MAX: usize = 1_000;
/// Most bytes in one append, roughly.
const BYTES_MAX: usize = 512 * 1024;
/// Largest inline input, signal or output. **Units**: bytes of JSON.
pub(super) const INLINE_MAX: usize = 1024 * 1024;

/// What a decision may know beside the run, the command and its cause.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Compiled definitions.
    pub(super) plans: Plans,
    /// What is computed within a decision.
    pub(super) computes: Computes,
}

/// Which steps a decision computes itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Computes {
    pub(super) skills: Registry,
    /// Steps and items of one decision.
    pub(super) at_most: usize,
}

/// Decides.
pub(super) fn decide(known: &Known, run: &Run, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
    if let Command::SubmitRun(submit) = command {
        return submit::submit(known, run, *submit, cause);
    }
    // A parent's reaction alone: for a caller, what was never submitted is not there.
    if let (None, Command::CancelRun { reason }) = (&run.head, &command)
        && cause.principal.has(Role::System)
    {
        return Ok(control::forestall(run, reason, cause));
    }
    let id = || cause.address.id().to_owned();
    let head = run.head.as_ref().ok_or_else(|| Error::Absent { run: id() })?;
    let plan = match run.plan.get() {
        Some(plan) => plan.clone(),
        None => known
            .plans
            .get(head.definition.digest, &head.workflow)
            .map_err(|faults| Error::Unreadable { run: id(), faults })?,
    };
    let mut deciding = Deciding::new(run.clone(), plan, cause, &known.computes);
    match command {
        Command::SubmitRun(_) => {}
        Command::RecordOutcome(outcome) => deciding.record_outcome(*outcome)?,
        Command::RecordApproval { step, approval, approved, by, comment } => {
            deciding.record_approval(&step, &approval, approved, &by, &comment)?;
        }
        Command::RecordTask { step, task, result } => {
            deciding.record_task(&step, &task, result)?;
        }
        Command::RecordChild { step, item, child, result } => {
            deciding.record_child(&step, item, &child, result)?;
        }
        Command::GrantSlot { limit } => deciding.grant_slot(&limit),
        Command::SignalRun { name, payload } => deciding.signal(&name, payload)?,
        Command::PauseRun { reason } => deciding.pause(reason)?,
        Command::ResumeRun {} => deciding.resume()?,
        Command::CancelRun { reason } => deciding.cancel(reason)?,
        Command::RetryRun { from_step } => deciding.retry(from_step)?,
        Command::FireTimer { name, due } => deciding.fire(&name, due),
    }
    Ok(deciding.events)
}

/// A decision in the making.
pub(super) struct Deciding<'c> {
    run: Run,
    plan: Arc<Plan>,
    cause: &'c Cause,
    computes: &'c Computes,
    events: Vec<Event>,
    bytes: usize,
    /// Steps and items that were computed within it.
    computed: usize,
}

impl<'c> Deciding<'c> {
    fn new(run: Run, plan: Arc<Plan>, cause: &'c Cause, computes: &'c Computes) -> Self {
        Self { run, plan, cause, computes, events: Vec::new(), bytes: 0, computed: 0 }
    }

    /// Makes an event happen.
    fn emit(&mut self, event: Event) {
        if let Event::RunSubmitted(submit) = &event {
            let moment = Moment { address: &self.cause.address, trace_id: &self.cause.trace_id, at: self.cause.at };
            evolve::submitted(&mut self.run, submit, moment);
        }
        evolve::apply(&mut self.run, &self.plan, &event, self.cause.at);
        self.bytes += weight(&event);
        if !self.joins_last(&event) {
            self.events.push(event);
        }
    }

    /// A thousand steps that are skipped for the same reason are one event.
    fn joins_last(&mut self, event: &Event) -> bool {
        match (self.events.last_mut(), event) {
            (Some(Event::StepsSkipped { steps, because }), Event::StepsSkipped { steps: more, because: same })
                if because == same =>
            {
                steps.extend(more.iter().cloned());
                true
            }
            _ => false,
        }
    }

    fn has_budget(&self) -> bool {
        self.events.len() < EVENTS_MAX && self.bytes < BYTES_MAX
    }

    fn skip(&mut self, id: Arc<str>, because: SkipReason) {
        self.emit(Event::StepsSkipped { steps: vec![id], because });
    }

    fn id(&self) -> String {
        self.cause.address.id().to_owned()
    }

    fn by(&self) -> String {
        self.cause.principal.answerable().to_owned()
    }

    fn refuse<T>(&self, why: &'static str) -> Result<T, Error> {
        let state = match self.run.status {
            Status::Running | Status::Created if self.run.paused.is_some() => "Paused",
            status => status.as_str(),
        };
        Err(Error::State { run: self.id(), state, why })
    }

    /// A step by its id, or the refusal that names what may be meant.
    fn find(&self, id: &str) -> Result<StepIndex, Error> {
        self.plan.find(id).ok_or_else(|| Error::NoStep {
            run: self.id(),
            step: id.chars().take(100).collect(),
            near: mesh_skills::yaml::suggest(id, self.plan.steps.iter().map(|step| step.id.as_ref())),
        })
    }

    /// Evaluates something in the scope of this run.
    fn evaluate<T>(
        &self,
        item: Option<(&Value, usize)>,
        output: Option<&Value>,
        with: impl FnOnce(&Scope<'_>) -> T,
    ) -> T {
        let (run, plan) = (&self.run, &self.plan);
        let steps = |id: &str| {
            let step = run.step(plan.find(id)?)?;
            Some(StepFacts {
                state: step.work.status.as_str(),
                output: step.work.output.as_deref().unwrap_or(&Value::Null),
            })
        };
        let head = run.head.as_deref();
        let facts = RunFacts {
            id: self.id(),
            tenant: self.cause.address.tenant().as_str().to_owned(),
            trace_id: head.map(|head| head.trace_id.as_str().to_owned()).unwrap_or_default(),
            definition: plan.name.as_ref().to_owned(),
            version: head.map_or(0, |head| head.definition.version),
        };
        let input = head.map_or(&Value::Null, |head| &head.input);
        with(&Scope { input, steps: &steps, item, output, run: &facts })
    }
}

/// A failure that the definition itself is the cause of: never retried.
fn invalid(code: &str, message: impl Into<String>) -> Failure {
    Failure::new(FailureClass::Validation, code, message)
}

/// Bytes that an event takes in the journal, roughly.
fn weight(event: &Event) -> usize {
    match event {
        Event::StepRequested { input, .. }
        | Event::ChildRequested { input, .. }
        | Event::TaskRequested { input, .. }
        | Event::CompensationRequested { input, .. } => 200 + value_weight(input),
        Event::ApprovalRequested { subject, .. } => 400 + value_weight(subject),
        Event::StepComputed { input, output, .. } => 200 + value_weight(input) + value_weight(output),
        Event::StepSucceeded { output: Some(output), .. } => 200 + value_weight(output),
        Event::ItemsListed { items, .. } => 100 + items.iter().map(value_weight).sum::<usize>(),
        _ => 150,
    }
}

/// Bytes that a value takes as JSON, roughly, without writing it.
pub(super) fn value_weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 10,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| 1 + value_weight(item)).sum::<usize>(),
        Value::Object(fields) => {
            2 + fields.iter().map(|(name, field)| name.len() + 4 + value_weight(field)).sum::<usize>()
        }
    }
}

//! How a run ends, and what is undone before.

use std::{collections::BTreeSet, sync::Arc};

use mesh_skills::contract::{Failure, FailureClass};
use serde_json::{Map, Value};

use super::{
    super::{
        messages::{End, Event},
        state::{Status, Wait, Work},
    },
    Deciding, invalid,
    schedule::bounded,
    submit::misfits,
};
use crate::plan::{Plan, StepIndex};

impl Deciding<'_> {
    /// All steps have ended well.
    pub(super) fn succeed_run(&mut self) {
        let plan = self.plan.clone();
        match self.outputs(&plan) {
            Ok(outputs) => {
                let end = self.end();
                let taint: BTreeSet<String> =
                    self.run.steps.iter().flat_map(|step| step.work.taint.iter().cloned()).collect();
                self.emit(Event::RunSucceeded { outputs, taint: taint.into_iter().collect(), end });
            }
            Err(failure) => self.fail_run(failure.into(), None),
        }
    }

    fn outputs(&self, plan: &Plan) -> Result<Arc<Value>, Failure> {
        let outputs = match &plan.outputs {
            Some(outputs) => self
                .evaluate(None, None, |scope| outputs.render(scope))
                .map_err(|error| invalid("run.outputs", error.to_string()))?,
            None => Value::Object(Map::new()),
        };
        if let Some(schema) = &plan.output_schema
            && let Some(misfit) = misfits(schema, &outputs).first()
        {
            let message = format!("the outputs do not fit the definition: `{}`: {}", misfit.pointer, misfit.message);
            return Err(invalid("run.outputs", message));
        }
        bounded(outputs, "run.outputs")
    }

    fn end(&self) -> End {
        let head = self.run.head.as_deref();
        End {
            definition: head.map(|head| head.definition.clone()),
            parent: head.and_then(|head| head.parent.clone()),
            slot: self.run.slot.limit().map(str::to_owned),
            project: head.and_then(|head| head.project.clone()),
        }
    }

    /// The run fails, after what it did was undone.
    pub(super) fn fail_run(&mut self, failure: Arc<Failure>, step: Option<StepIndex>) {
        let all: Vec<StepIndex> = self.run.open.iter().copied().collect();
        self.abandon(&all, "the run failed");
        let steps = self.to_undo(step.filter(|_| failure.class != FailureClass::Validation));
        if steps.is_empty() {
            let step = step.and_then(|at| self.plan.step(at)).map(|step| step.id.clone());
            let end = self.end();
            self.emit(Event::RunFailed { failure, step, end });
        } else {
            self.emit(Event::CompensationStarted { steps, failure: Some(failure) });
            self.undo_next();
        }
    }

    /// Stops, undoes, and ends cancelled.
    pub(super) fn cancel_run(&mut self, reason: String) {
        let by = self.by();
        if self.run.status == Status::Compensating {
            self.emit(Event::RunCancelRequested { by, reason });
            return;
        }
        let all: Vec<StepIndex> = self.run.open.iter().copied().collect();
        self.abandon(&all, "the run was cancelled");
        let steps = self.to_undo(None);
        if steps.is_empty() {
            let end = self.end();
            self.emit(Event::RunCancelled { by, reason, end });
        } else {
            self.emit(Event::RunCancelRequested { by, reason });
            self.emit(Event::CompensationStarted { steps, failure: None });
            self.undo_next();
        }
    }

    /// The steps that had, or may have had, an effect; the last one first. `failed` may have had one
    /// when its failure does not say that it was refused.
    fn to_undo(&self, failed: Option<StepIndex>) -> Vec<Arc<str>> {
        let can_be_undone = |at: &StepIndex| self.plan.step(*at).is_some_and(|step| step.compensate.is_some());
        let mut steps: Vec<StepIndex> = self.run.undoable.clone();
        steps.extend(self.run.open.iter().copied().filter(can_be_undone));
        steps.extend(failed.filter(|at| can_be_undone(at) && self.was_asked(*at)));
        steps.reverse();
        steps.into_iter().filter_map(|at| self.plan.step(at)).map(|step| step.id.clone()).collect()
    }

    fn was_asked(&self, at: StepIndex) -> bool {
        self.run.work(at, None).is_some_and(|work| work.started_at.is_some())
    }

    /// Asks for the next step to be undone, or ends.
    pub(super) fn undo_next(&mut self) {
        let plan = self.plan.clone();
        loop {
            let next = self.run.undo.as_ref().and_then(|undo| undo.queue.front().copied());
            let Some(step) = next.and_then(|at| plan.step(at)) else {
                self.end_undone();
                return;
            };
            if self.undo_again() {
                return;
            }
            let attempt = next.and_then(|at| self.run.step(at)).map_or(0, |step| step.undos) + 1;
            let failure = Arc::new(invalid("step.compensate", "its input has no value"));
            self.emit(Event::CompensationFailed { step: step.id.clone(), attempt, failure });
        }
    }

    /// Asks for the step that is being undone; false when its input has no value.
    pub(super) fn undo_again(&mut self) -> bool {
        let plan = self.plan.clone();
        let Some(undo) = self.run.undo.clone() else { return false };
        let Some(at) = undo.queue.front().copied() else { return false };
        let Some(step) = plan.step(at) else { return false };
        let Some(compensate) = &step.compensate else { return false };
        let output = self.run.work(at, None).and_then(|work| work.output.clone());
        let input = self.evaluate(None, output.as_deref(), |scope| compensate.with.render(scope));
        let Some(input) = input.ok().and_then(|input| bounded(input, "step.compensate").ok()) else {
            return false;
        };
        self.emit(Event::CompensationRequested {
            step: step.id.clone(),
            attempt: self.run.step(at).map_or(0, |step| step.undos) + 1,
            input,
            due: step.timeout.map(|timeout| self.cause.at.plus(timeout)),
        });
        true
    }

    fn end_undone(&mut self) {
        let end = self.end();
        if let Some(cancel) = self.run.cancel.clone() {
            self.emit(Event::RunCancelled { by: cancel.by, reason: cancel.reason, end });
            return;
        }
        let failure = self
            .run
            .failure
            .clone()
            .unwrap_or_else(|| Arc::new(Failure::internal("run.undone", "the run was undone without a failure")));
        let step = self.run.failed_step.and_then(|at| self.plan.step(at)).map(|step| step.id.clone());
        self.emit(Event::RunFailed { failure, step, end });
    }

    /// Tells children, approvals and tasks of these steps that nobody waits for them.
    pub(super) fn abandon(&mut self, steps: &[StepIndex], reason: &str) {
        let mut waits = Waits::default();
        for step in steps.iter().filter_map(|at| self.run.step(*at)) {
            waits.see(&step.work);
            if let Some(items) = &step.items {
                items.open.iter().filter_map(|item| items.works.get(*item as usize)).for_each(|w| waits.see(w));
            }
        }
        self.tell_abandoned(waits, reason);
    }

    /// The same for one step or item alone.
    pub(super) fn abandon_one(&mut self, at: StepIndex, item: Option<u32>, reason: &str) {
        let mut waits = Waits::default();
        if let Some(work) = self.run.work(at, item) {
            waits.see(work);
        }
        self.tell_abandoned(waits, reason);
    }

    fn tell_abandoned(&mut self, waits: Waits, reason: &str) {
        if !waits.children.is_empty() || !waits.approvals.is_empty() || !waits.tasks.is_empty() {
            self.emit(Event::WaitsAbandoned {
                children: waits.children,
                approvals: waits.approvals,
                tasks: waits.tasks,
                reason: reason.to_owned(),
            });
        }
    }
}

/// What others do for a run.
#[derive(Default)]
struct Waits {
    children: Vec<String>,
    approvals: Vec<String>,
    tasks: Vec<String>,
}

impl Waits {
    fn see(&mut self, work: &Work) {
        match &work.wait {
            Some(Wait::Child { child, .. }) => self.children.push(child.clone()),
            Some(Wait::Task { task, .. }) => self.tasks.push(task.clone()),
            Some(Wait::Approval { approval, .. }) => self.approvals.push(approval.clone()),
            _ => {}
        }
    }
}

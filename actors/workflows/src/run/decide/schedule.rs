//! Which steps begin now, and how each begins.

use std::sync::Arc;

use mesh_kernel::envelope::Timestamp;
use mesh_skills::contract::Failure;
use serde_json::Value;

use super::{
    super::{
        ids,
        messages::{Event, SkipReason},
        state::{Status, StepStatus},
        wants::is_unsettled,
    },
    Deciding, INLINE_MAX, invalid, value_weight,
};
use crate::{
    expression::{EvaluateError, Template},
    plan::{Act, AgentPlan, Body, ForEachPlan, ITEMS_MAX, Plan, PlanStep, StepIndex, WorkflowPlan},
    submission::Parent,
};

impl Deciding<'_> {
    /// Begins whatever can begin, and ends the run when nothing is left.
    pub(super) fn settle(&mut self) {
        let plan = self.plan.clone();
        while self.has_budget() && is_unsettled(&self.run, &plan) {
            match self.run.ready.first().copied() {
                Some(at) => self.begin(&plan, at),
                None => self.feed(&plan),
            }
        }
        if self.run.status == Status::Running && self.run.unfinished == 0 {
            self.succeed_run();
        }
    }

    /// Begins a step all of whose needs have ended.
    fn begin(&mut self, plan: &Plan, at: StepIndex) {
        let Some(step) = plan.step(at) else { return };
        match self.condition(step) {
            Ok(None) => self.act(step, at),
            Ok(Some(because)) => self.skip(step.id.clone(), because),
            Err(failure) => self.fail_step(at, None, self.next_attempt(at, None), failure.into()),
        }
    }

    /// Whether a step is skipped, and why.
    fn condition(&self, step: &PlanStep) -> Result<Option<SkipReason>, Failure> {
        let Some(when) = &step.when else {
            let skipped = step
                .needs
                .iter()
                .any(|need| self.run.work(*need, None).is_some_and(|w| w.status == StepStatus::Skipped));
            return Ok(skipped.then_some(SkipReason::Need));
        };
        match self.evaluate(None, None, |scope| when.evaluate(scope)) {
            Ok(Value::Bool(true)) => Ok(None),
            Ok(Value::Bool(false)) => Ok(Some(SkipReason::Condition)),
            Ok(other) => {
                let source = when.source();
                Err(invalid("step.when", format!("`{source}` is neither true nor false but {other}")))
            }
            Err(error) => Err(invalid("step.when", error.to_string())),
        }
    }

    fn act(&mut self, step: &PlanStep, at: StepIndex) {
        let begun = match &step.act {
            Act::Skill(_) => self.request(step, at, None),
            Act::Workflow(workflow) => self.request_child(step, at, None, workflow),
            Act::Agent(agent) => self.request_task(step, at, agent),
            Act::Approval(approval) => self.request_approval(step, at, approval),
            Act::Signal(name) => {
                self.await_signal(step, at, name);
                Ok(())
            }
            Act::Sleep(duration) => {
                self.set_timer(step, at, self.cause.at.plus(*duration));
                Ok(())
            }
            Act::Until(until) => self.instant(until).map(|due| self.set_timer(step, at, due)),
            Act::ForEach(each) => self.list_items(step, at, each),
        };
        if let Err(failure) = begun {
            self.fail_step(at, None, self.next_attempt(at, None), failure.into());
        }
    }

    /// Makes the next attempt of a step, or of an item.
    pub(super) fn try_again(&mut self, at: StepIndex, item: Option<u32>) {
        let plan = self.plan.clone();
        let Some(step) = plan.step(at) else { return };
        let begun = match &step.act {
            Act::Skill(_) => self.request(step, at, item),
            Act::Workflow(workflow) => self.request_child(step, at, item, workflow),
            Act::Agent(agent) => self.request_task(step, at, agent),
            Act::ForEach(each) => self.begin_item(step, at, item, each),
            _ => Ok(()),
        };
        if let Err(failure) = begun {
            self.fail_step(at, item, self.next_attempt(at, item), failure.into());
        }
    }

    pub(super) fn next_attempt(&self, at: StepIndex, item: Option<u32>) -> u32 {
        let base = || {
            let items = self.run.step(at)?.items.as_ref()?;
            item.map(|_| items.base)
        };
        match self.run.work(at, item) {
            Some(work) => work.attempts + 1,
            None => base().unwrap_or(0) + 1,
        }
    }

    fn due(&self, step: &PlanStep) -> Option<Timestamp> {
        step.timeout.map(|timeout| self.cause.at.plus(timeout))
    }

    /// The input of what a step calls.
    fn input(&self, step: &PlanStep, at: StepIndex, item: Option<u32>) -> Result<Arc<Value>, Failure> {
        let item = item.and_then(|item| {
            let value = self.run.step(at)?.items.as_ref()?.values.get(item as usize)?;
            Some((value, item as usize))
        });
        self.render(&step.with, item, "step.input")
    }

    fn render(&self, template: &Template, item: Option<(&Value, usize)>, code: &str) -> Result<Arc<Value>, Failure> {
        let value = self
            .evaluate(item, None, |scope| template.render(scope))
            .map_err(|error: EvaluateError| invalid(code, error.to_string()))?;
        bounded(value, code)
    }

    fn request(&mut self, step: &PlanStep, at: StepIndex, item: Option<u32>) -> Result<(), Failure> {
        let input = self.input(step, at, item)?;
        let (attempt, due) = (self.next_attempt(at, item), self.due(step));
        let id = step.id.clone();
        match self.compute(step, &input) {
            Some(Ok(output)) => {
                self.emit(Event::StepComputed { step: id, item, attempt, input, output: Arc::new(output) });
                self.end_items(at, item);
            }
            Some(Err(failure)) => {
                self.emit(Event::StepRequested { step: id, item, attempt, input, due });
                self.attempt_failed(at, item, failure, None);
            }
            None => self.emit(Event::StepRequested { step: id, item, attempt, input, due }),
        }
        Ok(())
    }

    fn request_child(
        &mut self,
        step: &PlanStep,
        at: StepIndex,
        item: Option<u32>,
        workflow: &WorkflowPlan,
    ) -> Result<(), Failure> {
        let input = self.input(step, at, item)?;
        let attempt = self.next_attempt(at, item);
        let depth = self.run.head.as_ref().and_then(|head| head.parent.as_ref()).map_or(0, |p| p.depth) + 1;
        let run = self.cause.address.clone();
        self.emit(Event::ChildRequested {
            step: step.id.clone(),
            item,
            attempt,
            child: ids::child(&run, &step.id, item, attempt),
            definition: workflow.definition.clone(),
            version: workflow.version,
            input,
            parent: Parent {
                run,
                step: step.id.clone(),
                item,
                depth,
                taint: self.run.taint_of(step).into_iter().collect(),
            },
            due: self.due(step),
        });
        Ok(())
    }

    fn request_task(&mut self, step: &PlanStep, at: StepIndex, agent: &AgentPlan) -> Result<(), Failure> {
        let input = self.input(step, at, None)?;
        let goal = self.render(&agent.goal, None, "step.goal")?;
        let attempt = self.next_attempt(at, None);
        let run = self.cause.address.clone();
        let depth = self.run.head.as_ref().and_then(|head| head.parent.as_ref()).map_or(0, |p| p.depth) + 1;
        self.emit(Event::TaskRequested {
            step: step.id.clone(),
            attempt,
            task: ids::task(&run, &step.id, attempt),
            agent: agent.agent.clone(),
            version: agent.version,
            goal: goal.as_str().map_or_else(|| goal.to_string(), str::to_owned),
            input,
            parent: Parent {
                run,
                step: step.id.clone(),
                item: None,
                depth,
                taint: self.run.taint_of(step).into_iter().collect(),
            },
            due: self.due(step),
            submitted_by: self.run.head.as_ref().map(|head| head.submitted_by.clone()).unwrap_or_default(),
            project: self.run.head.as_ref().and_then(|head| head.project.clone()),
        });
        Ok(())
    }

    fn await_signal(&mut self, step: &PlanStep, at: StepIndex, name: &str) {
        let (attempt, due) = (self.next_attempt(at, None), self.due(step));
        let kept = self.run.signals.iter().find(|kept| kept.name == name).map(|kept| kept.payload.clone());
        self.emit(Event::SignalAwaited { step: step.id.clone(), attempt, name: name.to_owned(), due });
        if let Some(payload) = kept {
            self.succeed_step(at, None, Some(payload), None, Vec::new());
        }
    }

    fn set_timer(&mut self, step: &PlanStep, at: StepIndex, due: Timestamp) {
        let attempt = self.next_attempt(at, None);
        self.emit(Event::TimerSet { step: step.id.clone(), attempt, due });
    }

    fn instant(&self, until: &Template) -> Result<Timestamp, Failure> {
        let value = self.render(until, None, "step.until")?;
        let text = value.as_str().unwrap_or_default();
        text.parse()
            .map_err(|_| invalid("step.until", format!("`{value}` is no instant: `2030-01-31T09:30:00Z` is expected")))
    }

    fn list_items(&mut self, step: &PlanStep, at: StepIndex, each: &ForEachPlan) -> Result<(), Failure> {
        let value = self.render(&each.items, None, "step.items")?;
        let Value::Array(items) = value.as_ref() else {
            return Err(invalid("step.items", "the items are no list"));
        };
        if items.len() > ITEMS_MAX {
            let message = format!("{} items; at most {ITEMS_MAX} are taken", items.len());
            return Err(invalid("step.items", message));
        }
        let (attempt, items) = (self.next_attempt(at, None), Arc::new(items.clone()));
        self.emit(Event::ItemsListed { step: step.id.clone(), attempt, items });
        let all = self
            .run
            .step(at)
            .and_then(|step| step.items.as_ref())
            .is_some_and(|items| items.succeeded as usize == items.values.len());
        if all {
            self.succeed_step(at, None, None, None, Vec::new());
        }
        Ok(())
    }

    /// Begins items of the first for-each step that has room.
    fn feed(&mut self, plan: &Plan) {
        let hungry: Vec<StepIndex> = self.run.hungry.iter().copied().collect();
        for at in hungry {
            let Some(step) = plan.step(at) else { continue };
            let Act::ForEach(each) = &step.act else { continue };
            while self.run.may_schedule() && self.has_budget() && self.run.has_room(at, each.parallel) {
                let items = self.run.step(at).and_then(|step| step.items.as_ref());
                let Some(item) = items.and_then(|items| items.next()) else { return };
                if let Err(failure) = self.begin_item(step, at, Some(item), each) {
                    self.fail_step(at, Some(item), self.next_attempt(at, Some(item)), failure.into());
                }
            }
        }
    }

    fn begin_item(
        &mut self,
        step: &PlanStep,
        at: StepIndex,
        item: Option<u32>,
        each: &ForEachPlan,
    ) -> Result<(), Failure> {
        match &each.body {
            Body::Skill(_) => self.request(step, at, item),
            Body::Workflow(workflow) => self.request_child(step, at, item, workflow),
        }
    }
}

/// What goes into the journal has a bound.
pub(super) fn bounded(value: Value, code: &str) -> Result<Arc<Value>, Failure> {
    let bytes = value_weight(&value);
    if bytes > INLINE_MAX {
        let message = format!("{bytes} bytes; at most {INLINE_MAX} are taken: pass large outputs whole, by reference");
        return Err(invalid(code, message));
    }
    Ok(Arc::new(value))
}

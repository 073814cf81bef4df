//! Outcomes of skills and children, and what follows from them.

use std::{sync::Arc, time::Duration};

use mesh_skills::{
    contract::{Failure, SkillOutcome, SkillResult},
    logs::LogRef,
};
use serde_json::Value;

use super::{
    super::{
        error::Error,
        messages::{ChildResult, Event},
        state::{Status, Wait, Work},
        wants::Echo,
    },
    Deciding,
};
use crate::plan::StepIndex;

/// Longest wait that the other side may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

impl Deciding<'_> {
    /// A skill has answered.
    pub(super) fn record_outcome(&mut self, outcome: SkillOutcome) -> Result<(), Error> {
        let late = || Error::Late { what: format!("the outcome of `{}`", outcome.key) };
        let echo: Echo = serde_json::from_value(outcome.echo.clone()).map_err(|_| late())?;
        let at = self.find(&echo.step)?;
        if echo.undo {
            return self.record_undo(at, outcome);
        }
        let work = self.run.work(at, echo.item).ok_or_else(late)?;
        if !is_asked(work, outcome.attempt) || self.run.status != Status::Running {
            return Err(late());
        }
        let log = Some(outcome.log).filter(|log| *log != LogRef::default());
        let taint = if outcome.tainted { self.skill(at) } else { None };
        let taint = taint.into_iter().collect();
        match outcome.result {
            SkillResult::Ok { output } => self.succeed_step(at, echo.item, Some(Arc::new(output)), log, taint),
            SkillResult::Failed { failure } => self.attempt_failed(at, echo.item, failure, log),
        }
        self.settle();
        Ok(())
    }

    /// The skill that a step calls, as it is named among what came from outside.
    fn skill(&self, at: StepIndex) -> Option<String> {
        let skill = self.plan.step(at)?.uses()?;
        Some(format!("skill:{skill}"))
    }

    /// A child has ended.
    pub(super) fn record_child(
        &mut self,
        step: &str,
        item: Option<u32>,
        child: &str,
        result: ChildResult,
    ) -> Result<(), Error> {
        let at = self.find(step)?;
        let waits = self.run.work(at, item).and_then(|work| work.wait.as_ref());
        if !matches!(waits, Some(Wait::Child { child: asked, .. }) if asked == child) {
            // Its wait was abandoned, and the child told to stop: that it has ended is no news.
            return Ok(());
        }
        self.others_did(at, item, result);
        Ok(())
    }

    /// An agent's task has ended.
    pub(super) fn record_task(&mut self, step: &str, task: &str, result: ChildResult) -> Result<(), Error> {
        let at = self.find(step)?;
        let waits = self.run.work(at, None).and_then(|work| work.wait.as_ref());
        if matches!(waits, Some(Wait::Task { task: asked, .. }) if asked == task) {
            self.others_did(at, None, result);
        }
        Ok(())
    }

    fn others_did(&mut self, at: StepIndex, item: Option<u32>, result: ChildResult) {
        match result {
            ChildResult::Succeeded { outputs, taint } => {
                self.succeed_step(at, item, Some(Arc::new(outputs)), None, taint);
            }
            ChildResult::Failed { failure } => self.attempt_failed(at, item, failure, None),
        }
        self.settle();
    }

    /// A step, or an item, has its output. The last item ends its step.
    pub(super) fn succeed_step(
        &mut self,
        at: StepIndex,
        item: Option<u32>,
        output: Option<Arc<Value>>,
        log: Option<LogRef>,
        taint: Vec<String>,
    ) {
        let Some(id) = self.plan.step(at).map(|step| step.id.clone()) else { return };
        let attempt = self.run.work(at, item).map_or(1, |work| work.attempts);
        self.emit(Event::StepSucceeded { step: id, item, attempt, output, log, taint });
        self.end_items(at, item);
    }

    /// Ends a for-each step whose last item has just succeeded.
    pub(super) fn end_items(&mut self, at: StepIndex, item: Option<u32>) {
        let Some(id) = self.plan.step(at).map(|step| step.id.clone()) else { return };
        let all = item.is_some()
            && self
                .run
                .step(at)
                .and_then(|step| step.items.as_ref())
                .is_some_and(|items| items.succeeded as usize == items.values.len());
        if all {
            let attempt = self.run.work(at, None).map_or(1, |work| work.attempts);
            self.emit(Event::StepSucceeded {
                step: id,
                item: None,
                attempt,
                output: None,
                log: None,
                taint: Vec::new(),
            });
        }
    }

    /// An attempt failed: it is made again later, or the step has failed.
    pub(super) fn attempt_failed(&mut self, at: StepIndex, item: Option<u32>, failure: Failure, log: Option<LogRef>) {
        let plan = self.plan.clone();
        let (Some(step), Some(work)) = (plan.step(at), self.run.work(at, item)) else { return };
        let (attempt, counted) = (work.attempts, work.attempts.saturating_sub(work.before));
        let rule = step.retry.of(failure.class);
        if counted >= rule.attempts {
            self.fail_step_with(at, item, attempt, failure.into(), log);
            return;
        }
        let key = format!("{}.{}.{item:?}.{attempt}", self.cause.address, step.id);
        let asked = failure.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let retry_at = self.cause.at.plus(rule.wait(counted, &key).max(asked));
        let failure = Arc::new(failure);
        self.emit(Event::AttemptFailed { step: step.id.clone(), item, attempt, failure, retry_at, log });
    }

    /// A step, or an item and with it its step, has failed for good, and with it the run.
    pub(super) fn fail_step(&mut self, at: StepIndex, item: Option<u32>, attempt: u32, failure: Arc<Failure>) {
        self.fail_step_with(at, item, attempt, failure, None);
    }

    fn fail_step_with(
        &mut self,
        at: StepIndex,
        item: Option<u32>,
        attempt: u32,
        failure: Arc<Failure>,
        log: Option<LogRef>,
    ) {
        let Some(id) = self.plan.step(at).map(|step| step.id.clone()) else { return };
        // Whatever else waits within this step is given up before the step is closed.
        self.abandon(&[at], &format!("step `{id}` failed"));
        let mut failure = failure;
        if item.is_some() {
            let event = Event::StepFailed { step: id.clone(), item, attempt, failure: failure.clone(), log };
            self.emit(event);
            let mut whole = failure.as_ref().clone();
            whole.message = format!("item {}: {}", item.unwrap_or_default(), whole.message);
            failure = Arc::new(whole);
        }
        let own = if item.is_some() { self.run.work(at, None).map_or(1, |work| work.attempts) } else { attempt };
        let log = if item.is_some() { None } else { log };
        self.emit(Event::StepFailed { step: id, item: None, attempt: own, failure: failure.clone(), log });
        self.fail_run(failure, Some(at));
    }

    /// A skill that undoes a step has answered.
    fn record_undo(&mut self, at: StepIndex, outcome: SkillOutcome) -> Result<(), Error> {
        let late = || Error::Late { what: format!("the outcome of `{}`", outcome.key) };
        let undo = self.run.undo.as_ref().ok_or_else(late)?;
        if undo.queue.front() != Some(&at) || !is_asked(&undo.work, outcome.attempt) {
            return Err(late());
        }
        match outcome.result {
            SkillResult::Ok { .. } => {
                let attempt = outcome.attempt;
                if let Some(step) = self.plan.step(at).map(|step| step.id.clone()) {
                    self.emit(Event::CompensationSucceeded { step, attempt });
                }
                self.undo_next();
            }
            SkillResult::Failed { failure } => self.undo_failed(at, failure),
        }
        Ok(())
    }

    /// Signals: kept, or taken by the first step that waits for it.
    pub(super) fn signal(&mut self, name: &str, payload: Value) -> Result<(), Error> {
        if self.run.status.is_final() || self.run.status == Status::Compensating {
            return self.refuse("it takes no signals any more");
        }
        let bytes = super::value_weight(&payload);
        if bytes > SIGNAL_BYTES_MAX {
            return Err(Error::TooLarge { what: "the signal", bytes, max: SIGNAL_BYTES_MAX });
        }
        let waiting = self.run.open.iter().copied().find(|at| {
            let wait = self.run.work(*at, None).and_then(|work| work.wait.as_ref());
            matches!(wait, Some(Wait::Signal { name: awaited, .. }) if awaited == name)
        });
        let payload = Arc::new(payload);
        let Some(at) = waiting else {
            let count = self.run.signals.len();
            if count >= SIGNALS_MAX {
                return Err(Error::SignalsFull { count, max: SIGNALS_MAX });
            }
            self.emit(Event::SignalReceived { name: name.to_owned(), step: None, payload: Some(payload) });
            return Ok(());
        };
        let step = self.plan.step(at).map(|step| step.id.clone());
        self.emit(Event::SignalReceived { name: name.to_owned(), step, payload: None });
        self.succeed_step(at, None, Some(payload), None, Vec::new());
        self.settle();
        Ok(())
    }

    /// A wait took too long.
    pub(super) fn timed_out(&mut self, at: StepIndex, item: Option<u32>) {
        let Some(step) = self.plan.step(at) else { return };
        let timeout = step.timeout.map(crate::form::show_duration).unwrap_or_default();
        let kind = step.kind();
        let message = format!("the {kind} had no outcome within {timeout}");
        let failure = Failure::timeout("step.timeout", message);
        self.abandon_one(at, item, "the step's time is over");
        self.attempt_failed(at, item, failure, None);
        self.settle();
    }

    /// An undoing failed: it is tried again later, or the step stays as it is.
    pub(super) fn undo_failed(&mut self, at: StepIndex, failure: Failure) {
        let plan = self.plan.clone();
        let (Some(step), Some(undo)) = (plan.step(at), self.run.undo.clone()) else { return };
        let attempt = undo.work.attempts;
        let rule = step.retry.of(failure.class);
        let id = step.id.clone();
        let counted = attempt.saturating_sub(undo.work.before);
        if counted >= rule.attempts {
            self.emit(Event::CompensationFailed { step: id, attempt, failure: failure.into() });
            self.undo_next();
            return;
        }
        let key = format!("{}.{}.undo.{attempt}", self.cause.address, step.id);
        let asked = failure.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let retry_at = self.cause.at.plus(rule.wait(counted, &key).max(asked));
        self.emit(Event::CompensationAttemptFailed { step: id, attempt, failure: failure.into(), retry_at });
    }

    /// An undoing took too long.
    pub(super) fn undo_timed_out(&mut self, at: StepIndex) {
        self.undo_failed(at, Failure::timeout("step.timeout", "undoing had no outcome in time"));
    }
}

/// Signals that are kept until a step takes them.
const SIGNALS_MAX: usize = 100;
/// Largest payload of a signal. **Units**: bytes of JSON.
const SIGNAL_BYTES_MAX: usize = 64 * 1024;

fn is_asked(work: &Work, attempt: u32) -> bool {
    matches!(work.wait, Some(Wait::Effect(_))) && work.attempts == attempt
}

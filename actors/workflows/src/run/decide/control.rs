//! Pause, resume, cancel, retry: what people do to a run.

use std::collections::{BTreeSet, VecDeque};

use mesh_kernel::entity::Cause;

use super::{
    super::{
        error::Error,
        messages::Event,
        state::{Run, Status},
    },
    Deciding,
};
use crate::plan::StepIndex;

/// A parent that is cancelled tells its child to stop, and may be faster than the definition that
/// submits the child: then the child must not begin.
pub(super) fn forestall(run: &Run, reason: &str, cause: &Cause) -> Vec<Event> {
    match run.cancel {
        Some(_) => Vec::new(),
        None => {
            let by = cause.principal.answerable().to_owned();
            vec![Event::RunForestalled { by, reason: reason.to_owned() }]
        }
    }
}

impl Deciding<'_> {
    pub(super) fn pause(&mut self, reason: String) -> Result<(), Error> {
        match self.run.status {
            Status::Created | Status::Running if self.run.paused.is_some() => Ok(()),
            Status::Created | Status::Running => {
                let by = self.by();
                self.emit(Event::RunPaused { by, reason });
                Ok(())
            }
            Status::Compensating => self.refuse("undoing cannot be paused; wait for its end"),
            _ => self.refuse("it has ended and cannot be paused"),
        }
    }

    pub(super) fn resume(&mut self) -> Result<(), Error> {
        if self.run.status.is_final() {
            return self.refuse("it has ended; a failed run can be retried");
        }
        if self.run.paused.is_some() {
            let by = self.by();
            self.emit(Event::RunResumed { by });
            self.settle();
        }
        Ok(())
    }

    pub(super) fn cancel(&mut self, reason: String) -> Result<(), Error> {
        match self.run.status {
            Status::Cancelled => Ok(()),
            Status::Succeeded | Status::Failed => self.refuse("it has ended and cannot be cancelled"),
            _ if self.run.cancel.is_some() => Ok(()),
            _ => {
                self.cancel_run(reason);
                Ok(())
            }
        }
    }

    pub(super) fn retry(&mut self, from_step: Option<String>) -> Result<(), Error> {
        if self.run.status != Status::Failed {
            return self.refuse("only a failed run can be retried");
        }
        let from = from_step.as_deref().map(|id| self.find(id)).transpose()?;
        let reset = self.to_reset(from);
        let name = |at: &StepIndex| self.plan.step(*at).map(|step| step.id.clone());
        let event = Event::RunRetried {
            by: self.by(),
            from_step: from.as_ref().and_then(name),
            reset: reset.iter().filter_map(name).collect(),
        };
        self.emit(event);
        match self.plan.concurrency {
            Some(_) => self.take_turn(),
            None => self.settle(),
        }
        Ok(())
    }

    /// The named step, everything that did not end well, and all that follow either.
    fn to_reset(&self, from: Option<StepIndex>) -> BTreeSet<StepIndex> {
        let undone = (0..).zip(&self.run.steps).filter(|(_, step)| !step.work.status.is_done()).map(|(at, _)| at);
        let mut queue: VecDeque<StepIndex> = undone.chain(from).collect();
        let mut reset = BTreeSet::new();
        while let Some(at) = queue.pop_front() {
            if reset.insert(at) {
                queue.extend(self.plan.step(at).map(|step| step.successors.as_slice()).unwrap_or_default());
            }
        }
        reset
    }
}

//! An instant has come.

use std::sync::Arc;

use mesh_kernel::envelope::Timestamp;
use mesh_skills::contract::Failure;
use serde_json::json;

use super::{
    super::{
        state::{Status, Work},
        wants::{DEADLINE, SETTLE, TimerKind, TimerName, due as due_of},
    },
    Deciding,
};
use crate::plan::StepIndex;

impl Deciding<'_> {
    /// Fires a timer that the run still wants; an old one changes nothing.
    pub(super) fn fire(&mut self, name: &str, due: Timestamp) {
        match name {
            SETTLE => self.settle(),
            DEADLINE => self.deadline(due),
            _ => {
                if let Some(name) = TimerName::parse(name) {
                    self.fire_step(&name, due);
                }
            }
        }
    }

    fn deadline(&mut self, due: Timestamp) {
        if self.run.status == Status::Running && self.run.deadline == Some(due) {
            let limit = self.plan.timeout.map(crate::form::show_duration).unwrap_or_default();
            let failure = Failure::timeout("run.timeout", format!("the run did not end within {limit}"));
            self.fail_run(failure.into(), None);
        }
    }

    fn fire_step(&mut self, name: &TimerName, due: Timestamp) {
        let Some(at) = self.plan.find(&name.step) else { return };
        if name.undo {
            self.fire_undo(at, name, due);
            return;
        }
        let asked = self.run.work(at, name.item).is_some_and(|work| is_asked(work, name, due));
        if !asked || self.run.status != Status::Running {
            return;
        }
        match name.kind {
            TimerKind::Timer => {
                let output = Arc::new(json!({ "at": due }));
                self.succeed_step(at, None, Some(output), None, Vec::new());
                self.settle();
            }
            // A paused run begins nothing; it asks for the timer again when it goes on.
            TimerKind::Retry if self.run.paused.is_some() => {}
            TimerKind::Retry => {
                self.try_again(at, name.item);
                self.settle();
            }
            TimerKind::Timeout => self.timed_out(at, name.item),
        }
    }

    fn fire_undo(&mut self, at: StepIndex, name: &TimerName, due: Timestamp) {
        let Some(undo) = self.run.undo.clone() else { return };
        if undo.queue.front() != Some(&at) || !is_asked(&undo.work, name, due) {
            return;
        }
        match name.kind {
            TimerKind::Retry => {
                self.undo_again();
            }
            TimerKind::Timeout => self.undo_timed_out(at),
            TimerKind::Timer => {}
        }
    }
}

fn is_asked(work: &Work, name: &TimerName, due: Timestamp) -> bool {
    work.attempts == name.attempt && work.wait.as_ref().and_then(due_of) == Some((name.kind, due))
}

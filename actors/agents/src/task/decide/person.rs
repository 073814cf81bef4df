//! What people do with a task, and what it does to them.

use std::sync::Arc;

use mesh_skills::models::secrets;
use serde_json::Value;

use super::{
    super::{
        messages::Event,
        state::{Phase, Work},
    },
    Deciding, Error, INPUT_BYTES_MAX,
};
use crate::definition::mistakes;

/// Longest note. **Units**: bytes.
const NOTE_BYTES_MAX: usize = 16 * 1024;

impl Deciding<'_> {
    pub(super) fn pause(&mut self, reason: String) -> Result<(), Error> {
        if self.task.phase.is_final() {
            return self.refuse("it has ended");
        }
        if self.task.paused.is_none() {
            let by = self.by();
            self.emit(Event::TaskPaused { by, reason });
        }
        Ok(())
    }

    pub(super) fn resume(&mut self, tokens: u64, cost: u64) -> Result<(), Error> {
        if self.task.phase.is_final() {
            return self.refuse("it has ended");
        }
        if self.task.waits_for_a_person() || tokens > 0 || cost > 0 {
            let by = self.by();
            self.emit(Event::TaskResumed { by, tokens, cost });
            self.allow_held();
            self.take_up();
        }
        Ok(())
    }

    /// Goes on with what waited: the next turn, or an attempt that was due meanwhile.
    fn take_up(&mut self) {
        match &self.task.work {
            Work::Again { at, .. } if *at <= self.cause.at && self.task.paused.is_none() => self.ask_again(),
            _ => self.go_on(),
        }
    }

    pub(super) fn redirect(&mut self, note: String) -> Result<(), Error> {
        if self.task.phase.is_final() {
            return self.refuse("it has ended");
        }
        if note.trim().is_empty() || note.len() > NOTE_BYTES_MAX {
            return Err(Error::Note { bytes: note.len(), max: NOTE_BYTES_MAX });
        }
        if secrets::find(note.as_bytes(), "").is_some() {
            return Err(Error::Secret);
        }
        let by = self.by();
        self.emit(Event::TaskRedirected { by: by.clone(), note });
        if !self.held().is_empty() {
            self.deny_held();
            self.emit(Event::TaskResumed { by, tokens: 0, cost: 0 });
        }
        if self.task.phase != Phase::Validating {
            self.take_up();
        }
        Ok(())
    }

    pub(super) fn take_over(&mut self, output: Value) -> Result<(), Error> {
        if self.task.phase.is_final() {
            return self.refuse("it has ended");
        }
        let bytes = output.to_string().len();
        if bytes > INPUT_BYTES_MAX {
            return Err(Error::TooLarge { what: "the output", bytes, max: INPUT_BYTES_MAX });
        }
        let context = self.context();
        let schema = context.as_ref().and_then(|context| context.agent.output.as_ref());
        if let Some(mistakes) = schema.and_then(|schema| mistakes(schema, &output)) {
            return Err(Error::Output { mistakes });
        }
        self.abandon("a person has done what it was a part of");
        let by = self.by();
        self.emit(Event::TaskTakenOver { by });
        self.complete(Arc::new(output));
        Ok(())
    }

    pub(super) fn cancel(&mut self, reason: String) -> Result<(), Error> {
        if !self.task.phase.is_final() {
            self.abandon("the task that gave it was cancelled");
            let (by, parent, spent) = (self.by(), self.parent(), self.task.spent);
            self.emit(Event::AgentTaskCancelled { by, reason, spent, parent });
        } else if !self.is_our_own() {
            return self.refuse("it has ended");
        }
        Ok(())
    }
}

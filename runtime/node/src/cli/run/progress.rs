//! How far a run is: a model that snapshots and log lines move, and that draws nothing.

use std::collections::{BTreeMap, VecDeque};

use mesh_proto::v1::{self, LogLineKind, StepState};

use crate::cli::runs::is_final;

/// Lines of a step's log that are kept, to be shown when it fails.
const TAIL_LINES: usize = 30;

/// What a step has said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// What it does and how far it is: `compiling`, 12, 240.
    pub(super) doing: Option<(String, u64, u64)>,
    /// Its last lines.
    pub(super) tail: VecDeque<String>,
    /// The attempt that these are of.
    attempt: u32,
}

/// How far a run is.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    run: v1::Run,
    said: BTreeMap<String, Said>,
    /// Steps that had succeeded before we came, with their attempts.
    found_done: BTreeMap<String, u32>,
    /// The version that the run must leave behind before its end counts: a failed run that is retried
    /// is still failed for a moment.
    stale: Option<u64>,
    resumed: u32,
}

impl Progress {
    /// Begins with the run as it was found. `retried`: it is about to leave its final state.
    pub(super) fn new(run: v1::Run, retried: bool, resumed: u32) -> Self {
        let found_done: BTreeMap<String, u32> = run
            .steps
            .iter()
            .filter(|step| resumed > 0 && step.state() == StepState::Succeeded)
            .map(|step| (step.step_id.clone(), step.attempts))
            .collect();
        let ended = is_final(run.state());
        let stale = (retried && ended).then_some(run.version);
        Self { run, said: BTreeMap::new(), found_done, stale, resumed }
    }

    /// The run as it was seen last.
    pub(super) fn run(&self) -> &v1::Run {
        &self.run
    }

    /// Takes a later snapshot; an earlier one changes nothing.
    pub(super) fn see(&mut self, run: v1::Run) {
        if run.version >= self.run.version {
            self.run = run;
        }
    }

    /// Takes lines that a step has written.
    pub(super) fn hear(&mut self, chunk: &v1::LogChunk) {
        let said = self.said.entry(chunk.step_id.clone()).or_default();
        if chunk.attempt > said.attempt {
            *said = Said { attempt: chunk.attempt, ..Said::default() };
        }
        for line in &chunk.lines {
            said.line(line);
        }
    }

    /// What a step has said last.
    pub(super) fn said(&self, step: &str) -> Option<&Said> {
        self.said.get(step)
    }

    /// Whether the step's outcome was in the journal before we came.
    pub(super) fn was_done(&self, step: &v1::RunStep) -> bool {
        self.found_done.get(&step.step_id).is_some_and(|attempts| step.attempts <= *attempts)
    }

    /// Whether nothing was left to be done.
    pub(super) fn all_was_done(&self) -> bool {
        !self.found_done.is_empty() && self.run.steps.iter().all(|step| self.was_done(step))
    }

    /// Whether the run has ended.
    pub(super) fn has_ended(&self) -> bool {
        is_final(self.run.state()) && self.stale.is_none_or(|stale| self.run.version > stale)
    }

    /// What is taken over from an earlier start, when there is something.
    pub(super) fn resuming(&self) -> Option<String> {
        (self.resumed > 0).then(|| format!("resuming {}: {} in the journal", self.run.run_id, steps(self.resumed)))
    }

    /// What was taken over and what was done again, when something was taken over.
    pub(super) fn resumed(&self) -> Option<String> {
        let repeated = self
            .run
            .steps
            .iter()
            .filter(|step| self.found_done.get(&step.step_id).is_some_and(|attempts| step.attempts > *attempts));
        (self.resumed > 0)
            .then(|| format!("resumed: {} from the journal, {} repeated", steps(self.resumed), repeated.count()))
    }
}

impl Said {
    fn line(&mut self, line: &v1::LogLine) {
        match (line.kind(), &line.progress) {
            (LogLineKind::Progress, Some(progress)) => {
                self.doing = Some((line.text.clone(), progress.done, progress.total));
            }
            _ => {
                self.tail.push_back(line.text.clone());
                while self.tail.len() > TAIL_LINES {
                    self.tail.pop_front();
                }
            }
        }
    }
}

fn steps(count: u32) -> String {
    format!("{count} step{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
pub(super) mod tests {
    use mesh_proto::v1::RunState;

    use super::*;

    pub(crate) fn step(id: &str, state: StepState, attempts: u32) -> v1::RunStep {
        v1::RunStep {
            step_id: id.into(),
            uses: format!("skill.{id}"),
            state: state as i32,
            attempts,
            ..Default::default()
        }
    }

    pub(crate) fn run(version: u64, state: RunState, steps: Vec<v1::RunStep>) -> v1::Run {
        v1::Run { run_id: "run-1".into(), version, state: state as i32, steps, ..Default::default() }
    }

    pub(crate) fn chunk(step: &str, attempt: u32, lines: &[&str]) -> v1::LogChunk {
        let line =
            |text: &&str| v1::LogLine { text: (*text).to_owned(), kind: LogLineKind::Err as i32, ..Default::default() };
        v1::LogChunk { step_id: step.into(), item: None, attempt, lines: lines.iter().map(line).collect() }
    }

    #[test]
    fn a_failed_run_that_is_retried_has_not_ended_until_it_fails_again() {
        let failed = || vec![step("build", StepState::Failed, 1)];
        let mut progress = Progress::new(run(9, RunState::Failed, failed()), true, 1);
        assert!(!progress.has_ended());
        progress.see(run(10, RunState::Running, failed()));
        assert!(!progress.has_ended());
        progress.see(run(12, RunState::Failed, failed()));
        assert!(progress.has_ended());
        assert!(Progress::new(run(9, RunState::Failed, failed()), false, 0).has_ended());
    }

    #[test]
    fn what_was_done_before_and_done_again_is_counted() {
        let before = vec![step("render", StepState::Succeeded, 1), step("build", StepState::Failed, 1)];
        let mut progress = Progress::new(run(9, RunState::Failed, before), true, 1);
        assert_eq!(progress.resuming().unwrap(), "resuming run-1: 1 step in the journal");
        assert!(progress.was_done(&step("render", StepState::Succeeded, 1)));
        assert!(!progress.was_done(&step("build", StepState::Failed, 1)));
        assert!(!progress.all_was_done());
        let after =
            |attempts| vec![step("render", StepState::Succeeded, attempts), step("build", StepState::Succeeded, 2)];
        progress.see(run(20, RunState::Succeeded, after(1)));
        assert_eq!(progress.resumed().unwrap(), "resumed: 1 step from the journal, 0 repeated");
        progress.see(run(21, RunState::Succeeded, after(2)));
        assert_eq!(progress.resumed().unwrap(), "resumed: 1 step from the journal, 1 repeated");
        assert_eq!(Progress::new(run(1, RunState::Created, vec![]), false, 0).resumed(), None);
    }

    #[test]
    fn an_older_snapshot_changes_nothing() {
        let mut progress = Progress::new(run(5, RunState::Running, vec![]), false, 0);
        progress.see(run(4, RunState::Created, vec![]));
        assert_eq!(progress.run().version, 5);
    }

    #[test]
    fn a_new_attempt_begins_with_a_clean_log_and_the_tail_is_bounded() {
        let mut progress = Progress::new(run(1, RunState::Running, vec![]), false, 0);
        progress.hear(&chunk("build", 1, &["old"]));
        let lines: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        progress.hear(&chunk("build", 2, &lines));
        let said = progress.said("build").unwrap();
        assert_eq!(said.tail.len(), TAIL_LINES);
        assert_eq!(said.tail.front().unwrap(), "10");
    }
}

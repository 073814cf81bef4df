//! Progress where there is no terminal: a line whenever something has changed.

use std::{collections::BTreeMap, time::Duration};

use mesh_kernel::envelope::Timestamp;
use mesh_proto::v1::{self, StepState};

use super::progress::Progress;
use crate::cli::{
    output::{clean, span},
    runs::show::step_label,
};

/// The least time between two lines that say how far a step is.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Plain {
    states: BTreeMap<String, (StepState, u32)>,
    told: BTreeMap<String, (Timestamp, u64)>,
}

impl Plain {
    /// The lines that are new.
    pub(super) fn lines(&mut self, progress: &Progress, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        for step in &progress.run().steps {
            lines.extend(self.state(step, progress, now));
            lines.extend(self.how_far(step, progress, now));
        }
        lines
    }

    fn state(&mut self, step: &v1::RunStep, progress: &Progress, now: Timestamp) -> Option<String> {
        let state = (step.state(), step.attempts);
        let before = self.states.insert(step.step_id.clone(), state);
        if before == Some(state) || matches!(step.state(), StepState::Pending | StepState::Ready) {
            return None;
        }
        if before.is_none() && progress.was_done(step) {
            return Some(format!("{}: from the journal", clean(&step.step_id)));
        }
        let mut line = format!("{}: {}", clean(&step.step_id), step_label(step.state()));
        if step.end_time.is_some() && step.start_time.is_some() {
            line.push_str(&format!(" after {}", span(step.start_time, step.end_time, now)));
        } else if step.attempts > 1 {
            line.push_str(&format!(", attempt {}", step.attempts));
        }
        Some(line)
    }

    fn how_far(&mut self, step: &v1::RunStep, progress: &Progress, now: Timestamp) -> Option<String> {
        if step.state() != StepState::Running {
            return None;
        }
        let (text, done, total) = progress.said(&step.step_id)?.doing.as_ref()?;
        if let Some((at, before)) = self.told.get(&step.step_id)
            && (done == before || now.since(*at) < TOLD_EVERY)
        {
            return None;
        }
        self.told.insert(step.step_id.clone(), (now, *done));
        Some(format!("{}: {} {done} of {total}", clean(&step.step_id), clean(text)))
    }
}

#[cfg(test)]
mod tests {
    use mesh_proto::v1::{LogLineKind, RunState};

    use super::super::progress::tests::{run, step};
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_nanos(seconds * 1_000_000_000)
    }

    fn compiling(done: u64) -> v1::LogChunk {
        v1::LogChunk {
            step_id: "build".into(),
            attempt: 1,
            lines: vec![v1::LogLine {
                kind: LogLineKind::Progress as i32,
                text: "compiling".into(),
                progress: Some(v1::LogProgress { done, total: 240 }),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn what_was_done_before_is_told_so() {
        let steps = vec![step("render", StepState::Succeeded, 1), step("build", StepState::Running, 2)];
        let progress = Progress::new(run(5, RunState::Running, steps), false, 1);
        let told = Plain::default().lines(&progress, at(0));
        assert_eq!(told, ["render: from the journal", "build: running, attempt 2"]);
    }

    #[test]
    fn a_line_is_told_once_and_progress_now_and_then() {
        let mut plain = Plain::default();
        let steps = || vec![step("build", StepState::Running, 1), step("test", StepState::Pending, 0)];
        let mut progress = Progress::new(run(5, RunState::Running, steps()), false, 0);
        assert_eq!(plain.lines(&progress, at(0)), ["build: running"]);
        assert!(plain.lines(&progress, at(1)).is_empty());
        progress.hear(&compiling(1));
        assert_eq!(plain.lines(&progress, at(2)), ["build: compiling 1 of 240"]);
        progress.hear(&compiling(90));
        assert!(plain.lines(&progress, at(5)).is_empty());
        assert_eq!(plain.lines(&progress, at(12)), ["build: compiling 90 of 240"]);
        assert!(plain.lines(&progress, at(60)).is_empty());
        let mut failed = step("build", StepState::Failed, 1);
        failed.start_time = Some(prost_types::Timestamp { seconds: 0, nanos: 0 });
        failed.end_time = Some(prost_types::Timestamp { seconds: 61, nanos: 0 });
        progress.see(run(6, RunState::Failed, vec![failed]));
        assert_eq!(plain.lines(&progress, at(62)), ["build: failed after 1m 1s"]);
    }
}

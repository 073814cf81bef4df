//! Progress on a terminal: a few lines that are drawn over and over.

use std::io::{self, Write};

use mesh_kernel::envelope::Timestamp;
use mesh_proto::v1::{self, StepState};

use super::progress::Progress;
use crate::cli::output::{Paint, Tone, clean, span};

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Width of the bar that shows n of m. **Units**: characters.
const BAR: u64 = 20;

/// Lines that are drawn over.
pub(super) struct Screen {
    paint: Paint,
    drawn: usize,
    turn: usize,
}

impl Screen {
    pub(super) fn new(paint: Paint) -> Self {
        Self { paint, drawn: 0, turn: 0 }
    }

    /// Draws over what was drawn before.
    pub(super) fn draw(&mut self, progress: &Progress, now: Timestamp) -> io::Result<()> {
        let (columns, rows) = size();
        self.turn = self.turn.wrapping_add(1);
        let lines = lines(progress, now, self.turn, columns);
        // A line that scrolled away cannot be drawn over: the oldest steps are left out instead.
        let lines = lines.get(lines.len().saturating_sub(rows.saturating_sub(1))..).unwrap_or_default();
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\u{1b}[{}F\u{1b}[J", self.drawn));
        }
        for (tone, line) in lines {
            text.push_str(&self.paint.tone(*tone, line));
            text.push('\n');
        }
        self.drawn = lines.len();
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (usize::from(size.ws_col), usize::from(size.ws_row)),
        _ => (80, 24),
    }
}

/// One line for each step, none wider than the terminal.
fn lines(progress: &Progress, now: Timestamp, turn: usize, columns: usize) -> Vec<(Tone, String)> {
    let steps = &progress.run().steps;
    let width = steps.iter().map(|step| step.step_id.chars().count()).max().unwrap_or(0);
    steps.iter().map(|step| (tone(step), cut(&line(step, progress, now, turn, width), columns))).collect()
}

fn line(step: &v1::RunStep, progress: &Progress, now: Timestamp, turn: usize, width: usize) -> String {
    let mark = match step.state() {
        StepState::Succeeded => "✔",
        StepState::Failed => "✘",
        StepState::Running => SPINNER.get(turn % SPINNER.len()).copied().unwrap_or("…"),
        StepState::WaitingApproval | StepState::WaitingSignal | StepState::WaitingTimer => "…",
        StepState::Skipped | StepState::Cancelled | StepState::Compensated => "-",
        StepState::Pending | StepState::Ready | StepState::Unspecified => "·",
    };
    let took = if step.start_time.is_some() { span(step.start_time, step.end_time, now) } else { String::new() };
    let line = format!("{mark} {:<width$}  {took:>7}  {}", clean(&step.step_id), doing(step, progress));
    line.trim_end().to_owned()
}

/// What the step does now, or waits for.
pub(super) fn doing(step: &v1::RunStep, progress: &Progress) -> String {
    match step.state() {
        StepState::Running => match progress.said(&step.step_id).and_then(|said| said.doing.as_ref()) {
            Some((text, done, total)) if *total > 0 => {
                format!("{} {} {done} of {total}", bar(*done, *total), clean(text))
            }
            _ => retried(step),
        },
        StepState::WaitingApproval | StepState::WaitingSignal | StepState::WaitingTimer => {
            let waiting = step.waiting.as_ref();
            clean(&waiting.map(|waiting| format!("waits for {} {}", waiting.kind, waiting.on)).unwrap_or_default())
        }
        _ => String::new(),
    }
}

fn retried(step: &v1::RunStep) -> String {
    if step.attempts > 1 { format!("attempt {}", step.attempts) } else { String::new() }
}

fn bar(done: u64, total: u64) -> String {
    let full = (done.min(total) * BAR / total.max(1)) as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(BAR as usize - full))
}

fn tone(step: &v1::RunStep) -> Tone {
    match step.state() {
        StepState::Succeeded => Tone::Good,
        StepState::Failed => Tone::Bad,
        StepState::Running => Tone::Busy,
        StepState::WaitingApproval | StepState::WaitingSignal | StepState::WaitingTimer => Tone::Waits,
        _ => Tone::Faint,
    }
}

fn cut(line: &str, columns: usize) -> String {
    line.chars().take(columns.saturating_sub(1)).collect()
}

#[cfg(test)]
mod tests {
    use mesh_proto::v1::{LogLineKind, RunState};

    use super::super::progress::tests::{run, step};
    use super::*;

    #[test]
    fn the_screen_shows_each_step_and_what_it_does() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let mut done = step("render", StepState::Succeeded, 1);
        (done.start_time, done.end_time) = (at(10), at(12));
        let mut building = step("build", StepState::Running, 1);
        building.start_time = at(12);
        let steps = vec![done, building, step("test", StepState::Pending, 0)];
        let mut progress = Progress::new(run(5, RunState::Running, steps), false, 0);
        progress.hear(&v1::LogChunk {
            step_id: "build".into(),
            attempt: 1,
            lines: vec![v1::LogLine {
                kind: LogLineKind::Progress as i32,
                text: "compiling".into(),
                progress: Some(v1::LogProgress { done: 60, total: 240 }),
                ..Default::default()
            }],
            ..Default::default()
        });
        let now = Timestamp::from_unix_nanos(75_000_000_000);
        let text: Vec<String> = lines(&progress, now, 0, 60).into_iter().map(|(_, line)| line).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        ✔ render       2s
        ⠋ build     1m 3s  █████░░░░░░░░░░░░░░░ compiling 60 of 240
        · test
        ");
        assert!(lines(&progress, now, 0, 30).iter().all(|(_, line)| line.chars().count() < 30));
    }
}

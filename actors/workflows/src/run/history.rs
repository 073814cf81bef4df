//! A run's events as a table that a person can read.

use std::time::Duration;

use mesh_kernel::{
    entity::decode_tagged,
    envelope::{Envelope, Timestamp},
};
use mesh_skills::contract::Failure;

use super::messages::{Event, SkipReason};
use crate::form::show_duration;

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// How long after the first event.
    pub after: Duration,
    /// The step, with its item: `build`, `mail[3]`; empty for the run itself.
    pub step: String,
    /// What happened.
    pub what: String,
    /// Which attempt; 0 when that says nothing.
    pub attempt: u32,
    /// How long what ends here took.
    pub took: Option<Duration>,
}

/// The lines of a history, oldest first. Events that this version does not know are shown by name.
pub fn lines<'e>(events: impl IntoIterator<Item = &'e Envelope>) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut first = None;
    let mut since: std::collections::HashMap<String, Timestamp> = std::collections::HashMap::new();
    for envelope in events {
        let at = envelope.occurred_at;
        let first = *first.get_or_insert(at);
        let event = decode_tagged::<Event>(&envelope.event_type, &envelope.payload);
        let told = match &event {
            Ok(event) => tell(event),
            Err(_) => Told::run(envelope.event_type.to_string()),
        };
        let took = match (told.begins, told.ends) {
            (true, _) => {
                since.insert(told.step.clone(), at);
                None
            }
            (_, true) => since.remove(&told.step).map(|begun| at.since(begun)),
            _ => None,
        };
        lines.push(Line { at, after: at.since(first), step: told.step, what: told.what, attempt: told.attempt, took });
    }
    lines
}

/// The lines as text: time since the start, step, attempt, what, and how long it took.
pub fn timeline<'e>(events: impl IntoIterator<Item = &'e Envelope>) -> String {
    let lines = lines(events);
    let width = lines.iter().map(|line| line.step.chars().count()).max().unwrap_or(0).clamp(4, 40);
    let mut text = match lines.first() {
        Some(first) => format!("begun {}\n", first.at),
        None => return String::new(),
    };
    for line in &lines {
        let attempt = if line.attempt > 1 { format!("#{}", line.attempt) } else { String::new() };
        let took = line.took.map(|took| format!("  ({})", show_duration(took))).unwrap_or_default();
        let after = format!("+{}", show_duration(line.after));
        text.push_str(&format!("{after:>9}  {:width$}  {attempt:>3}  {}{took}\n", line.step, line.what));
    }
    text
}

struct Told {
    step: String,
    what: String,
    attempt: u32,
    begins: bool,
    ends: bool,
}

impl Told {
    fn run(what: impl Into<String>) -> Self {
        Self { step: String::new(), what: what.into(), attempt: 0, begins: false, ends: false }
    }

    fn step(step: &str, item: Option<u32>, attempt: u32, what: impl Into<String>) -> Self {
        let step = match item {
            Some(item) => format!("{step}[{item}]"),
            None => step.to_owned(),
        };
        Self { step, what: what.into(), attempt, begins: false, ends: false }
    }

    fn begins(mut self) -> Self {
        self.begins = true;
        self
    }

    fn ends(mut self) -> Self {
        self.ends = true;
        self
    }
}

fn tell(event: &Event) -> Told {
    match event {
        Event::RunSubmitted { .. }
        | Event::SlotRequested { .. }
        | Event::RunStarted { .. }
        | Event::RunPaused { .. }
        | Event::RunResumed { .. }
        | Event::RunForestalled { .. }
        | Event::RunCancelRequested { .. }
        | Event::RunSucceeded { .. }
        | Event::RunFailed { .. }
        | Event::RunCancelled { .. }
        | Event::RunRetried { .. }
        | Event::CompensationStarted { .. }
        | Event::StepsSkipped { .. }
        | Event::WaitsAbandoned { .. }
        | Event::SignalReceived { .. } => tell_run(event),
        _ => tell_step(event),
    }
}

fn tell_run(event: &Event) -> Told {
    Told::run(match event {
        Event::RunSubmitted(submit) => {
            let (definition, by) = (&submit.definition, submit.submitted_by.as_deref().unwrap_or_default());
            format!("submitted by {by}: {} version {}", definition.name, definition.version)
        }
        Event::SlotRequested { limit, max } => format!("waits for its turn under `{limit}` ({max} at once)"),
        Event::RunStarted {} => "started".to_owned(),
        Event::RunPaused { by, reason } => format!("paused by {by}{}", because(reason)),
        Event::RunResumed { by } => format!("resumed by {by}"),
        Event::RunForestalled { by, reason } => format!("told not to begin by {by}{}", because(reason)),
        Event::RunCancelRequested { by, reason } => format!("told to stop by {by}{}", because(reason)),
        Event::RunSucceeded { .. } => "succeeded".to_owned(),
        Event::RunFailed { failure, step, .. } => match step {
            Some(step) => format!("failed at `{step}`: {}", why(failure)),
            None => format!("failed: {}", why(failure)),
        },
        Event::RunCancelled { by, reason, .. } => format!("cancelled by {by}{}", because(reason)),
        Event::RunRetried { by, from_step, reset } => match from_step {
            Some(step) => format!("retried by {by} from `{step}`, {} steps anew", reset.len()),
            None => format!("retried by {by}, {} steps anew", reset.len()),
        },
        Event::CompensationStarted { steps, .. } => format!("undoes {}", steps.join(", ")),
        Event::StepsSkipped { steps, because } => {
            let why = match because {
                SkipReason::Condition => "its condition is false",
                SkipReason::Need => "a step before it was skipped",
            };
            format!("skips {}: {why}", steps.join(", "))
        }
        Event::WaitsAbandoned { children, approvals, tasks, reason } => {
            let all: Vec<&str> = children.iter().chain(approvals).chain(tasks).map(String::as_str).collect();
            format!("gives up {}{}", all.join(", "), because(reason))
        }
        Event::SignalReceived { name, step, .. } => match step {
            Some(step) => format!("signal `{name}` came for `{step}`"),
            None => format!("signal `{name}` came and is kept"),
        },
        _ => String::new(),
    })
}

fn tell_step(event: &Event) -> Told {
    match event {
        Event::StepRequested { step, item, attempt, .. } => {
            Told::step(step, *item, *attempt, "asks for its skill").begins()
        }
        Event::ApprovalRequested { step, attempt, approval, title, .. } => {
            Told::step(step, None, *attempt, format!("asks people: {title} ({approval})")).begins()
        }
        Event::SignalAwaited { step, attempt, name, .. } => {
            Told::step(step, None, *attempt, format!("waits for signal `{name}`")).begins()
        }
        Event::TimerSet { step, attempt, due } => {
            Told::step(step, None, *attempt, format!("waits until {due}")).begins()
        }
        Event::ChildRequested { step, item, attempt, child, definition, .. } => {
            Told::step(step, *item, *attempt, format!("asks for `{definition}` as {child}")).begins()
        }
        Event::TaskRequested { step, attempt, task, agent, .. } => {
            Told::step(step, None, *attempt, format!("gives {task} to agent `{agent}`")).begins()
        }
        Event::ItemsListed { step, attempt, items } => {
            Told::step(step, None, *attempt, format!("has {} items", items.len())).begins()
        }
        Event::StepSucceeded { step, item, attempt, .. } => Told::step(step, *item, *attempt, "succeeded").ends(),
        Event::StepComputed { step, item, attempt, .. } => {
            Told::step(step, *item, *attempt, "was computed at once").begins().ends()
        }
        Event::AttemptFailed { step, item, attempt, failure, retry_at, .. } => {
            let what = format!("failed, again at {retry_at}: {}", why(failure));
            Told::step(step, *item, *attempt, what).ends()
        }
        Event::StepFailed { step, item, attempt, failure, .. } => {
            Told::step(step, *item, *attempt, format!("failed: {}", why(failure))).ends()
        }
        Event::CompensationRequested { step, attempt, .. } => {
            Told::step(&format!("{step}.undo"), None, *attempt, "asks to be undone").begins()
        }
        Event::CompensationAttemptFailed { step, attempt, failure, .. } => {
            let what = format!("could not be undone yet: {}", why(failure));
            Told::step(&format!("{step}.undo"), None, *attempt, what).ends()
        }
        Event::CompensationSucceeded { step, attempt } => {
            Told::step(&format!("{step}.undo"), None, *attempt, "undone").ends()
        }
        Event::CompensationFailed { step, attempt, failure } => {
            let what = format!("could not be undone: {}", why(failure));
            Told::step(&format!("{step}.undo"), None, *attempt, what).ends()
        }
        _ => Told::run(String::new()),
    }
}

fn why(failure: &Failure) -> String {
    let message: String = failure.message.lines().next().unwrap_or_default().chars().take(200).collect();
    format!("{message} ({}, {})", failure.code, failure.class)
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

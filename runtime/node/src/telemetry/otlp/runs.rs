//! A run's trace, made of its events: the run, its steps, their attempts.
//!
//! Pure: the same history gives the same spans, ids and times included. A retried run has a round for
//! each time that it ended; each is told as a run of its own in the same trace, linked to the first.

use std::collections::HashMap;

use mesh_kernel::{
    entity::decode_tagged,
    envelope::{Address, Envelope, Timestamp},
};
use mesh_proto::otlp::trace::v1::{Span, span::Link};
use mesh_skills::contract::Failure;
use mesh_workflows::run::{Event, SubmitRun};

use super::{ids, sampler::Sampler, span};
use crate::telemetry::genai;

/// Most spans of one round: a collector refuses requests that are too large.
const SPANS_MAX: usize = 5_000;

/// The event types after which a round is over.
pub(super) const ENDS: [&str; 3] = ["RunSucceeded", "RunFailed", "RunCancelled"];

/// The spans of a run's last round; none when its trace is not sampled, or the run goes on.
pub(super) fn spans<'e>(history: impl IntoIterator<Item = &'e Envelope>, sampler: &Sampler) -> Vec<Span> {
    let mut round: Option<Round> = None;
    for envelope in history {
        let Ok(event) = decode_tagged::<Event>(&envelope.event_type, &envelope.payload) else { continue };
        match (&mut round, &event) {
            (None, Event::RunSubmitted(submit)) => {
                let trace = ids::trace(&envelope.trace_id);
                if !sampler.takes(&trace, envelope.headers.traceparent.as_deref()) {
                    return Vec::new();
                }
                round = Some(Round::first(envelope, trace, submit));
            }
            (None, _) => {}
            (Some(round), event) => round.see(envelope.occurred_at, event),
        }
    }
    round.map(Round::told).unwrap_or_default()
}

/// The tasks that a run's last round gave.
pub(super) fn tasks<'e>(history: impl IntoIterator<Item = &'e Envelope>) -> Vec<String> {
    let mut tasks = Vec::new();
    for envelope in history {
        match decode_tagged::<Event>(&envelope.event_type, &envelope.payload) {
            Ok(Event::RunRetried { .. }) => tasks.clear(),
            Ok(Event::TaskRequested { task, .. }) => tasks.push(task),
            _ => {}
        }
    }
    tasks
}

/// A run from its submission or a retry to its next end.
struct Round {
    run: Address,
    trace: [u8; 16],
    number: u32,
    root: Span,
    steps: HashMap<String, Span>,
    attempts: HashMap<String, Span>,
    done: Vec<Span>,
    left_out: u64,
    /// The skill of each step, from the definition.
    skills: HashMap<String, String>,
}

impl Round {
    fn first(envelope: &Envelope, trace: [u8; 16], submit: &SubmitRun) -> Self {
        let run = envelope.headers.subject.clone();
        let parent = submit.parent.as_ref().map(|_| ids::asked_for(run.tenant().as_str(), run.id()));
        let name = format!("run {}", submit.definition.name);
        let mut root = span::begun(trace, ids::run(&run, 1), parent, name, envelope.occurred_at);
        let version = submit.definition.version.to_string();
        let project = envelope.project_id.as_ref().map(|id| id.as_str()).unwrap_or_default();
        for (key, value) in [
            ("mesh.trace_id", envelope.trace_id.as_str()),
            ("mesh.correlation_id", envelope.correlation_id.as_str()),
            ("mesh.tenant", run.tenant().as_str()),
            ("mesh.project", project),
            ("mesh.run", run.id()),
            ("mesh.definition", &submit.definition.name),
            ("mesh.definition.version", &version),
            ("mesh.submitted_by", submit.submitted_by.as_deref().unwrap_or_default()),
        ] {
            span::text(&mut root, key, value);
        }
        root.links.extend(envelope.headers.traceparent.as_deref().and_then(span::link));
        Self {
            run,
            trace,
            number: 1,
            root,
            steps: HashMap::new(),
            attempts: HashMap::new(),
            done: Vec::new(),
            left_out: 0,
            skills: skills(&submit.workflow.value()),
        }
    }

    fn see(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::RunSubmitted(_) | Event::RunForestalled { .. } => {}
            Event::RunSucceeded { .. } => self.ended(at, None, "succeeded"),
            Event::RunFailed { failure, .. } => self.ended(at, Some(&failure.message), "failed"),
            Event::RunCancelled { reason, .. } => self.ended(at, Some(reason), "cancelled"),
            Event::RunRetried { by, .. } => self.retried(at, by),
            Event::StepComputed { .. } => {
                self.see_request(at, event);
                self.see_outcome(at, event);
            }
            Event::StepSucceeded { .. }
            | Event::StepFailed { .. }
            | Event::AttemptFailed { .. }
            | Event::CompensationSucceeded { .. }
            | Event::CompensationFailed { .. }
            | Event::CompensationAttemptFailed { .. } => self.see_outcome(at, event),
            Event::StepRequested { .. }
            | Event::ApprovalRequested { .. }
            | Event::SignalAwaited { .. }
            | Event::TimerSet { .. }
            | Event::ChildRequested { .. }
            | Event::TaskRequested { .. }
            | Event::ItemsListed { .. }
            | Event::CompensationRequested { .. } => self.see_request(at, event),
            Event::SlotRequested { .. }
            | Event::RunStarted { .. }
            | Event::SignalReceived { .. }
            | Event::StepsSkipped { .. }
            | Event::WaitsAbandoned { .. }
            | Event::RunPaused { .. }
            | Event::RunResumed { .. }
            | Event::RunCancelRequested { .. }
            | Event::CompensationStarted { .. } => self.see_moment(at, event),
        }
    }

    /// What happened to the run at one instant stands on its own span.
    fn see_moment(&mut self, at: Timestamp, event: &Event) {
        let name = match event {
            Event::SlotRequested { limit, .. } => format!("waits under {limit}"),
            Event::RunStarted {} => "started".to_owned(),
            Event::SignalReceived { name, .. } => format!("signal {name}"),
            Event::StepsSkipped { steps, .. } => format!("skipped {} steps", steps.len()),
            Event::RunPaused { by, .. } => format!("paused by {by}"),
            Event::RunResumed { by } => format!("resumed by {by}"),
            Event::RunCancelRequested { by, .. } => format!("told to stop by {by}"),
            Event::CompensationStarted { steps, .. } => format!("undoes {} steps", steps.len()),
            _ => return,
        };
        span::event(&mut self.root, at, name);
    }

    fn see_request(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::StepRequested { step, item, attempt, .. } | Event::StepComputed { step, item, attempt, .. } => {
                let skill = self.skills.get(step.as_ref()).cloned().unwrap_or_default();
                self.attempt(at, step, *item, *attempt, &[("mesh.skill", &skill)]);
            }
            Event::ApprovalRequested { step, attempt, approval, .. } => {
                self.attempt(at, step, None, *attempt, &[("mesh.approval", approval)]);
            }
            Event::SignalAwaited { step, attempt, name, .. } => {
                self.attempt(at, step, None, *attempt, &[("mesh.signal", name)]);
            }
            Event::TimerSet { step, attempt, due } => {
                self.attempt(at, step, None, *attempt, &[("mesh.timer", &due.to_string())]);
            }
            Event::ChildRequested { step, item, attempt, child, .. } => {
                self.attempt(at, step, *item, *attempt, &[("mesh.child", child)]);
                self.asked_for(&name_of(step, *item), child);
            }
            Event::TaskRequested { step, attempt, task, .. } => {
                self.attempt(at, step, None, *attempt, &[("mesh.task", task)]);
                self.asked_for(step, task);
                self.has_agents();
            }
            Event::ItemsListed { step, items, .. } => {
                let count = items.len() as u64;
                span::number(self.step(at, step), "mesh.items", count);
            }
            Event::CompensationRequested { step, attempt, .. } => {
                self.attempt(at, &undo(step), None, *attempt, &[("mesh.undoes", step)]);
            }
            _ => {}
        }
    }

    fn see_outcome(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::StepSucceeded { step, item, .. } | Event::StepComputed { step, item, .. } => {
                self.attempt_ended(at, &name_of(step, *item), None);
                self.step_ended(at, step, *item, None);
            }
            Event::StepFailed { step, item, failure, .. } => {
                self.attempt_ended(at, &name_of(step, *item), Some(failure));
                self.step_ended(at, step, *item, Some(failure));
            }
            Event::AttemptFailed { step, item, failure, .. } => {
                self.attempt_ended(at, &name_of(step, *item), Some(failure));
            }
            Event::CompensationSucceeded { step, .. } => {
                self.attempt_ended(at, &undo(step), None);
                self.step_ended(at, &undo(step), None, None);
            }
            Event::CompensationFailed { step, failure, .. } => {
                self.attempt_ended(at, &undo(step), Some(failure));
                self.step_ended(at, &undo(step), None, Some(failure));
            }
            Event::CompensationAttemptFailed { step, failure, .. } => {
                self.attempt_ended(at, &undo(step), Some(failure));
            }
            _ => {}
        }
    }

    /// The span of a step, begun when it is not there.
    fn step(&mut self, at: Timestamp, step: &str) -> &mut Span {
        self.steps.entry(step.to_owned()).or_insert_with(|| {
            let parent = ids::run(&self.run, self.number);
            let id = ids::step(&self.run, self.number, step);
            let mut begun = span::begun(self.trace, id, Some(parent), format!("step {step}"), at);
            span::text(&mut begun, "mesh.step", step);
            begun
        })
    }

    fn attempt(&mut self, at: Timestamp, step: &str, item: Option<u32>, attempt: u32, says: &[(&str, &str)]) {
        self.step(at, step);
        let name = name_of(step, item);
        // One whose end was never told ends where the next begins.
        self.attempt_ended(at, &name, None);
        let parent = ids::step(&self.run, self.number, step);
        let id = ids::attempt(&self.run, self.number, &name, attempt);
        let mut begun = span::begun(self.trace, id, Some(parent), format!("{name} #{attempt}"), at);
        span::text(&mut begun, "mesh.step", step);
        span::number(&mut begun, "mesh.attempt", u64::from(attempt));
        if let Some(item) = item {
            span::number(&mut begun, "mesh.item", u64::from(item));
        }
        says.iter().for_each(|(key, value)| span::text(&mut begun, key, value));
        self.attempts.insert(name, begun);
    }

    /// Names an attempt so that what it asked for finds it.
    fn asked_for(&mut self, name: &str, asked: &str) {
        let id = ids::asked_for(self.run.tenant().as_str(), asked);
        if let Some(attempt) = self.attempts.get_mut(name) {
            attempt.span_id = id.to_vec();
        }
    }

    /// A run in which agents work is a workflow by its conventional name too.
    fn has_agents(&mut self) {
        if !self.root.attributes.iter().any(|known| known.key == genai::OPERATION_NAME) {
            let name = self.root.name.strip_prefix("run ").unwrap_or_default().to_owned();
            span::text(&mut self.root, genai::OPERATION_NAME, genai::INVOKE_WORKFLOW);
            span::text(&mut self.root, genai::WORKFLOW_NAME, &name);
        }
    }

    fn attempt_ended(&mut self, at: Timestamp, name: &str, failure: Option<&Failure>) {
        if let Some(ended) = self.attempts.remove(name) {
            self.close(ended, at, failure);
        }
    }

    /// The end of one item is not the end of its step.
    fn step_ended(&mut self, at: Timestamp, step: &str, item: Option<u32>, failure: Option<&Failure>) {
        if item.is_none()
            && let Some(ended) = self.steps.remove(step)
        {
            self.close(ended, at, failure);
        }
    }

    fn close(&mut self, mut ended: Span, at: Timestamp, failure: Option<&Failure>) {
        span::end(&mut ended, at);
        match failure {
            None => span::well(&mut ended),
            Some(failure) => {
                span::text(&mut ended, "error.type", &failure.code);
                span::text(&mut ended, "mesh.failure.class", failure.class.as_str());
                span::failed(&mut ended, &failure.message);
            }
        }
        self.keep(ended);
    }

    fn keep(&mut self, ended: Span) {
        if self.done.len() < SPANS_MAX {
            self.done.push(ended);
        } else {
            self.left_out += 1;
        }
    }

    fn ended(&mut self, at: Timestamp, why: Option<&str>, state: &str) {
        // What was under way is given up with the run.
        let open: Vec<Span> = self.attempts.drain().chain(self.steps.drain()).map(|(_, span)| span).collect();
        for mut span in open {
            span::end(&mut span, at);
            self.keep(span);
        }
        span::end(&mut self.root, at);
        span::text(&mut self.root, "mesh.state", state);
        match why {
            None => span::well(&mut self.root),
            Some(why) => span::failed(&mut self.root, why),
        }
    }

    fn retried(&mut self, at: Timestamp, by: &str) {
        self.number += 1;
        let first = ids::run(&self.run, 1);
        self.root = Span {
            span_id: ids::run(&self.run, self.number).to_vec(),
            start_time_unix_nano: 0,
            end_time_unix_nano: 0,
            status: None,
            events: Vec::new(),
            links: vec![Link { trace_id: self.trace.to_vec(), span_id: first.to_vec(), ..Link::default() }],
            ..self.root.clone()
        };
        self.root.attributes.retain(|known| known.key != "mesh.state");
        self.root.start_time_unix_nano = u64::try_from(at.unix_nanos()).unwrap_or(0);
        span::event(&mut self.root, at, format!("retried by {by}"));
        self.steps.clear();
        self.attempts.clear();
        self.done.clear();
        self.left_out = 0;
    }

    fn told(mut self) -> Vec<Span> {
        if self.root.end_time_unix_nano == 0 {
            return Vec::new();
        }
        if self.left_out > 0 {
            span::number(&mut self.root, "mesh.spans_left_out", self.left_out);
        }
        self.done.push(self.root);
        self.done
    }
}

fn name_of(step: &str, item: Option<u32>) -> String {
    item.map_or_else(|| step.to_owned(), |item| format!("{step}[{item}]"))
}

fn undo(step: &str) -> String {
    format!("undo {step}")
}

/// The skill of each step of a definition.
fn skills(workflow: &serde_json::Value) -> HashMap<String, String> {
    let steps = workflow.get("steps").and_then(|steps| steps.as_array());
    let skill = |step: &serde_json::Value| {
        let text = |name| step.get(name).and_then(serde_json::Value::as_str);
        Some((text("id")?.to_owned(), text("skill")?.to_owned()))
    };
    steps.into_iter().flatten().filter_map(skill).collect()
}

#[cfg(test)]
mod tests;

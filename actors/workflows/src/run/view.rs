//! A run as people and programs see it.
//!
//! | `what` | what is shown |
//! | --- | --- |
//! | empty | everything but the definition |
//! | `summary` | one line of a list |
//! | `definition` | the definition that the run keeps |

use mesh_kernel::envelope::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    state::{Head, Run, Slot, Status, Step, StepStatus, Wait, Work},
    wants,
};
use crate::plan::{Plan, StepIndex};

/// The view that was asked for.
pub(super) fn view(run: &Run, plan: Option<&Plan>, what: &str) -> Value {
    let Some(head) = run.head.as_deref() else { return Value::Null };
    match what {
        "summary" => summary(run, head),
        "definition" => head.workflow.value(),
        _ => full(run, head, plan),
    }
}

/// The state as it is shown: Waiting when nothing works and something is waited for.
pub(super) fn shown(run: &Run) -> &'static str {
    if run.paused.is_some() && !run.status.is_final() {
        return "Paused";
    }
    if run.status != Status::Running {
        return run.status.as_str();
    }
    let queued = matches!(run.slot, Slot::Requested { .. });
    if queued || (!run.open.is_empty() && run.open.iter().all(|at| run.step(*at).is_some_and(step_waits))) {
        return "Waiting";
    }
    "Running"
}

/// Whether nothing works for this step just now.
fn step_waits(step: &Step) -> bool {
    match &step.items {
        Some(items) if !items.open.is_empty() => items
            .open
            .iter()
            .filter_map(|item| items.works.get(*item as usize))
            .all(|work| !matches!(work.wait, Some(Wait::Effect(_)))),
        _ => !matches!(step.work.wait, None | Some(Wait::Effect(_))),
    }
}

fn summary(run: &Run, head: &Head) -> Value {
    let done = run.steps.iter().filter(|step| step.work.status.is_done()).count();
    compact(json!({
        "run": head.address.id(),
        "definition": head.definition,
        "state": shown(run),
        "project": head.project,
        "labels": head.labels,
        "requestId": head.request_id,
        "submittedBy": head.submitted_by,
        "createdAt": head.created_at,
        "startedAt": run.started_at,
        "endedAt": run.ended_at,
        "stepsDone": done,
        "stepsTotal": run.steps.len(),
        "failure": run.failure,
        "traceId": head.trace_id,
        "parent": head.parent,
    }))
}

fn full(run: &Run, head: &Head, plan: Option<&Plan>) -> Value {
    let mut view = summary(run, head);
    let Some(fields) = view.as_object_mut() else { return view };
    fields.insert("input".to_owned(), head.input.clone());
    fields.insert("outputs".to_owned(), run.outputs.as_deref().cloned().unwrap_or_default());
    fields.insert("retries".to_owned(), json!(run.retries));
    if let Some(cancel) = &run.cancel {
        fields.insert("cancelled".to_owned(), json!({ "by": cancel.by, "reason": cancel.reason }));
    }
    if let Some(paused) = &run.paused {
        fields.insert("paused".to_owned(), json!({ "by": paused.by, "reason": paused.reason }));
    }
    let Some(plan) = plan else { return view };
    if let Some(step) = run.failed_step.and_then(|at| plan.step(at)) {
        fields.insert("failedStep".to_owned(), json!(step.id));
    }
    let steps = (0..).zip(&run.steps).map(|(at, step)| step_view(run, plan, at, step)).collect();
    fields.insert("steps".to_owned(), Value::Array(steps));
    fields.insert("waiting".to_owned(), Value::Array(waiting(run, plan)));
    let next = wants::wants(run, plan).timers.into_iter().min();
    if let Some(timer) = next {
        fields.insert("nextTimer".to_owned(), json!({ "due": timer.due, "name": timer.name }));
    }
    view
}

/// Without what is null, so that a view says only what there is.
fn compact(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, field)| !field.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn step_view(run: &Run, plan: &Plan, at: StepIndex, step: &Step) -> Value {
    let planned = plan.step(at);
    let needs: Vec<&str> = planned
        .map(|planned| planned.needs.iter().filter_map(|need| plan.step(*need)).map(|s| s.id.as_ref()).collect())
        .unwrap_or_default();
    let mut view = work_view(&step.work);
    view.insert("id".to_owned(), json!(planned.map(|planned| planned.id.as_ref())));
    view.insert("title".to_owned(), json!(planned.map(|planned| planned.title.as_ref())));
    view.insert("kind".to_owned(), json!(planned.map(|planned| planned.kind())));
    view.insert("uses".to_owned(), json!(planned.and_then(|planned| planned.uses())));
    view.insert("needs".to_owned(), json!(needs));
    if let Some(skipped) = step.skipped {
        view.insert("skipped".to_owned(), json!(skipped));
    }
    let undoing = run.undo.as_ref().is_some_and(|undo| undo.queue.front() == Some(&at));
    if undoing && let Some(undo) = &run.undo {
        view.insert("undo".to_owned(), Value::Object(work_view(&undo.work)));
    }
    if let Some(items) = &step.items {
        let shown: Vec<Value> = items.works.iter().map(|work| Value::Object(work_view(work))).collect();
        view.insert(
            "items".to_owned(),
            json!({ "total": items.values.len(), "succeeded": items.succeeded, "begun": shown }),
        );
    }
    compact(Value::Object(view))
}

fn work_view(work: &Work) -> Map<String, Value> {
    let mut view = Map::new();
    view.insert("state".to_owned(), json!(work.status.as_str()));
    view.insert("attempts".to_owned(), json!(work.attempts));
    let optional = [
        ("startedAt", json!(work.started_at)),
        ("endedAt", json!(work.ended_at)),
        ("output", json!(work.output)),
        ("failure", json!(work.failure)),
        ("log", json!(work.log)),
        ("task", json!(work.task)),
        ("waiting", work.wait.as_ref().map(|wait| wait_view(wait, work.since)).unwrap_or_default()),
    ];
    view.extend(optional.into_iter().filter(|(_, v)| !v.is_null()).map(|(name, v)| (name.to_owned(), v)));
    view
}

/// For what, since when, who wakes it, and when it ends by itself.
fn wait_view(wait: &Wait, since: Option<Timestamp>) -> Value {
    let (what, wakes) = match wait {
        Wait::Effect(_) => ("a skill".to_owned(), "the skill's outcome".to_owned()),
        Wait::Backoff(at) => ("the next attempt".to_owned(), format!("the clock, at {at}")),
        Wait::Approval { approval, roles, .. } => {
            (format!("approval `{approval}`"), format!("a decision by {}", roles.join(" or ")))
        }
        Wait::Signal { name, .. } => (format!("signal `{name}`"), "whoever sends it".to_owned()),
        Wait::Timer(at) => ("an instant".to_owned(), format!("the clock, at {at}")),
        Wait::Child { child, definition, .. } => (format!("run `{child}` of `{definition}`"), "its end".to_owned()),
        Wait::Task { task, agent, .. } => (format!("task `{task}` of agent `{agent}`"), "its end".to_owned()),
    };
    let kind = match wait {
        Wait::Effect(_) => "skill",
        Wait::Backoff(_) => "retry",
        Wait::Approval { .. } => "approval",
        Wait::Signal { .. } => "signal",
        Wait::Timer(_) => "timer",
        Wait::Child { .. } => "run",
        Wait::Task { .. } => "task",
    };
    compact(json!({
        "kind": kind,
        "for": what,
        "since": since,
        "wakes": wakes,
        "due": wants::due(wait).map(|(_, due)| due),
    }))
}

/// Everything that the run waits for, step by step.
fn waiting(run: &Run, plan: &Plan) -> Vec<Value> {
    let mut waiting = Vec::new();
    if let Slot::Requested { limit, since } = &run.slot {
        waiting.push(json!({
            "kind": "slot", "for": format!("a slot under `{limit}`"), "since": since,
            "wakes": "the end of another run",
        }));
    }
    if let Some(paused) = &run.paused {
        waiting.push(json!({
            "kind": "resume", "for": "a resume", "wakes": "whoever resumes it",
            "pausedBy": paused.by, "reason": paused.reason,
        }));
    }
    for at in &run.open {
        let (Some(step), Some(planned)) = (run.step(*at), plan.step(*at)) else { continue };
        put(&mut waiting, &planned.id, None, &step.work);
        if let Some(items) = &step.items {
            for item in &items.open {
                if let Some(work) = items.works.get(*item as usize) {
                    put(&mut waiting, &planned.id, Some(*item), work);
                }
            }
        }
    }
    if let Some(undo) = &run.undo
        && let Some(planned) = undo.queue.front().and_then(|at| plan.step(*at))
    {
        put(&mut waiting, &format!("{}.undo", planned.id), None, &undo.work);
    }
    waiting
}

fn put(waiting: &mut Vec<Value>, step: &str, item: Option<u32>, work: &Work) {
    let Some(wait) = &work.wait else { return };
    let mut view = wait_view(wait, work.since);
    if let Some(fields) = view.as_object_mut() {
        fields.insert("step".to_owned(), json!(step));
        if let Some(item) = item {
            fields.insert("item".to_owned(), json!(item));
        }
        fields.insert("attempt".to_owned(), json!(work.attempts));
    }
    waiting.push(view);
}

impl Run {
    /// The state as it is shown to people: as [`Status`], and `Paused` and `Waiting`.
    pub fn shown_state(&self) -> &'static str {
        shown(self)
    }

    /// Whether something is named that will move this run on, or it has ended.
    pub fn is_awaited(&self) -> bool {
        self.status.is_final()
            || self.paused.is_some()
            || matches!(self.slot, Slot::Requested { .. })
            || !self.open.is_empty()
            || !self.ready.is_empty()
            || self.undo.as_ref().is_some_and(|undo| undo.work.wait.is_some())
    }

    /// Whether a step has succeeded, by its index.
    pub fn has_succeeded(&self, at: StepIndex) -> bool {
        self.work(at, None).is_some_and(|work| work.status == StepStatus::Succeeded)
    }
}

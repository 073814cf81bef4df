//! A run's view.

use std::collections::BTreeMap;

use mesh_kernel::envelope::{ErrorKind, Refusal, Timestamp};
use mesh_proto::v1::{self, RunState, StepState};
use serde::Deserialize;
use serde_json::Value;

use crate::gateway::{
    convert::{json, view::read},
    keys::etag,
};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RunView {
    run: String,
    definition: Definition,
    state: String,
    project: String,
    labels: BTreeMap<String, String>,
    submitted_by: String,
    created_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    archived_at: Option<Timestamp>,
    steps_done: u32,
    steps_total: u32,
    failure: Option<Failure>,
    failed_step: String,
    cancelled: Option<Cancelled>,
    trace_id: String,
    parent: Option<Parent>,
    input: Value,
    outputs: Value,
    steps: Vec<Step>,
    waiting: Vec<Waiting>,
    next_timer: Option<Timer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Definition {
    name: String,
    version: u32,
    digest: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Failure {
    class: Value,
    code: String,
    message: String,
    details: Value,
}

#[derive(Debug, Deserialize)]
struct Cancelled {
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Parent {
    run: String,
    step: String,
}

#[derive(Debug, Deserialize)]
struct Timer {
    due: Timestamp,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Step {
    id: String,
    title: String,
    kind: String,
    uses: String,
    needs: Vec<String>,
    #[serde(flatten)]
    work: Work,
    items: Items,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Items {
    begun: Vec<Work>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Work {
    state: String,
    attempts: u32,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    output: Option<Value>,
    failure: Option<Failure>,
    waiting: Option<Waiting>,
    task: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Waiting {
    step: String,
    item: Option<u32>,
    attempt: u32,
    kind: String,
    r#for: String,
    since: Option<Timestamp>,
    wakes: String,
    due: Option<Timestamp>,
}

/// The message of a run's view, whole or short.
///
/// # Errors
/// `NotFound` when it was cancelled before it was submitted; `Internal` when the entity gives another view
/// than this version expects.
pub(in crate::gateway) fn message(view: &Value, version: u64) -> Result<v1::Run, Refusal> {
    if view.is_null() {
        let message = "this run was cancelled before it was submitted: there is nothing of it to see";
        return Err(Refusal::new("GTW-0060", ErrorKind::NotFound, message));
    }
    let view: RunView = read(view)?;
    let progress = progress(&view);
    let state = state(&view.state);
    Ok(v1::Run {
        run_id: view.run,
        definition: view.definition.name,
        definition_version: view.definition.version,
        definition_digest: view.definition.digest,
        project_id: view.project,
        state: state.into(),
        input: json::to_struct(&view.input),
        outputs: json::to_struct(&view.outputs),
        failure: failure_of_run(view.failure, view.failed_step, view.cancelled, state),
        create_time: view.created_at.map(Into::into),
        start_time: view.started_at.map(Into::into),
        end_time: view.ended_at.map(Into::into),
        steps: view.steps.into_iter().map(step).collect(),
        waiting: view.waiting.into_iter().map(waiting).collect(),
        trace_id: view.trace_id,
        parent: view.parent.map(|parent| v1::RunParent {
            run_id: parent.run.rsplit('/').next().unwrap_or_default().to_owned(),
            step_id: parent.step,
        }),
        archive_time: view.archived_at.map(Into::into),
        next_timer_time: view.next_timer.map(|timer| timer.due.into()),
        version,
        etag: etag(version),
        submitted_by: view.submitted_by,
        progress: Some(progress),
        labels: view.labels,
    })
}

/// A run's state by the name that its view shows.
fn state(name: &str) -> RunState {
    match name {
        "Created" => RunState::Created,
        "Running" => RunState::Running,
        "Waiting" => RunState::Waiting,
        "Paused" => RunState::Paused,
        "Compensating" => RunState::Compensating,
        "Succeeded" => RunState::Succeeded,
        "Failed" => RunState::Failed,
        "Cancelled" => RunState::Cancelled,
        _ => RunState::Unspecified,
    }
}

fn step_state(name: &str) -> StepState {
    match name {
        "Pending" => StepState::Pending,
        "Ready" => StepState::Ready,
        "Running" => StepState::Running,
        "WaitingApproval" => StepState::WaitingApproval,
        "WaitingSignal" => StepState::WaitingSignal,
        "WaitingTimer" => StepState::WaitingTimer,
        "Succeeded" => StepState::Succeeded,
        "Failed" => StepState::Failed,
        "Skipped" => StepState::Skipped,
        "Compensated" => StepState::Compensated,
        "Cancelled" => StepState::Cancelled,
        _ => StepState::Unspecified,
    }
}

fn progress(view: &RunView) -> v1::RunProgress {
    let count = |is: fn(StepState) -> bool| {
        let found = view.steps.iter().filter(|step| is(step_state(&step.work.state))).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    v1::RunProgress {
        total: view.steps_total,
        done: view.steps_done,
        running: count(|state| state == StepState::Running),
        waiting: count(|state| {
            matches!(state, StepState::WaitingApproval | StepState::WaitingSignal | StepState::WaitingTimer)
        }),
        failed: count(|state| state == StepState::Failed),
    }
}

fn failure_of_run(
    failed: Option<Failure>,
    step: String,
    cancelled: Option<Cancelled>,
    state: RunState,
) -> Option<v1::RunFailure> {
    match (cancelled, state) {
        (Some(cancelled), RunState::Cancelled) => Some(v1::RunFailure {
            failure_class: "cancelled".to_owned(),
            message: cancelled.reason,
            ..Default::default()
        }),
        _ => failed.map(|failed| failure(failed, step)),
    }
}

fn failure(failure: Failure, step_id: String) -> v1::RunFailure {
    v1::RunFailure {
        step_id,
        failure_class: failure.class.as_str().unwrap_or_default().to_ascii_lowercase(),
        code: failure.code,
        message: failure.message,
        details: (!failure.details.is_null()).then(|| json::to_value(&failure.details)),
    }
}

fn step(step: Step) -> v1::RunStep {
    let Step { id, title, kind, uses, needs, work, items } = step;
    let child_run_id = child(&work);
    v1::RunStep {
        kind: if kind == "forEach" { "for-each".to_owned() } else { kind },
        state: step_state(&work.state).into(),
        attempts: work.attempts,
        start_time: work.started_at.map(Into::into),
        end_time: work.ended_at.map(Into::into),
        output: work.output.as_ref().map(json::to_value),
        failure: work.failure.map(|failed| failure(failed, id.clone())),
        waiting: work.waiting.map(|wait| waiting(Waiting { step: id.clone(), ..wait })),
        items: (0..).zip(items.begun).map(|(index, work)| item(&id, index, work)).collect(),
        step_id: id,
        needs,
        uses,
        child_run_id,
        title,
        task_id: work.task,
    }
}

fn item(step: &str, index: u32, work: Work) -> v1::RunStepItem {
    v1::RunStepItem {
        index,
        state: step_state(&work.state).into(),
        attempts: work.attempts,
        output: work.output.as_ref().map(json::to_value),
        child_run_id: child(&work),
        failure: work.failure.map(|failed| failure(failed, step.to_owned())),
    }
}

fn child(work: &Work) -> String {
    match &work.waiting {
        Some(wait) if wait.kind == "run" => named(&wait.r#for),
        _ => String::new(),
    }
}

fn waiting(wait: Waiting) -> v1::RunWaiting {
    v1::RunWaiting {
        step_id: wait.step,
        on: named(&wait.r#for),
        kind: wait.kind,
        since: wait.since.map(Into::into),
        waker: wait.wakes,
        due: wait.due.map(Into::into),
        item: wait.item,
        attempt: wait.attempt,
        description: wait.r#for,
    }
}

/// The first name in backticks: "approval `appr-1`" waits on `appr-1`.
fn named(text: &str) -> String {
    text.split('`').nth(1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_that_was_cancelled_before_it_was_submitted_is_not_found() {
        assert_eq!(message(&Value::Null, 1).unwrap_err().kind, ErrorKind::NotFound);
    }

    #[test]
    fn a_waiting_run_says_what_for_since_when_and_who_will_wake_it() {
        let view = json!({
            "run": "run-1", "state": "Waiting", "definition": {"name": "release", "version": 2, "digest": "sha256:x"},
            "createdAt": "2026-01-01T00:00:00Z", "stepsDone": 1, "stepsTotal": 2, "input": {"n": 3},
            "parent": {"run": "acme/control-plane/run/run-0", "step": "inner", "depth": 1},
            "steps": [
                {"id": "build", "kind": "skill", "state": "Succeeded", "attempts": 2, "output": {"ok": true}, "needs": []},
                {"id": "sign", "kind": "approval", "state": "WaitingApproval", "attempts": 1, "needs": ["build"],
                 "waiting": {"kind": "approval", "for": "approval `appr-9`", "wakes": "a decision by approver"}},
                {"id": "each", "kind": "forEach", "state": "Running", "attempts": 1,
                 "items": {"total": 3, "succeeded": 1, "begun": [{"state": "Succeeded", "attempts": 1, "output": 7}]}},
            ],
            "waiting": [{"step": "sign", "kind": "approval", "for": "approval `appr-9`", "wakes": "a decision by approver",
                         "since": "2026-01-01T00:00:01Z", "due": "2026-01-02T00:00:00Z", "attempt": 1}],
            "nextTimer": {"due": "2026-01-02T00:00:00Z", "name": "sign"},
        });
        let run = message(&view, 9).unwrap();
        assert_eq!(run.state(), RunState::Waiting);
        assert_eq!((run.etag.as_str(), run.version), ("\"v9\"", 9));
        assert_eq!(run.parent.unwrap().run_id, "run-0");
        let waiting = &run.waiting[0];
        assert_eq!((waiting.step_id.as_str(), waiting.on.as_str()), ("sign", "appr-9"));
        assert_eq!(waiting.waker, "a decision by approver");
        assert!(waiting.since.is_some() && waiting.due.is_some() && run.next_timer_time.is_some());
        assert_eq!(run.steps[1].waiting.as_ref().unwrap().step_id, "sign");
        assert_eq!((run.steps[2].kind.as_str(), run.steps[2].items.len()), ("for-each", 1));
        assert_eq!(run.progress.unwrap(), v1::RunProgress { total: 2, done: 1, running: 1, waiting: 1, failed: 0 });
    }

    #[test]
    fn a_cancelled_run_says_why() {
        let view = json!({"run": "run-1", "state": "Cancelled", "cancelled": {"by": "key:a", "reason": "not needed"}});
        let failure = message(&view, 3).unwrap().failure.unwrap();
        assert_eq!((failure.failure_class.as_str(), failure.message.as_str()), ("cancelled", "not needed"));
    }
}

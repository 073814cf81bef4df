//! How each event moves a run.
//!
//! INVARIANT: everything that the future of a run depends on is in its events: no expression is
//! evaluated here, so a later version of the expression language replays an old run as it was.

mod end;
mod step;

use std::sync::Arc;

use mesh_kernel::envelope::{Address, Timestamp, TraceId};
use serde_json::Value;

use super::{
    messages::Event,
    state::{Cancel, Head, Kept, Run, Slot, Status, Step},
};
use crate::{definition::digest_of, plan::Plan, submission::SubmitRun};

/// Where and when an event happened.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) address: &'a Address,
    pub(super) trace_id: &'a TraceId,
    pub(super) at: Timestamp,
}

/// The first event: what the run is.
pub(super) fn submitted(run: &mut Run, submit: &SubmitRun, moment: Moment<'_>) {
    run.head = Some(Arc::new(Head {
        address: moment.address.clone(),
        definition: submit.definition.clone(),
        workflow: submit.workflow.clone(),
        input: submit.input.clone(),
        body: body(submit),
        request_id: submit.request_id.clone(),
        project: submit.project.clone(),
        labels: submit.labels.clone(),
        parent: submit.parent.clone(),
        submitted_by: submit.submitted_by.clone().unwrap_or_default(),
        trace_id: moment.trace_id.clone(),
        created_at: moment.at,
    }));
    run.status = Status::Created;
    run.moved_at = moment.at;
}

/// The first event of a run that shall not begin; it has no definition yet.
pub(super) fn forestalled(run: &mut Run, by: &str, reason: &str, at: Timestamp) {
    run.cancel = Some(Cancel { by: by.to_owned(), reason: reason.to_owned() });
    run.moved_at = at;
}

/// What a repeated request is compared with.
pub(super) fn body(submit: &SubmitRun) -> mesh_kernel::ports::Digest {
    submit.body.unwrap_or_else(|| {
        digest_of(&serde_json::json!({
            "definition": submit.definition.digest.to_string(),
            "input": submit.input,
            "parent": submit.parent,
        }))
    })
}

/// The steps as they stand before the first one begins.
fn lay_out(run: &mut Run, plan: &Plan) {
    run.steps =
        plan.steps.iter().map(|step| Arc::new(Step { missing: step.needs.len() as u32, ..Step::default() })).collect();
    run.unfinished = plan.steps.len() as u32;
}

/// Moves the run by one event. Events that name what the plan does not have change nothing.
///
/// **Cost**: grows with what the event touches; with all steps only at a start, a retry, or an end.
pub(super) fn apply(run: &mut Run, plan: &Plan, event: &Event, at: Timestamp) {
    run.moved_at = at;
    match event {
        Event::RunSubmitted(_) => lay_out(run, plan),
        Event::SlotRequested { limit, .. } => {
            run.slot = Slot::Requested { limit: limit.clone(), since: at };
        }
        Event::RunStarted {} => started(run, plan, at),
        Event::SignalReceived { name, step, payload } => kept(run, name, step.is_some(), payload.as_ref()),
        Event::WaitsAbandoned { .. } => {}
        Event::RunPaused { by, reason } => {
            run.paused = Some(Cancel { by: by.clone(), reason: reason.clone() });
        }
        Event::RunResumed { .. } => run.paused = None,
        Event::RunForestalled { by, reason } => forestalled(run, by, reason, at),
        Event::RunCancelRequested { by, reason } => {
            run.cancel = Some(Cancel { by: by.clone(), reason: reason.clone() });
        }
        Event::RunSucceeded { outputs, .. } => {
            run.outputs = Some(outputs.clone());
            end::ended(run, Status::Succeeded, at);
        }
        Event::RunFailed { failure, .. } => {
            run.failure = Some(failure.clone());
            end::ended(run, Status::Failed, at);
        }
        Event::RunCancelled { by, reason, .. } => {
            run.cancel = Some(Cancel { by: by.clone(), reason: reason.clone() });
            end::ended(run, Status::Cancelled, at);
        }
        Event::RunRetried { reset, .. } => end::retried(run, plan, reset, at),
        Event::CompensationStarted { .. }
        | Event::CompensationRequested { .. }
        | Event::CompensationAttemptFailed { .. }
        | Event::CompensationSucceeded { .. }
        | Event::CompensationFailed { .. } => end::undoing(run, plan, event, at),
        _ => step::apply(run, plan, event, at),
    }
}

fn started(run: &mut Run, plan: &Plan, at: Timestamp) {
    if let Slot::Requested { limit, .. } = &run.slot {
        run.slot = Slot::Held { limit: limit.clone() };
    }
    // A retried run that waited for its turn again has its steps laid out already.
    if run.started_at.is_none() {
        run.started_at = Some(at);
        run.ready = plan.roots.iter().copied().collect();
    }
    run.status = Status::Running;
    run.deadline = plan.timeout.map(|timeout| at.plus(timeout));
}

fn kept(run: &mut Run, name: &str, taken: bool, payload: Option<&Arc<Value>>) {
    if !taken {
        let payload = payload.cloned().unwrap_or_default();
        run.signals.push_back(Kept { name: name.to_owned(), payload });
    }
}

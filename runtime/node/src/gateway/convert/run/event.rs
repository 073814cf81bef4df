//! One event of a run.

use mesh_kernel::envelope::{Envelope, payload_json};
use mesh_proto::v1::{self, RunState};
use serde_json::Value;

use crate::gateway::convert::json;

/// The event's message. `position` is 0 where it is not known.
pub(in crate::gateway) fn event(envelope: &Envelope, version: u64, position: u64) -> v1::RunEvent {
    let payload = payload_json(envelope);
    let step_id = payload.get("step").and_then(Value::as_str).unwrap_or_default().to_owned();
    v1::RunEvent {
        run_id: envelope.headers.subject.id().to_owned(),
        version,
        event_id: envelope.event_id.as_str().to_owned(),
        event_type: envelope.event_type.as_ref().to_owned(),
        occur_time: Some(envelope.occurred_at.into()),
        payload: Some(json::to_value(&payload)),
        principal: envelope.headers.principal.answerable().to_owned(),
        causation_id: envelope.causation_id.as_str().to_owned(),
        state: state_after(envelope).unwrap_or(RunState::Unspecified).into(),
        step_id,
        position,
    }
}

/// The state into which an event takes its run; `None` when it changes none.
pub(in crate::gateway) fn state_after(envelope: &Envelope) -> Option<RunState> {
    Some(match &*envelope.event_type {
        "RunSubmitted" => RunState::Created,
        "RunStarted" | "RunResumed" | "RunRetried" => RunState::Running,
        "RunPaused" => RunState::Paused,
        "CompensationStarted" => RunState::Compensating,
        "RunSucceeded" => RunState::Succeeded,
        "RunFailed" => RunState::Failed,
        "RunCancelled" => RunState::Cancelled,
        _ => return None,
    })
}

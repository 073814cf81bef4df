//! Steering a run: signal, pause, resume, cancel, retry.

use mesh_kernel::{
    envelope::{CorrelationId, Refusal, TraceId},
    path::Caller,
};
use mesh_proto::v1;
use mesh_workflows::run::Command;
use prost::Message;

use super::{archived, is_archived, run_address};
use crate::gateway::{GatewayState, Terms, convert, status::refused_field};

/// What a request says beside its command.
struct Request<'a> {
    run_id: &'a str,
    request_id: &'a str,
    etag: &'a str,
}

/// Sends a command to a run that exists, on the run's own trace, and answers with the run afterwards.
async fn steer<M: Message>(
    state: &GatewayState,
    caller: &Caller,
    method: &str,
    body: &M,
    request: Request<'_>,
    command: Command,
) -> Result<(Option<v1::Run>, u64), Refusal> {
    let terms = Terms::of(method, body, request.request_id, request.etag)?;
    let address = run_address(caller, request.run_id)?;
    let known = state.mesh.query(caller, &address, "GetRun", "summary").await?;
    if is_archived(&known.view) {
        return Err(archived(request.run_id));
    }
    let trace = known.view.get("traceId").and_then(|trace| trace.as_str());
    let terms = Terms {
        correlation: CorrelationId::parse(request.run_id).ok(),
        trace: trace.and_then(|trace| TraceId::parse(trace).ok()),
        ..terms
    };
    let reply = state.tell(caller, address, &command, terms).await?;
    Ok((Some(convert::run::message(&reply.view, reply.version)?), reply.position.0))
}

/// Gives a run a signal.
pub(super) async fn signal(
    state: &GatewayState,
    caller: &Caller,
    body: v1::SignalRunRequest,
) -> Result<v1::SignalRunResponse, Refusal> {
    if body.name.is_empty() {
        return Err(refused_field("name", "the signal's name is expected"));
    }
    let payload = match &body.payload {
        Some(payload) => convert::json::from_value(payload, "payload")?,
        None => serde_json::Value::Null,
    };
    let command = Command::SignalRun { name: body.name.clone(), payload };
    let request = Request { run_id: &body.run_id, request_id: &body.request_id, etag: &body.etag };
    let (run, position) = steer(state, caller, "SignalRun", &body, request, command).await?;
    Ok(v1::SignalRunResponse { run, position })
}

/// Lets a run begin nothing new.
pub(super) async fn pause(
    state: &GatewayState,
    caller: &Caller,
    body: v1::PauseRunRequest,
) -> Result<v1::PauseRunResponse, Refusal> {
    let command = Command::PauseRun { reason: body.reason.clone() };
    let request = Request { run_id: &body.run_id, request_id: &body.request_id, etag: &body.etag };
    let (run, position) = steer(state, caller, "PauseRun", &body, request, command).await?;
    Ok(v1::PauseRunResponse { run, position })
}

/// Lets a paused run go on.
pub(super) async fn resume(
    state: &GatewayState,
    caller: &Caller,
    body: v1::ResumeRunRequest,
) -> Result<v1::ResumeRunResponse, Refusal> {
    let request = Request { run_id: &body.run_id, request_id: &body.request_id, etag: &body.etag };
    let (run, position) = steer(state, caller, "ResumeRun", &body, request, Command::ResumeRun {}).await?;
    Ok(v1::ResumeRunResponse { run, position })
}

/// Cancels a run.
pub(super) async fn cancel(
    state: &GatewayState,
    caller: &Caller,
    body: v1::CancelRunRequest,
) -> Result<v1::CancelRunResponse, Refusal> {
    let command = Command::CancelRun { reason: body.reason.clone() };
    let request = Request { run_id: &body.run_id, request_id: &body.request_id, etag: &body.etag };
    let (run, position) = steer(state, caller, "CancelRun", &body, request, command).await?;
    Ok(v1::CancelRunResponse { run, position })
}

/// Takes a failed run back to running.
pub(super) async fn retry(
    state: &GatewayState,
    caller: &Caller,
    body: v1::RetryRunRequest,
) -> Result<v1::RetryRunResponse, Refusal> {
    let from_step = Some(body.from_step.clone()).filter(|step| !step.is_empty());
    let request = Request { run_id: &body.run_id, request_id: &body.request_id, etag: &body.etag };
    let (run, position) = steer(state, caller, "RetryRun", &body, request, Command::RetryRun { from_step }).await?;
    Ok(v1::RetryRunResponse { run, position })
}

//! A run's events, and its timeline.

use mesh_kernel::{
    envelope::{Address, ErrorKind, Refusal},
    path::Caller,
};
use mesh_proto::v1;
use mesh_workflows::run::history::timeline;

use super::run_address;
use crate::gateway::{
    GatewayState, convert,
    convert::run::event,
    page::{Binding, size},
    status::refused_field,
};

/// Events on a page when the request does not say.
const SIZE_DEFAULT: usize = 500;
/// Events on a page at most.
const SIZE_MAX: usize = 5_000;

/// A page of a run's events, oldest first.
///
/// # Errors
/// `NotFound` when the caller's tenant has no such run.
pub(super) async fn read(
    state: &GatewayState,
    caller: &Caller,
    request: v1::GetRunHistoryRequest,
) -> Result<v1::GetRunHistoryResponse, Refusal> {
    let address = run_address(caller, &request.run_id)?;
    let binding = Binding::new(caller.scope(), "history", &request.run_id);
    let size = size(request.page_size, SIZE_DEFAULT, SIZE_MAX)?;
    let from = match binding.open(&request.page_token)? {
        Some(version) => version
            .parse()
            .map_err(|_| refused_field("page_token", "not a token of this list: begin again without one"))?,
        None => 1,
    };
    let past = match state.mesh.history(caller, &address, from).await {
        Err(refusal) if refusal.kind == ErrorKind::NotFound => return archived(state, caller, &address).await,
        past => past?,
    };
    let timeline = match request.include_timeline && from == 1 {
        true => timeline(past.iter().map(|past| past.envelope.as_ref())),
        false => String::new(),
    };
    let next = past.get(size).map(|past| past.version.to_string());
    Ok(v1::GetRunHistoryResponse {
        events: past.iter().take(size).map(|past| event(&past.envelope, past.version, 0)).collect(),
        next_page_token: binding.seal(next.as_deref()),
        timeline,
        archive_time: None,
    })
}

/// Of an archived run there is nothing but that it is one.
async fn archived(
    state: &GatewayState,
    caller: &Caller,
    address: &Address,
) -> Result<v1::GetRunHistoryResponse, Refusal> {
    let viewed = state.mesh.query(caller, address, "GetHistory", "").await?;
    let archive_time = convert::run::message(&viewed.view, viewed.version)?.archive_time;
    let at = viewed.view.get("archivedAt").and_then(|at| at.as_str()).unwrap_or_default();
    Ok(v1::GetRunHistoryResponse {
        timeline: format!("archived {at}: its {} events are gone, the run can still be read\n", viewed.version),
        archive_time,
        ..Default::default()
    })
}

//! Reading runs: one as it is now, and lists.

use mesh_kernel::{envelope::Refusal, path::Caller};
use mesh_proto::v1;

use super::run_address;
use crate::gateway::{GatewayState, convert, filter, page::Binding};

/// A run as it is now.
///
/// # Errors
/// `NotFound` when the caller's tenant has none with this id.
pub(super) async fn get(
    state: &GatewayState,
    caller: &Caller,
    request: v1::GetRunRequest,
) -> Result<v1::GetRunResponse, Refusal> {
    let address = run_address(caller, &request.run_id)?;
    let viewed = state.mesh.query(caller, &address, "GetRun", "").await?;
    let run = convert::run::message(&viewed.view, viewed.version)?;
    Ok(v1::GetRunResponse { run: Some(run), position: viewed.position.0 })
}

/// Runs, newest first.
///
/// # Errors
/// A filter or token that cannot be read.
pub(super) async fn list(
    state: &GatewayState,
    caller: &Caller,
    request: v1::ListRunsRequest,
) -> Result<v1::ListRunsResponse, Refusal> {
    state.mesh.admit_read(caller, "ListRuns")?;
    let filter = filter::runs(&request.filter)?;
    let binding = Binding::new(caller.scope(), "runs", &request.filter);
    let page = binding.request(request.page_size, &request.page_token)?;
    state.reach(request.min_position).await?;
    let page = state.lists.runs(caller.scope(), filter, page).await?;
    Ok(v1::ListRunsResponse {
        runs: page.rows.into_iter().map(convert::run_row::message).collect(),
        next_page_token: binding.seal(page.next.as_deref()),
        position: page.position.0,
    })
}

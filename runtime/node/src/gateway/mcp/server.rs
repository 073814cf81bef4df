//! What the library asks of a server.

use axum::http::request::Parts;
use mesh_kernel::path::Caller;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
};

use super::{call, list};
use crate::gateway::GatewayState;

/// What a client is told of the whole.
const INSTRUCTIONS: &str = "Tools are the skills of your tenant, and its workflows as `workflow__NAME`. A call is a \
    run of the mesh: it is recorded, and goes on when you do not wait. When a tool answers that its run goes on, ask \
    `run__get` with its `runId`.";

/// The server, for one request.
pub(super) struct Server {
    state: GatewayState,
}

impl Server {
    pub(super) fn new(state: GatewayState) -> Self {
        Self { state }
    }
}

/// Who asks. One request of the quota for all that answering it asks of the mesh.
fn caller(state: &GatewayState, context: &RequestContext<RoleServer>) -> Result<Caller, ErrorData> {
    let parts = context.extensions.get::<Parts>();
    let caller = parts.and_then(|parts| parts.extensions.get::<Caller>());
    let caller = caller.ok_or_else(|| ErrorData::internal_error("the request was not authenticated", None))?;
    state.mesh.charge(caller).map_err(|refusal| ErrorData::internal_error(refusal.to_string(), None))
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("agent-mesh", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let caller = caller(&self.state, &context)?;
        list::page(&self.state, &caller, request.and_then(|request| request.cursor)).await
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = caller(&self.state, &context)?;
        call::call(&self.state, &caller, request, context).await.map(Into::into)
    }
}

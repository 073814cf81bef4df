//! The mesh as an MCP server: a tenant's skills and workflows as tools, at `/mcp` of the pages' listener.
//!
//! A tool is one more way to ask what the contract answers: each call is made of the services' own methods, with
//! the caller that the key proved, so that quota, policy, approvals and request ids hold as they do for gRPC.
//!
//! There are no sessions: each request says who it is from and is whole by itself, in the revision with a handshake
//! and in the one without. So there is nothing that one caller could take over from another, and nothing to bound
//! but the calls that wait, which count as the tenant's open streams.
//!
//! Never here: a way to do anything that the contract has no method for.

mod call;
mod door;
mod list;
mod server;

use std::sync::Arc;

use axum::{Router, middleware};
use rmcp::transport::{
    StreamableHttpServerConfig, StreamableHttpService, streamable_http_server::session::never::NeverSessionManager,
};

use super::GatewayState;

/// The path.
pub const PATH: &str = "/mcp";

/// Bytes of one request, as a run may be given.
const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The route, which answers under these Host headers alone, and to pages of these hosts alone.
pub fn router(state: GatewayState, hosts: &[String]) -> Router {
    let origins = hosts.iter().flat_map(|host| {
        // A name without a port stands for a proxy before the node.
        let any = if host.ends_with(']') || !host.contains(':') { ":*" } else { "" };
        [format!("http://{host}{any}"), format!("https://{host}{any}")]
    });
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts)
        .with_allowed_origins(origins)
        .enforce_origin_validation()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(REQUEST_BYTES_MAX)
        .with_cancellation_token(state.stopping.clone());
    let mesh = state.mesh.clone();
    let make = move || Ok(server::Server::new(state.clone()));
    let service = StreamableHttpService::new(make, Arc::new(NeverSessionManager::default()), config);
    Router::new().route_service(PATH, service).route_layer(middleware::from_fn_with_state(mesh, door::authenticate))
}

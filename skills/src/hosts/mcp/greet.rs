//! How a connection begins, and who listens to what a server says without being asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mesh_kernel::envelope::TenantId;
use rmcp::{
    ClientHandler, RoleClient,
    model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion},
    service::{
        ClientInitializeError, ClientLifecycleMode, NotificationContext, RunningService, serve_client_with_lifecycle,
    },
    transport::async_rw::AsyncRwTransport,
};

use super::{
    http::{MESSAGE_BYTES_MAX, chain, http},
    order::{CALLS_MAX, InOrder, Progress},
    process::Process,
    reach::Settings,
};
use crate::contract::{Failure, McpServer, McpTransport};

/// How long a server may take until it has said who it is. **Units**: within it lies the ten seconds' wait for
/// a server of an older revision that does not answer the newer question.
const HELLO_WITHIN: Duration = Duration::from_secs(30);

/// The revisions that are spoken, the preferred one first; an older server is met with its own handshake.
const REVISIONS: [ProtocolVersion; 1] = [ProtocolVersion::V_2026_07_28];

/// What a server says without being asked.
#[derive(Clone, Default)]
pub(super) struct Hears {
    /// Where the calls that are under way tell of their progress.
    pub(super) progress: Progress,
    /// The list of tools is another than the one that is known.
    pub(super) is_stale: Arc<AtomicBool>,
}

impl ClientHandler for Hears {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.is_stale.store(true, Ordering::Release);
    }

    fn get_info(&self) -> ClientConfig {
        let mesh = Implementation::new("agent-mesh", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), mesh)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }
}

/// Connects, and waits until the server has said who it is: in the newest revision, or in the last one with a
/// handshake.
///
/// # Errors
/// When it cannot be reached or does not speak the protocol.
pub(super) async fn greet(
    settings: &Settings,
    tenant: &TenantId,
    server: &McpServer,
    hears: &Hears,
) -> Result<Met, Failure> {
    let met = match try_in(settings, tenant, server, hears, auto()).await {
        // One that is at a loss at the newer question may know the older one, asked from the beginning.
        Err(unmet) if unmet.is_odd => try_in(settings, tenant, server, hears, ClientLifecycleMode::Initialize).await,
        met => met,
    };
    met.map_err(|unmet| unmet.failure)
}

fn auto() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto { preferred_versions: REVISIONS.into(), legacy_version: None }
}

/// A server that did not say who it is.
struct Unmet {
    failure: Failure,
    /// It was there, and answered with something else or ended.
    is_odd: bool,
}

impl From<Failure> for Unmet {
    fn from(failure: Failure) -> Self {
        Self { failure, is_odd: false }
    }
}

/// A server that has said who it is.
pub(super) type Met = (RunningService<RoleClient, Hears>, Option<Process>);

async fn try_in(
    settings: &Settings,
    tenant: &TenantId,
    server: &McpServer,
    hears: &Hears,
    mode: ClientLifecycleMode,
) -> Result<Met, Unmet> {
    match &server.transport {
        McpTransport::Stdio { command, args, env } => {
            let env = settings.resolved(tenant, env)?;
            let (process, (read, write)) = Process::start(command, args, env, settings.memory_max)?;
            let transport = AsyncRwTransport::new_client(read, write).with_max_line_length(MESSAGE_BYTES_MAX);
            let transport = InOrder::new(transport, hears.progress.clone());
            let greeted = hello(server, serve_client_with_lifecycle(hears.clone(), transport, mode)).await;
            let greeted = greeted.map_err(|mut unmet| {
                unmet.failure.message.push_str(&said(&process.last_words()));
                unmet
            });
            Ok((greeted?, Some(process)))
        }
        McpTransport::Http { url, headers } => {
            let transport = http(server, url, settings.resolved(tenant, headers)?, CALLS_MAX)?;
            let transport = InOrder::new(transport, hears.progress.clone());
            Ok((hello(server, serve_client_with_lifecycle(hears.clone(), transport, mode)).await?, None))
        }
    }
}

async fn hello<T>(
    server: &McpServer,
    greeting: impl Future<Output = Result<T, ClientInitializeError>>,
) -> Result<T, Unmet> {
    let unmet = |why: String, is_odd| {
        let message = format!("the MCP server `{}` cannot be reached: {why}", server.name);
        Unmet { failure: Failure::external("mcp.unreachable", message).of_host(), is_odd }
    };
    let greeted = tokio::time::timeout(HELLO_WITHIN, greeting).await;
    greeted.map_err(|_| unmet("it has not said who it is in time".to_owned(), false))?.map_err(|error| {
        let is_odd = matches!(
            error,
            ClientInitializeError::ExpectedInitResponse(_)
                | ClientInitializeError::ExpectedInitResult(_)
                | ClientInitializeError::ConnectionClosed(_)
        );
        unmet(chain(&error), is_odd)
    })
}

/// What a process has said at last, to be told behind an error.
pub(super) fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!("; its last words: {words}") }
}

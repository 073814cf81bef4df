//! One connection to a server: how it begins, what it lists, a call, and its end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mesh_kernel::{envelope::TenantId, task};
use parking_lot::Mutex;
use rmcp::{
    RoleClient,
    model::{
        CallToolRequest, CallToolRequestParams, ClientRequest, ListToolsRequest, PaginatedRequestParams, ProgressToken,
        ProtocolVersion, RequestMetaObject, ServerResult, SubscriptionFilter,
    },
    service::{Peer, PeerRequestOptions, RequestHandle, RunningService, ServiceError},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    greet::{Hears, greet, said},
    listing::Listing,
    order::CALLS_MAX,
    output,
    process::Process,
    reach::Settings,
};
use crate::contract::{Call, Failure, McpServer, McpTool};

/// How long a server may take to list its tools.
const LIST_WITHIN: Duration = Duration::from_secs(20);

/// How long a listing is believed of a server that says nothing of changes.
const LISTED_FOR: Duration = Duration::from_secs(30);

/// Most tools of a server.
const TOOLS_MAX: usize = 100;

/// Most pages of a list of tools.
const PAGES_MAX: usize = 20;

/// How long the end of a connection may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// A connection that stands.
pub(super) struct Link {
    server: McpServer,
    peer: Peer<RoleClient>,
    hears: Hears,
    listed: tokio::sync::Mutex<Option<(Instant, Arc<Listing>)>>,
    open: AtomicUsize,
    used: Mutex<Instant>,
    running: Mutex<Option<RunningService<RoleClient, Hears>>>,
    process: Mutex<Option<Process>>,
}

impl Link {
    /// Connects, and waits until the server has said who it is.
    ///
    /// # Errors
    /// When it is not allowed, cannot be reached, or does not speak the protocol.
    pub(super) async fn open(settings: &Settings, tenant: &TenantId, server: &McpServer) -> Result<Self, Failure> {
        settings.allow(server)?;
        let hears = Hears::default();
        let (running, process) = greet(settings, tenant, server, &hears).await?;
        let link = Self {
            server: server.clone(),
            peer: running.peer().clone(),
            hears,
            listed: tokio::sync::Mutex::default(),
            open: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
            running: Mutex::new(Some(running)),
            process: Mutex::new(process),
        };
        link.listen();
        Ok(link)
    }

    /// Asks a server of the newest revision to tell of changes; others do by themselves.
    fn listen(&self) {
        let info = self.peer.peer_info();
        let is_telling = info.is_some_and(|info| {
            let tools = info.capabilities.tools.as_ref();
            info.protocol_version >= ProtocolVersion::V_2026_07_28
                && tools.is_some_and(|tools| tools.list_changed == Some(true))
        });
        if !is_telling {
            return;
        }
        let (peer, is_stale) = (self.peer.clone(), self.hears.is_stale.clone());
        task::spawn("mcp-listen", async move {
            let filter = SubscriptionFilter::builder().tools_list_changed().build();
            let Ok(mut subscription) = peer.listen(filter).await else { return };
            while let Ok(Some(_)) = subscription.next().await {
                is_stale.store(true, Ordering::Release);
            }
            is_stale.store(true, Ordering::Release);
        });
    }

    /// Whether it still stands.
    pub(super) fn is_alive(&self) -> bool {
        !self.peer.is_transport_closed()
    }

    /// Since when nobody uses it; none while somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.open.load(Ordering::Acquire) == 0).then(|| *self.used.lock())
    }

    /// What the server lists: asked anew when it has told of a change, or was last asked long ago.
    ///
    /// # Errors
    /// When it does not tell.
    pub(super) async fn listing(&self) -> Result<Arc<Listing>, Failure> {
        let mut listed = self.listed.lock().await;
        let is_stale = self.hears.is_stale.swap(false, Ordering::AcqRel);
        match listed.as_ref() {
            Some((at, listing)) if !is_stale && at.elapsed() < LISTED_FOR => return Ok(listing.clone()),
            // What was told before is not believed while the new list is under way.
            _ => *listed = None,
        }
        let told = tokio::time::timeout(LIST_WITHIN, self.list()).await.map_err(|_| {
            let message = format!("the MCP server `{}` has not listed its tools in time", self.server.name);
            Failure::external("mcp.lost", message).of_host()
        })??;
        let info = self.peer.peer_info();
        let identity = info.and_then(|info| info.server_info.clone()).map(|info| info.name).unwrap_or_default();
        let listing = Arc::new(Listing::new(&self.server, identity, told));
        *listed = Some((Instant::now(), listing.clone()));
        Ok(listing)
    }

    async fn list(&self) -> Result<BTreeMap<String, Value>, Failure> {
        let server = &self.server.name;
        let wrong = |what: String| Failure::external("mcp.protocol", format!("the MCP server `{server}` {what}"));
        let (mut tools, mut cursor) = (BTreeMap::new(), None);
        for _ in 0..PAGES_MAX {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            // Not by the library's own method, which may answer from what it remembers.
            let request = ListToolsRequest::with_param(params);
            let answer = self.peer.send_request(ClientRequest::ListToolsRequest(request)).await;
            let ServerResult::ListToolsResult(page) = answer.map_err(|error| self.failed(&error))? else {
                return Err(wrong("has not answered with a list of tools".to_owned()));
            };
            for tool in page.tools {
                let name = tool.name.to_string();
                let definition = serde_json::to_value(&tool).map_err(|error| wrong(error.to_string()))?;
                if tools.insert(name.clone(), definition).is_some() {
                    return Err(wrong(format!("lists two tools named `{name}`")));
                }
            }
            if tools.len() > TOOLS_MAX {
                return Err(wrong(format!("has more than {TOOLS_MAX} tools")));
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(tools);
            }
        }
        Err(wrong(format!("lists its tools on more than {PAGES_MAX} pages")))
    }

    /// Calls a tool, and tells the server when nobody wants the outcome any more.
    ///
    /// # Errors
    /// What the tool says went wrong, or what became of the server.
    pub(super) async fn call(&self, tool: &McpTool, call: Call) -> Result<Value, Failure> {
        let _counted = Counted::begin(self)?;
        let mut sent = self.send(tool, &call).await?;
        let _forgotten = Forgotten { hears: &self.hears, token: sent.progress_token.clone() };
        let answer = tokio::select! {
            answer = &mut sent.rx => answer.unwrap_or(Err(ServiceError::TransportClosed)),
            () = call.cancelled.cancelled() => {
                let _lost = sent.cancel(Some("nobody waits for it any more".to_owned())).await;
                return Err(Failure::cancelled());
            }
        };
        output::read(tool, answer.map_err(|error| self.failed(&error))?)
    }

    async fn send(&self, tool: &McpTool, call: &Call) -> Result<RequestHandle<RoleClient>, Failure> {
        let Value::Object(arguments) = &call.input else {
            let message = format!("the tool `{}` takes an object", tool.name);
            return Err(Failure::validation("skill.input", message));
        };
        let params = CallToolRequestParams::new(tool.name.clone()).with_arguments(arguments.clone());
        let mut options = PeerRequestOptions::no_options();
        options.meta = Some(about(call));
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let sent = self.peer.send_request_with_option(request, options).await.map_err(|error| self.failed(&error))?;
        self.hears.progress.follow(sent.progress_token.clone(), call.log.clone());
        Ok(sent)
    }

    /// What the library says went wrong, in our words.
    fn failed(&self, error: &ServiceError) -> Failure {
        let server = &self.server.name;
        match error {
            ServiceError::McpError(error) => {
                let data = error.data.clone().unwrap_or_default();
                let message = format!("the MCP server `{server}` refuses: {} ({})", error.message, error.code.0);
                let failure = match error.code.0 {
                    -32602 => Failure::validation("mcp.protocol", message),
                    _ => Failure::external("mcp.protocol", message),
                };
                failure.with(data)
            }
            ServiceError::UnexpectedResponse => {
                let message = format!("the MCP server `{server}` answers with something else");
                Failure::external("mcp.protocol", message).of_host()
            }
            lost => {
                let words = self.process.lock().as_ref().map(Process::last_words).unwrap_or_default();
                let message = format!("the MCP server `{server}` was lost: {lost}{}", said(&words));
                Failure::external("mcp.lost", message).of_host()
            }
        }
    }

    /// Ends it: says good-bye, and ends the process.
    pub(super) async fn close(&self) {
        let (running, process) = (self.running.lock().take(), self.process.lock().take());
        if let Some(mut running) = running {
            let _late = running.close_with_timeout(CLOSE_WITHIN).await;
        }
        if let Some(process) = process {
            process.stop().await;
        }
    }
}

/// What a server is told beside the arguments.
fn about(call: &Call) -> RequestMetaObject {
    let mut meta = RequestMetaObject::new();
    let mut say = |key: &str, value: Value| drop(meta.insert(key.to_owned(), value));
    if let Some(traceparent) = &call.cause.headers.traceparent {
        say("traceparent", json!(traceparent));
    }
    let call = json!({
        "tenant": call.tenant().as_str(), "idempotencyKey": call.key.as_str(), "attempt": call.attempt,
        "run": call.run, "step": call.step, "trace": call.cause.trace_id.as_str(),
    });
    say("agent-mesh/call", call);
    meta
}

/// A call under way, counted.
struct Counted<'a>(&'a Link);

impl<'a> Counted<'a> {
    fn begin(link: &'a Link) -> Result<Self, Failure> {
        let counted = Self(link);
        if link.open.fetch_add(1, Ordering::AcqRel) >= CALLS_MAX {
            let message = format!("the MCP server `{}` does {CALLS_MAX} calls already", link.server.name);
            return Err(Failure::resource("mcp.busy", message).unasked().after(Duration::from_secs(1)));
        }
        Ok(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        *self.0.used.lock() = Instant::now();
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Nobody waits any more for what a call tells of its progress.
struct Forgotten<'a> {
    hears: &'a Hears,
    token: ProgressToken,
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        self.hears.progress.forget(&self.token);
    }
}

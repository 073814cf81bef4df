//! The two listeners: gRPC for programs, HTTP for people.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use axum::{middleware, serve::ListenerExt as _};
use mesh_kernel::task;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use super::{clock::secret, compose::Whole};
use crate::{
    config::Config,
    gateway::{self, GatewayState, Recent},
    http::{self, Pages},
    telemetry::{self, Metrics, Requests, Sources},
};

/// The listeners of a running node.
pub(super) struct Servers {
    /// Where gRPC is served.
    pub(super) grpc: SocketAddr,
    /// Where the pages are served.
    pub(super) http: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// Opens both listeners and serves until `stopping` fires.
///
/// # Errors
/// When an address is taken.
pub(super) async fn listen(config: &Config, whole: &Whole, stopping: &CancellationToken) -> Result<Servers> {
    let grpc = bind(config.server.listen).await?;
    let pages = bind(config.server.http_listen).await?;
    let (grpc_at, http_at) = (grpc.local_addr()?, pages.local_addr()?);

    let state = GatewayState {
        mesh: whole.mesh.clone(),
        lists: whole.lists.clone(),
        logs: whole.logs.clone(),
        content: whole.content.clone(),
        recent: Recent::default(),
        dead_letters: whole.dead_letters.clone(),
        skills: whole.skills.clone(),
        agents: whole.agents.clone(),
        knowledge: whole.knowledge.clone(),
        lineages: whole.lineages.clone(),
        clock: whole.clock.clone(),
        secret,
        stopping: stopping.clone(),
    };
    let tools = gateway::mcp::router(state.clone(), &hosts(config, http_at));
    let (routes, health) = gateway::routes(state).await?;
    let requests = Requests::new(whole.clock.clone());
    let counted = middleware::from_fn_with_state(requests.clone(), telemetry::count);
    let routes = Routes::from(routes.into_axum_router().layer(counted));
    let stop = stopping.clone();
    let serving = task::spawn("gateway", async move {
        // Said of the sockets themselves: the server's own setting does not reach a listener that it is given,
        // and without it an answer in two parts waits some 40 ms for the other side's acknowledgement.
        let incoming = TcpIncoming::from(grpc).with_nodelay(Some(true));
        let server = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, stop.cancelled());
        if let Err(error) = server.await {
            tracing::error!(%error, "the gateway ended");
        }
        drop(health);
    });

    let metrics = Metrics::new(Sources {
        mesh: whole.mesh.clone(),
        journal: whole.journal.clone(),
        lists: whole.lists.clone(),
        followers: whole.cursors.clone(),
        requests,
        backups: whole.backups.clone(),
        archive: config.data.join("archive.sqlite"),
        sink: whole.sink.clone(),
        models: whole.meter.clone(),
        pools: whole.skills.pools().clone(),
        workers: whole.skills.workers().clone(),
        clock: whole.clock.clone(),
        started: whole.clock.now(),
        tenants_max: config.telemetry.tenants_max,
    });
    let state = Pages::new(
        whole.mesh.clone(),
        whole.lists.clone(),
        whole.logs.clone(),
        whole.logins.clone(),
        metrics,
        whole.backups.clone(),
        hosts(config, http_at),
    );
    let router = http::router(Arc::clone(&state)).merge(tools);
    let stop = stopping.clone();
    let paging = task::spawn("pages", async move {
        // As with gRPC: a stream of events that waits for acknowledgements comes 40 ms late.
        let pages = pages.tap_io(|socket| {
            let _refused = socket.set_nodelay(true);
        });
        let server = axum::serve(pages, router).with_graceful_shutdown(async move { stop.cancelled().await });
        if let Err(error) = server.await {
            tracing::error!(%error, "the pages ended");
        }
    });
    Ok(Servers { grpc: grpc_at, http: http_at, tasks: vec![serving, paging] })
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: another program does; choose another with `--listen` (port 0 takes any)")
    })
}

/// The Host headers that the pages answer to: this machine's own names, and what was configured.
fn hosts(config: &Config, at: SocketAddr) -> Vec<String> {
    let mut hosts: Vec<String> =
        ["127.0.0.1", "localhost", "[::1]"].iter().map(|name| format!("{name}:{}", at.port())).collect();
    hosts.push(at.to_string());
    hosts.extend(config.server.allowed_hosts.iter().cloned());
    hosts
}

impl Servers {
    /// Waits for open requests, at most this long; streams end by themselves.
    pub(super) async fn close(self, at_most: Duration) {
        for mut task in self.tasks {
            if tokio::time::timeout(at_most, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

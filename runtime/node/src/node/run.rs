//! Starting and stopping: the order is the point.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use mesh_kernel::{
    envelope::{Role, TenantId},
    follow::{Resumed, record_denials, resume},
    path::Mesh,
    ports::Identity,
};
use mesh_platforms::governance::reactions::DenialsKept;
use tokio_util::sync::CancellationToken;

use super::{
    bootstrap::{self, DEFAULT_TENANT},
    clock::secret,
    compose::{self, Whole},
    serve::{self, Servers},
};
use crate::{
    config::{Config, DataFolder, Running},
    readmodel::LoginTokens,
    telemetry::otlp::Traces,
};

/// A node that runs.
pub struct RunningNode {
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// Where the pages are served.
    pub http: SocketAddr,
    /// The first key: operator and admin of tenant `default`.
    pub key: String,
    /// Restored from a backup: it shows what there is, and does nothing.
    pub paused: bool,
    /// What the start found unfinished.
    pub resumed: Resumed,
    mesh: Mesh,
    whole: Whole,
    servers: Servers,
    logins: Arc<LoginTokens>,
    data: PathBuf,
    drain_max: Duration,
    stopping: CancellationToken,
}

/// Starts a node: stores, supervisors, followers, what was unfinished, and the listeners last.
///
/// # Errors
/// When another node uses the data folder, the journal is damaged, or an address is taken.
pub async fn start(config: &Config) -> Result<RunningNode> {
    start_traced(config, None).await
}

/// The same, with traces told to a collector.
///
/// # Errors
/// As [`start`].
pub async fn start_traced(config: &Config, traces: Option<Traces>) -> Result<RunningNode> {
    compose::data_folder(&config.data)?;
    let whole = compose::compose(config, traces).await?;
    compose::caught_up(&whole).await?;
    let key = bootstrap::first_start(&whole.mesh, &whole.own, &config.data, secret).await?;
    compose::caught_up(&whole).await?;
    let resumed = if whole.paused { Resumed::default() } else { resume(&whole.mesh).await? };
    let stopping = CancellationToken::new();
    let servers = serve::listen(config, &whole, &stopping).await?;
    let node = RunningNode {
        grpc: servers.grpc,
        http: servers.http,
        key,
        paused: whole.paused,
        resumed,
        mesh: whole.mesh.clone(),
        logins: whole.logins.clone(),
        whole,
        servers,
        data: config.data.clone(),
        drain_max: config.server.drain_max,
        stopping,
    };
    node.write_file()?;
    Ok(node)
}

impl RunningNode {
    /// The address of a page, with a log-in that works once. `next` is a path such as `/runs/run-1`.
    ///
    /// # Errors
    /// Never in practice: the default tenant's name is a slug.
    pub fn page_url(&self, next: &str) -> Result<String> {
        let mut principal = mesh_kernel::envelope::Principal::system("page");
        principal.name = "key:operator".to_owned();
        principal.roles = vec![Role::Operator, Role::Admin];
        let token = self.logins.issue(Identity { tenant: TenantId::parse(DEFAULT_TENANT)?, principal });
        Ok(format!("http://{}/login?token={token}&next={next}", self.http))
    }

    /// Begins to compile the dependency seed, so that it is there when the first build asks.
    pub fn start_seed(&self) {
        if !self.paused {
            self.whole.workshop.start_early();
        }
    }

    /// The running kernel.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Waits until the supervisors have given up: the end of the process.
    pub async fn gave_up(&self) -> String {
        format!("{:?}", self.whole.tree.gave_up().await)
    }

    fn write_file(&self) -> Result<()> {
        let running = Running {
            pid: std::process::id(),
            grpc: format!("http://{}", self.grpc),
            http: format!("http://{}", self.http),
        };
        DataFolder::at(&self.data).say_running(&running).context("saying where the node answers")
    }

    /// Stops in order: no new callers, no new reactions, effects are let go (they are asked for again
    /// at the next start), entities drain, the journal flushes last.
    ///
    /// # Errors
    /// When a file cannot be removed; everything has stopped all the same.
    pub async fn stop(self) -> Result<()> {
        let Self { whole, servers, data, drain_max, stopping, .. } = self;
        let Whole { mesh, tree, cursors, workshop, skills, .. } = &whole;
        tracing::info!("stopping: no new callers");
        stopping.cancel();
        servers.close(Duration::from_secs(2)).await;
        record_denials(mesh, &DenialsKept).await;
        workshop.stop();
        tree.stop_services().await;
        mesh.workers().stop(drain_max.max(Duration::from_secs(1))).await;
        skills.servers().stop().await;
        let report = mesh.directory().drain(drain_max).await;
        tracing::info!(?report, "entities drained");
        cursors.flush();
        tree.stop(Duration::from_secs(5)).await;
        mesh.journal().close().await;
        Ok(DataFolder::at(&data).say_stopped()?)
    }
}

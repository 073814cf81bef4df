//! The node that makes the product: one that runs already, or our own.

use std::future::pending;

use super::{Given, Stop};
use crate::{
    cli::{
        Failure,
        connect::{self, Link},
        context::Context,
        logging, open, up,
    },
    config::Config,
    node::{self, RunningNode},
};

/// The node that makes the product.
pub(super) enum Host {
    /// It ran before us and goes on after us.
    Theirs {
        /// A connection to it.
        link: Link,
        /// Where its pages are.
        http: Option<String>,
    },
    /// We started it and stop it.
    Ours {
        /// A connection to it.
        link: Link,
        /// The node.
        node: Box<RunningNode>,
    },
}

impl Host {
    /// A node that was named or runs on the data folder, else a fresh one.
    pub(super) async fn find_or_start(given: &Given, context: &Context) -> Result<Self, Failure> {
        if context.global.server.is_some() {
            return Ok(Self::Theirs { link: context.link().await?, http: None });
        }
        let running = context.data().running().ok().flatten();
        if let Some(running) = running {
            match context.link().await {
                Ok(link) => return Ok(Self::Theirs { link, http: Some(running.http) }),
                // A killed node leaves its address behind; nobody is there.
                Err(Failure::Unreachable { .. } | Failure::NoKey) => {}
                Err(failure) => return Err(failure),
            }
        }
        Self::start(given, context).await
    }

    async fn start(given: &Given, context: &Context) -> Result<Self, Failure> {
        let layers = given.layers(&context.global)?;
        let mut config = Config::load(&layers)?;
        // A product is wanted, not a well-known port: two of these may run side by side.
        if !config.server.listen_is_set {
            config.server.listen.set_port(0);
        }
        if !config.server.http_listen_is_set {
            config.server.http_listen.set_port(0);
        }
        let traces = logging::to_file(&config, Given::otlp(&layers)?)?;
        let node = node::start_traced(&config, traces).await.map_err(Failure::Node)?;
        // A build will be asked for: its dependencies compile while the first steps run.
        node.start_seed();
        let link = connect::to(&format!("http://{}", node.grpc), &context.global, &node.key).await?;
        Ok(Self::Ours { link, node: Box::new(node) })
    }

    /// A connection to it.
    pub(super) fn link(&self) -> Link {
        match self {
            Self::Theirs { link, .. } | Self::Ours { link, .. } => link.clone(),
        }
    }

    /// Whether we started it.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Ours { .. })
    }

    /// The address of the run's page, with a log-in that works once.
    pub(super) async fn page(&self, run_id: &str, context: &Context) -> Result<String, Failure> {
        let path = format!("/runs/{run_id}");
        match self {
            Self::Ours { node, .. } => node.page_url(&path).map_err(Failure::Node),
            Self::Theirs { http: Some(http), .. } => open::page(http, &connect::key(&context.global)?, &path).await,
            Self::Theirs { http: None, .. } => Ok(format!("the node's page, under {path}")),
        }
    }

    /// Waits until our node has given up; for ever when it is not ours.
    pub(super) async fn gave_up(&self) -> String {
        match self {
            Self::Ours { node, .. } => node.gave_up().await,
            Self::Theirs { .. } => pending().await,
        }
    }

    /// Stops what we started.
    pub(super) async fn stop(self, stop: &mut Stop) -> Result<(), Failure> {
        match self {
            Self::Ours { node, .. } => up::stopped(*node, stop).await,
            Self::Theirs { .. } => Ok(()),
        }
    }
}

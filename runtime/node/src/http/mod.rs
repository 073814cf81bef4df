//! The pages: the run, its steps and the actor tree, live, in plain HTML and server-sent events.
//!
//! The node renders, the page swaps: no build step, no framework, and without scripts the pages are
//! whole. HTTP needs a key as gRPC does: a browser comes in by a single-use log-in token in the
//! address that `mesh run` prints, a program by `authorization: Bearer …`.
//!
//! [`ROUTES`] is the list that the router is made from, so the isolation test takes its routes from
//! the router itself.

mod guard;
mod live;
mod pages;
mod render;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{MethodRouter, get, post},
};
use mesh_kernel::path::Mesh;
use mesh_skills::logs::LogStore;

use crate::{backup::BackUps, gateway::lists::Lists, readmodel::LoginTokens, telemetry::Metrics};

/// What the pages are made from.
pub struct Pages {
    /// The running kernel.
    pub mesh: Mesh,
    /// The read models.
    pub lists: Arc<dyn Lists>,
    /// What steps have written.
    pub logs: Arc<LogStore>,
    /// Single-use log-ins and the sessions that they were traded for.
    pub logins: Arc<LoginTokens>,
    /// The figures.
    pub metrics: Arc<Metrics>,
    /// Copies of the data folder.
    pub backups: Arc<BackUps>,
    /// Host headers that are answered, as `host` or `host:port`.
    pub hosts: Vec<String>,
    pub(crate) templates: minijinja::Environment<'static>,
}

impl Pages {
    /// Pages over these parts.
    pub fn new(
        mesh: Mesh,
        lists: Arc<dyn Lists>,
        logs: Arc<LogStore>,
        logins: Arc<LoginTokens>,
        metrics: Arc<Metrics>,
        backups: Arc<BackUps>,
        hosts: Vec<String>,
    ) -> Arc<Self> {
        let templates = render::environment(backups.is_paused());
        Arc::new(Self { mesh, lists, logs, logins, metrics, backups, hosts, templates })
    }
}

/// One route of the pages.
pub struct Route {
    /// The path, with `{…}` where a part varies.
    pub path: &'static str,
    /// Who is answered.
    pub who: Who,
    handler: fn() -> MethodRouter<Arc<Pages>>,
}

/// Who is answered at a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Anybody, without a key.
    Anybody,
    /// Whoever has a key, of what their tenant has.
    Tenants,
    /// Operators alone: what is told is about all tenants.
    Operators,
}

/// Every route that there is.
pub const ROUTES: &[Route] = &[
    Route { path: "/", who: Who::Tenants, handler: || get(pages::runs) },
    Route { path: "/events", who: Who::Tenants, handler: || get(live::runs) },
    Route { path: "/runs/{run}", who: Who::Tenants, handler: || get(pages::run) },
    Route { path: "/runs/{run}/events", who: Who::Tenants, handler: || get(live::run) },
    Route { path: "/runs/{run}/steps/{step}/log", who: Who::Tenants, handler: || get(pages::log) },
    Route { path: "/tree", who: Who::Tenants, handler: || get(pages::tree) },
    Route { path: "/tree/events", who: Who::Tenants, handler: || get(live::tree) },
    Route { path: "/logins", who: Who::Tenants, handler: || get(pages::new_login) },
    Route { path: "/login", who: Who::Anybody, handler: || get(pages::login) },
    Route { path: "/assets/page.css", who: Who::Anybody, handler: || get(pages::css) },
    Route { path: "/assets/page.js", who: Who::Anybody, handler: || get(pages::js) },
    Route { path: "/metrics", who: Who::Operators, handler: || get(pages::metrics) },
    Route { path: "/doctor", who: Who::Operators, handler: || get(pages::doctor) },
    Route { path: "/backup", who: Who::Operators, handler: || post(pages::back_up) },
    Route { path: "/healthz", who: Who::Anybody, handler: || get(pages::healthz) },
    Route { path: "/readyz", who: Who::Anybody, handler: || get(pages::readyz) },
];

/// The router of all pages, behind the guard.
pub fn router(pages: Arc<Pages>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.handler)());
    }
    router.fallback(pages::nowhere).layer(middleware::from_fn_with_state(pages.clone(), guard::guard)).with_state(pages)
}

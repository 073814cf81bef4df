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
    routing::{MethodRouter, get},
};
use mesh_kernel::path::Mesh;
use mesh_skills::logs::LogStore;

use crate::{gateway::lists::Lists, readmodel::LoginTokens};

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
        hosts: Vec<String>,
    ) -> Arc<Self> {
        Arc::new(Self { mesh, lists, logs, logins, hosts, templates: render::environment() })
    }
}

/// One route of the pages.
pub struct Route {
    /// The path, with `{…}` where a part varies.
    pub path: &'static str,
    /// Whether it is answered without a key.
    pub open: bool,
    handler: fn() -> MethodRouter<Arc<Pages>>,
}

/// Every route that there is.
pub const ROUTES: &[Route] = &[
    Route { path: "/", open: false, handler: || get(pages::runs) },
    Route { path: "/events", open: false, handler: || get(live::runs) },
    Route { path: "/runs/{run}", open: false, handler: || get(pages::run) },
    Route { path: "/runs/{run}/events", open: false, handler: || get(live::run) },
    Route { path: "/runs/{run}/steps/{step}/log", open: false, handler: || get(pages::log) },
    Route { path: "/tree", open: false, handler: || get(pages::tree) },
    Route { path: "/tree/events", open: false, handler: || get(live::tree) },
    Route { path: "/logins", open: false, handler: || get(pages::new_login) },
    Route { path: "/login", open: true, handler: || get(pages::login) },
    Route { path: "/assets/page.css", open: true, handler: || get(pages::css) },
    Route { path: "/assets/page.js", open: true, handler: || get(pages::js) },
    Route { path: "/healthz", open: true, handler: || get(pages::healthz) },
    Route { path: "/readyz", open: true, handler: || get(pages::readyz) },
];

/// The router of all pages, behind the guard.
pub fn router(pages: Arc<Pages>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.handler)());
    }
    router.fallback(pages::nowhere).layer(middleware::from_fn_with_state(pages.clone(), guard::guard)).with_state(pages)
}

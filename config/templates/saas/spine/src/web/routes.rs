//! The list of routes: what is registered here is what is served, described and tested.

use std::sync::Arc;

use axum::Router;
use axum::extract::RawPathParams;
use axum::routing::{MethodFilter, on};

use super::{App, Reply, Request, guard};
use crate::Error;

/// What answers a route. It may block; it runs on a thread of its own.
pub type Handler = fn(&Request) -> Result<Reply, Error>;

/// The methods that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads.
    Get,
    /// Does something.
    Post,
    /// Changes what is named.
    Patch,
    /// Removes what is named.
    Delete,
}

impl Method {
    /// Its name in HTTP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Public,
    /// Whoever is logged in; roles are the handler's business.
    Member,
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, with parameters like `{id}`.
    pub path: String,
    /// Who may come in.
    pub access: Access,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What answers it.
    pub handler: Handler,
}

/// Collects the routes of a product.
#[derive(Debug, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Adds a route for members.
    pub fn add(&mut self, method: Method, path: &str, summary: &'static str, handler: Handler) {
        self.push(method, path, Access::Member, summary, handler);
    }

    /// Adds a route for everyone.
    pub fn public(&mut self, method: Method, path: &str, summary: &'static str, handler: Handler) {
        self.push(method, path, Access::Public, summary, handler);
    }

    /// The routes in the order of registration.
    pub(crate) fn into_list(self) -> Vec<Route> {
        self.0
    }

    fn push(&mut self, method: Method, path: &str, access: Access, summary: &'static str, handler: Handler) {
        self.0.push(Route { method, path: path.to_owned(), access, summary, handler });
    }
}

/// The router that serves exactly the product's routes.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in app.routes() {
        let filter = match route.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Patch => MethodFilter::PATCH,
            Method::Delete => MethodFilter::DELETE,
        };
        let (app, handler, access) = (Arc::clone(&app), route.handler, route.access);
        let answer = move |params: RawPathParams, request: axum::extract::Request| {
            guard::answer(Arc::clone(&app), access, handler, params, request)
        };
        router = router.route(&route.path, on(filter, answer));
    }
    let lost = move |request: axum::extract::Request| guard::lost(Arc::clone(&app), request);
    router.fallback(lost)
}

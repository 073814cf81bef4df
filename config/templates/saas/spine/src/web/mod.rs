//! The web side: routes, requests, replies, and the guard between them.

mod app;
mod assets;
mod guard;
mod reply;
mod request;
mod routes;

pub use app::App;
pub use assets::{asset, favicon};
pub use reply::Reply;
pub use request::{Filter, Request};
pub use routes::{Access, Handler, Method, Route, Routes, router};

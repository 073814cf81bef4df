//! The spine of a product: everything a multi-tenant service needs that is not its domain.
//!
//! A product says what it is in one [`Product`] value (its roles, editions, entities and routes)
//! and hands it to [`serve::main`]. The spine brings sign-up and log-in, one database file for each
//! tenant, roles and invitations, plan limits, an audit log, pages, a JSON API and its description.
//!
//! Invariants:
//! - A handler reaches a tenant's file only through its own session: [`web::Request::read`] and
//!   [`web::Request::write`] take the tenant from who is logged in, never from the request.
//! - A route is for members unless it is registered as public.
//! - Every change and its audit entry are in one transaction.
//! - Handlers are plain functions that may block; none of them touches a socket or the wall clock.

pub mod audit;
pub mod control;
pub mod demo;
pub mod entity;
mod error;
pub mod form;
pub mod migrate;
pub mod moment;
pub mod pages;
mod product;
pub mod rule;
mod scope;
mod secret;
pub mod serve;
mod store;
pub mod testing;
pub mod ui;
pub mod web;

pub use error::{Error, Mistakes};
pub use product::{Demo, Edition, Limit, Product, Role};
pub use scope::{Member, Person, Scope};
pub use store::Store;

/// A fresh, unguessable id: 20 letters and digits with a prefix that says what it names.
pub fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", secret::id_text())
}

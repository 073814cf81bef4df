//! Read models: lists and the key ring, made of the journal's events and of nothing else.
//!
//! One SQLite file in the data folder. [`Index`] is the projection that writes it, with its cursor
//! in the same transaction; [`ReadModel`] reads it. Nothing in it is the truth: a file that is
//! damaged or of another form is deleted when the node starts, and made anew from the journal.
//!
//! INVARIANT: every query names a tenant in its `WHERE`, from a [`TenantScope`]; only the list of
//! tenants may leave it out, and only when the gateway has seen that an operator asks. What the node keeps
//! house by (runs whose retention is over) is of all tenants and told to nobody. Counts over all tenants
//! ([`Tally`]) have no rows of anybody in them and are told to operators alone.
//!
//! [`TenantScope`]: mesh_kernel::envelope::TenantScope

mod archived;
mod erase;
mod index;
mod keys;
mod lists;
mod login;
mod query;
mod store;
mod tables;
mod tally;
#[cfg(test)]
mod tests;

pub use archived::{Over, TaskOver};
pub use index::{Index, open};
pub use keys::{Held, KeyRing, Keys};
pub use lists::ReadModel;
pub use login::LoginTokens;
pub use store::StoreError;
pub use tally::Tally;

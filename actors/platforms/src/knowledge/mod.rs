//! Knowledge: what a tenant has read, and what its agents are grounded on.
//!
//! **For**: documents from folders and repositories are kept, cut, embedded and indexed; a context package is
//! a bundle of cited pieces of them for one task.
//!
//! **Owns** `knowledge/collection` (its name is its id): which documents of which sources it has, under which
//! classification, and how far they are indexed; and `knowledge/package`: a context package that was built.
//! Bodies lie in the content store; an index is made of them and can be made again.
//!
//! **Never** does it read a file of the machine or a network: callers send documents.

pub mod config;
pub mod effects;
mod error;
pub mod machines;
pub mod messages;

pub use error::Error;

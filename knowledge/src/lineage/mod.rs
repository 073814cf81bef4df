//! The lineage graph: what came from what, from intent to runtime signal.
//!
//! One store is one tenant's. A node's number is its place in the order in which things became known, and
//! causes become known before their effects, so every edge leads from a larger number to a smaller one. That
//! makes a closure one pass over a bitmap ([`sweep`]) and makes "as of" a smaller limit.
//!
//! Rooms, lowest first: `kinds` is the closed ontology; `column` and `incoming` are how edges lie in memory, `bitmaps`
//! is room for sets, `graph` is the one writer and its readers; `sweep`, `find` and `face` ask it; `names` keeps what
//! nodes are called, `frozen` and `disk` how all of it survives; `fact` is what an event tells, `store` is the whole of
//! one tenant; `mapping` says which event makes which nodes, `projection` follows the journal; `export` tells it to
//! others.
//!
//! INVARIANT: an edge's source is larger than its target. [`graph::Writer`] refuses anything else.

mod bitmaps;
mod column;
mod disk;
pub mod export;
pub mod face;
pub mod fact;
pub mod find;
mod frozen;
pub mod graph;
mod incoming;
pub mod kinds;
pub mod mapping;
pub mod names;
pub mod projection;
pub mod store;
pub mod sweep;
#[cfg(test)]
mod tests;

pub use kinds::{EdgeKind, EdgeKinds, NodeKind, Toward};

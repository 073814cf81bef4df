//! Support for the end-to-end, crash and isolation tests: the real binary, an outside recorder, a
//! client of the public contract.
//!
//! Nothing here knows the inside of the node: a test sees what a user sees.

mod client;
mod node;
mod outside;
mod recorder;

pub use client::{Client, json, object};
pub use node::{Node, NodeOptions};
pub use outside::get;
pub use recorder::{Recorded, Recorder};

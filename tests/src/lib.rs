//! Support for the end-to-end, crash and isolation tests: the real binary, an outside recorder, a
//! client of the public contract.
//!
//! Nothing here knows the inside of the node: a test sees what a user sees.

mod client;
mod damage;
mod doomed;
mod follower;
mod node;
mod outside;
mod recorder;

pub use client::{Client, json, object};
pub use damage::{Damage, flip};
pub use doomed::Doomed;
pub use follower::Follower;
pub use node::{Node, NodeOptions};
pub use outside::{get, post};
pub use recorder::{Recorded, Recorder};

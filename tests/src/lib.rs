//! Support for the end-to-end, crash and isolation tests: the real binary, an outside recorder, a
//! client of the public contract.
//!
//! Nothing here knows the inside of the node: a test sees what a user sees.

mod chance;
mod client;
mod damage;
mod doomed;
mod follower;
mod malformed;
mod node;
mod outside;
mod recorder;
mod storm;

pub use chance::Chance;
pub use client::{Client, json, object, value};
pub use damage::{Damage, flip};
pub use doomed::Doomed;
pub use follower::Follower;
pub use malformed::{Judged, Malformed};
pub use node::{Node, NodeOptions};
pub use outside::{get, post, send};
pub use recorder::{Recorded, Recorder};
pub use storm::{Storm, Work};

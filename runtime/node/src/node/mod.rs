//! The node: put together, started, and stopped in order.

mod bodies;
pub mod bootstrap;
pub mod clock;
pub mod compose;
pub mod cursors;
pub mod dead_letters;
mod deletions;
pub mod held;
pub mod policy;
mod retention;
pub mod skills;

mod run;
mod serve;

pub use run::{RunningNode, start, start_traced};

//! What Runtime & Cloud does in the outside world: processes, through `mesh_skills::product::process`.
//!
//! [`ProcessEffects`] performs what a workload wants. [`WorkloadsPort`] is how a skill asks for a
//! running product: it tells the workload and waits until its published view says so.

mod perform;
mod port;

pub use perform::{OnShutdown, ProcessEffects};
pub use port::WorkloadsPort;

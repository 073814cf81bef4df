//! Runtime & Cloud: what shall run, what does run, and closing the gap.
//!
//! **For**: a product that was started stays up. That it shall run is a fact in the journal, so it
//! holds whichever process of ours dies: after a crash of the node the living process is adopted, a
//! dead one is started again, and there are never two.
//!
//! **Owns** `runtime-cloud/workload` (the product's name is its id): what is desired, what was
//! observed, when to try again. It never gives up; it waits longer and says that it is looping.
//!
//! **Never** does a machine here touch a process: it wants effects, and `effects.rs` performs them.

pub mod config;
pub mod effects;
mod error;
pub mod machines;
pub mod messages;
pub mod reactions;

pub use config::Config;
pub use effects::{OnShutdown, ProcessEffects, WorkloadsPort};
pub use error::Error;

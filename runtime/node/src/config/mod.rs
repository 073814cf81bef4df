//! What can be set, where it was set, and the typed result.
//!
//! Four layers, each over the one before: the default in [`keys`], the file `mesh.toml`, variables
//! `MESH_<SECTION>_<KEY>`, flags. Every mistake in all of them is told at once, with its place.
//! Nothing but this room reads configuration; the composition root hands the parts on.

mod budgets;
mod error;
mod file;
mod folder;
mod form;
mod keys;
mod layers;
mod render;
mod retention;
mod setting;
mod typed;

pub use error::{ConfigError, Mistake, Place};
pub use folder::{DataFolder, Running};
pub(crate) use form::time as read_time;
pub use form::{Form, Value};
pub use keys::{KEYS, Key};
pub use layers::{Layers, Settings};
pub use render::{default_file, show};
pub use retention::Retention;
pub use setting::Setting;
pub use typed::{
    Actors, Builds, Config, Effects, HOLDABLE, Journal, Log, LogFormat, Mcp, Models, Pages, Policy, Server, Telemetry,
    Tenants,
};

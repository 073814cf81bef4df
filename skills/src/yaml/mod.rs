//! YAML (and JSON, which is a part of it) that remembers where each value stood.
//!
//! Blueprints and workflow definitions are written by people, so every mistake must be told with
//! its line and column. A tree of [`Node`]s keeps both the value and its place; readers walk it and
//! collect [`Mistake`]s instead of stopping at the first. Nothing here knows what the text means.
//!
//! Never here: I/O, `serde` models, or anything about blueprints or workflows.

mod duration;
mod mistake;
mod node;
mod read;
mod suggest;

pub use duration::{parse_duration, show_duration};
pub use mistake::Mistake;
pub use node::{Key, Kind, Node, Span};
pub use read::{DEPTH_MAX, NODES_MAX, SOURCE_BYTES_MAX, parse};
pub use suggest::suggest;

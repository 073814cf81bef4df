//! Traces for a collector, by OTLP over gRPC, set by the standard `OTEL_*` variables; off when no
//! endpoint is set.
//!
//! A run's trace is made of the journal's events when the run ends ([`runs`]), not of what the process
//! remembers: its times are those of the record, a crash in the middle leaves no hole, and a collector
//! that was away gets what it missed. Ids are derived from the run's own, so what is sent again after
//! a crash is the same span and not a second one. What agents did in it is
//! told in the same way, from the events of its tasks ([`tasks`]). What the journal does not know, how long each of
//! the eight steps took, comes from the kernel's spans ([`path`]), for sampled traces only.

mod export;
mod follow;
mod ids;
mod path;
mod runs;
mod sampler;
mod settings;
mod span;
mod tasks;

pub use export::{Sent, Sink, SinkError};
pub use follow::{follow_path, follow_runs};
pub(crate) use path::OnlyPath;
pub use path::{PathLayer, PathSpans};
pub use settings::Otlp;

/// What it takes to tell traces.
pub struct Traces {
    /// Where they go and how.
    pub otlp: Otlp,
    /// Where the spans of the path come out, when the process' subscriber gathers them.
    pub path: Option<PathSpans>,
}

//! What a node tells about itself to programs that watch it for years: figures and traces.
//!
//! [`Metrics`] gathers the figures when somebody asks and keeps nothing; what counts is counted where
//! it happens. Nothing here is named after an entity: labels are kinds, methods, states, and a bounded
//! number of tenants. What each figure means is in `docs/telemetry.md`.

mod finding;
mod gather;
mod genai;
mod inside;
mod metrics;
pub mod otlp;
mod process;
mod requests;
mod tenants;
mod text;

pub use finding::{Finding, State};
pub(crate) use inside::{bytes, verified};
pub use metrics::{Followers, Metrics, Sources};
pub use requests::{Requests, count};
pub(crate) use text::MEDIA_TYPE;

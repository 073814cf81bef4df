//! The embedded engine: a segmented log in one folder.

mod chain;
mod checkpoint;
mod cursor;
mod engine;
mod error;
mod follow;
mod hints;
mod index;
mod log;
mod options;
mod recover;
mod shared;
mod snapshots;
mod store;
mod tail;
mod window;
mod writer;

pub use engine::EmbeddedJournal;
pub use error::OpenError;
pub use follow::Verified;
pub use options::Options;

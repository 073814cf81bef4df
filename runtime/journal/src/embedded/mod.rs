//! The embedded engine: a segmented log in one folder.

mod backup;
mod bells;
mod chain;
mod checkpoint;
mod cursor;
mod engine;
mod error;
mod figures;
mod follow;
mod hints;
mod index;
mod inspect;
mod log;
mod options;
mod reclaim;
mod recover;
mod scan;
mod shared;
mod snapshots;
mod store;
mod tail;
mod tombstone;
mod window;
mod writer;

pub use backup::{BackupError, Copied, Progress, restore, restore_on};
pub use engine::EmbeddedJournal;
pub use error::OpenError;
pub use figures::Figures;
pub use inspect::Formats;
pub use options::Options;
pub use scan::Verified;

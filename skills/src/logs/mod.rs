//! What skills say while they work: one bounded log for each attempt of each step, live and later.
//!
//! A log is a file of JSON lines in a tenant's own folder. It is told to people and to progress
//! views; nothing is decided by it, so it is not flushed to the disk and a crash may cost its last
//! lines. Who reads needs a [`TenantScope`](mesh_kernel::envelope::TenantScope), as who writes does.
//!
//! Never here: the outcome of a step, or anything that a replay would need.

mod follow;
mod id;
mod line;
mod store;
mod topic;
mod writer;

pub use follow::{Chunk, Follower};
pub use id::{LogId, LogIdError};
pub use line::{LineKind, LogLine, Progress};
pub use store::{LogEntry, LogError, LogPage, LogStore};
pub use writer::{LOG_BYTES_MAX, LogRef, LogWriter, TEXT_BYTES_MAX};

#[cfg(test)]
mod tests;

//! The journal's engines, and the content store beside them.
//!
//! One engine so far: [`EmbeddedJournal`], a segmented log in one folder. An append is answered
//! after its bytes are on disk; everyone who waits at the same time shares one flush. It knows the
//! kernel's ports and nothing else of the kernel.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`files`] | the few operations through which files are reached, and a faulty twin for tests |
//! | `embedded/log` | the bytes: segment headers, batch frames, records |
//! | `embedded/writer` | the one thread that writes: queue, group commit, rotation |
//! | `embedded` | recovery, index, chains, feeds, snapshots, the lock |
//! | [`content`] | bodies by hash, a folder for each tenant |
//! | [`conformance`] | the suite that every engine of the journal port passes |
//!
//! INVARIANT: no byte of the store is reached but through [`files::Files`].
//! INVARIANT: one flush at a time; so only the last batch of a log can be torn.

pub mod conformance;
pub mod content;
mod embedded;
pub mod files;

pub use content::FolderStore;
pub use embedded::{
    BackupError, Copied, EmbeddedJournal, Figures, Formats, OpenError, Options, Progress, Verified, restore, restore_on,
};

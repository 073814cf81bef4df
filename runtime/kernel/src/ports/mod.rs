//! Floor 2: what the kernel needs and never implements.
//!
//! Each port is a trait; the composition root in `runtime/node` hands the implementations in.

pub mod archive;
pub mod clock;
pub mod content;
pub mod cursors;
pub mod effects;
pub mod identity;
pub mod journal;
pub mod policy;

pub use archive::{Archive, Archived};
pub use clock::{Clock, Ids};
pub use content::{ContentError, ContentStore, Digest};
pub use cursors::Cursors;
pub use effects::{Concurrency, EffectCall, Effects, Outcome};
pub use identity::{Authenticator, Credential, Identity};
pub use journal::{
    Append, AppendOutcome, Cursor, Epoch, Event, Feed, Followed, Health, Journal, JournalError, Position, Reclaim,
    Reclaimed, Recorded, Retire, Snapshot, Wake,
};
pub use policy::{Approvals, Approved, Decision, NoApprovals, Policy, Request};

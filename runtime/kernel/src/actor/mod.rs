//! Floor 4: mailboxes, fairness, supervision, dead letters.
//!
//! ractor is used for life and death, and not for the queue. A [`Slot`] is one address with its mailbox,
//! bounded in messages and bytes, which outlives each incarnation of its actor. An incarnation lives
//! within one message of ractor's and waits for the slot's bell, which rings when the mailbox is no longer
//! empty. So a crash loses nothing, an entity may sleep at any time, and a sender that finds no room waits
//! or is told.
//!
//! - The [`Directory`] finds the slot of an address and wakes it; a [`Handle`] has found it already.
//! - The [`Tree`] holds the supervisors: node, planes, platforms; below a platform its services and
//!   its shards, and below a shard the entities that are awake.
//! - A [`Behaviour`] is what runs at an address; the floor above makes one for each incarnation.
//! - The watchdog, a thread of its own, kills handlers that are over their deadline.
//!
//! What it never does: it never reads a payload, never looks at the journal, and never lets two
//! incarnations of one address live at once. Only this floor names `ractor`.

mod batch;
mod behaviour;
mod chain;
mod config;
mod dead;
mod directory;
mod done;
mod drain;
mod fate;
mod floor;
mod grant;
mod handle;
mod host;
mod inbox;
mod item;
mod life;
mod link;
mod load;
mod mailbox;
mod open;
mod plan;
mod refuse;
mod restart;
mod ring;
mod seats;
mod service;
mod shard;
mod slot;
mod supervisor;
mod sweep;
mod tree;
mod turn;
mod unknown;
mod verdict;
mod wake;
mod watchdog;

pub use behaviour::{Behaviour, Crash, SlotHandle, Spawner};
pub use config::ActorConfig;
pub use dead::{DeadLetter, DeadLetterSink, DeadReason};
pub use directory::{Counts, Directory};
pub use drain::DrainReport;
pub use handle::Handle;
pub use item::{Answer, Answered, Item, Lane, ReplySlot};
pub use load::Load;
pub use plan::{Restart, Strategy};
pub use refuse::{NotTaken, Undelivered};
pub use restart::{Backoff, Cause, Chance, Intensity, RestartPolicy};
pub use service::ServiceSpec;
pub use slot::{KeepAwake, Slot};
pub use tree::{Tree, TreeError};
pub(crate) use unknown::Unknown;

pub use crate::fair::Bounds;

//! The kernel: envelopes, mailboxes, supervision, entities, and the path of every message.
//!
//! Read as a house, floor by floor; each room uses only rooms below it:
//!
//! | floor | room | what lives there |
//! | --- | --- | --- |
//! | 6 | [`follow`] | cursors, projections (read models), reactors (events into commands) |
//! | 5 | [`path`] | the eight steps, one file each, and the awake aggregate |
//! | 4 | [`actor`] | mailboxes, fairness, supervision, dead letters |
//! | 3 | [`entity`] [`work`] [`tenant`] [`telemetry`] | deciders; effects and timers; quota; meters |
//! | 2 | [`ports`] | journal, clock, policy, content store: needed here, implemented elsewhere |
//! | 1 | [`envelope`] [`fair`] [`failpoint`] | ids, addresses, tenant scope, the envelope, its wire forms; the queue in turn |
//!
//! INVARIANT: nothing in this crate opens a file, a socket or a listener, or reads configuration.

pub mod actor;
pub mod entity;
pub mod envelope;
pub mod failpoint;
pub mod fair;
pub mod follow;
pub mod path;
pub mod ports;
pub mod task;
pub mod telemetry;
pub mod tenant;
pub mod work;

/// A boxed future, as ports return it so that they can be used as trait objects.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

//! Where the supervisors of the shards are, and who waits for them.

use std::sync::Arc;

use ractor::ActorRef;

use super::{Slot, shard::Wake};

/// Where the supervisor of one platform and shard is, and who waits for it.
#[derive(Default)]
pub(super) struct Seat {
    pub(super) bell: Option<ActorRef<Wake>>,
    pub(super) pending: Vec<Arc<Slot>>,
    pub(super) asked: bool,
}

//! One line of the actor tree, as an observer sees it.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::envelope::TenantId;

/// What an actor is in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    /// The root.
    Node,
    /// One of the five planes.
    Plane,
    /// One of the twelve platforms.
    Platform,
    /// Parent of the awake entities of one platform and shard.
    Shard,
    /// A reactor, a projection, a pool of effect workers.
    Service,
    /// A durable virtual actor that is awake.
    Entity,
}

/// In which state an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorState {
    /// Not in memory; its next message wakes it.
    Asleep,
    /// Being started, or waiting for its restart.
    Waking,
    /// Takes messages.
    Live,
    /// Writing its snapshot before it sleeps.
    Parking,
    /// Was killed and does not end; refuses until it does.
    Wedged,
    /// Failed too often or cannot be decoded; refuses until it is released.
    Quarantined,
    /// Gone from the directory.
    Retired,
    /// Ended and will not be started again.
    Ended,
}

impl ActorState {
    /// The state's name as the tree shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Waking => "waking",
            Self::Live => "live",
            Self::Parking => "parking",
            Self::Wedged => "wedged",
            Self::Quarantined => "quarantined",
            Self::Retired => "retired",
            Self::Ended => "ended",
        }
    }
}

/// One actor of the tree.
///
/// **Units**: `depth` in messages that were accepted and not yet handled, `bytes` what they are
/// charged for; percentiles as [`super::Histogram`] tells them.
#[derive(Debug, Clone)]
pub struct ActorInfo {
    /// The entity's address, or the path of a supervisor or service, such as `control/control-plane`.
    pub name: String,
    /// What it is.
    pub kind: ActorKind,
    /// The name of its supervisor; none for the root.
    pub parent: Option<String>,
    /// Whose it is, when it belongs to one tenant.
    pub tenant: Option<TenantId>,
    /// In which state it is.
    pub state: ActorState,
    /// How often its address was started, the first start included.
    pub incarnation: u64,
    /// How often it was started again after a failure.
    pub restarts: u32,
    /// Messages that wait or are in hand.
    pub depth: usize,
    /// Bytes that they are charged for.
    pub bytes: usize,
    /// Age of the oldest message that waits.
    pub oldest_age: Option<Duration>,
    /// Messages handled.
    pub handled: u64,
    /// Messages whose handler failed.
    pub failed: u64,
    /// Half of the messages were handled within this.
    pub handle_p50: Duration,
    /// 99 of 100 were handled within this.
    pub handle_p99: Duration,
    /// Why it last failed.
    pub last_error: Option<Arc<str>>,
}

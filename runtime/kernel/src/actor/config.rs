//! What can be set on this floor: meaning, unit, default.

use std::time::Duration;

use super::restart::{Backoff, Intensity, RestartPolicy};
use crate::fair::Bounds;

/// Every bound and every span of time of the actor floor.
#[derive(Debug, Clone)]
pub struct ActorConfig {
    /// Of one mailbox, all work lanes together. Default 1,024 messages and 8 MiB, and never less
    /// than one message of the largest size that the edge takes.
    pub mailbox: Bounds,
    /// Of one tenant's lane in a mailbox. Default: the mailbox's own, for entities have one tenant.
    pub lane: Bounds,
    /// Of the control lane. Default 64 messages and 8 MiB.
    pub control: Bounds,
    /// Senders that may wait for room at one mailbox. Default 4,096.
    pub waiters: usize,
    /// Bytes queued in all mailboxes of the node. Default 256 MiB.
    pub queued_bytes: usize,
    /// Messages of one batch. Default 64.
    pub batch_items: usize,
    /// How long one batch may take before others get a turn. Default 1 ms.
    pub batch_time: Duration,
    /// How long one message may be handled, unless the kind says otherwise. Default 30 s.
    pub handle_deadline: Duration,
    /// How long loading an entity may take. Default 60 s.
    pub start_deadline: Duration,
    /// Entities that load at once, so that a start after a crash is no storm. Default 64.
    pub starts: usize,
    /// How long a killed handler has to end before its address is wedged. Default 1 s.
    pub wedge_after: Duration,
    /// How often the watchdog looks. Default 100 ms.
    pub watch_every: Duration,
    /// How long the runtime may be without a sign of life before the process is aborted, which the
    /// journal makes safe. Default: never.
    pub abort_after: Option<Duration>,
    /// How long an entity stays awake without a message. Default 60 s.
    pub idle_after: Duration,
    /// Memory of awake entities, [`ActorConfig::live_bytes`] each beside their own size. Default
    /// 256 MiB. Over it idle ones are put to sleep, 20 % over it no other is woken.
    pub memory_bytes: usize,
    /// What an awake entity costs beside its state. Default 7 KiB (measured).
    pub live_bytes: usize,
    /// How often an entity may fail before it is quarantined, and the delay of its restarts.
    /// Default 3 in 60 s; at once, then from 100 ms to 60 s.
    pub entity_restart: RestartPolicy,
    /// Seed of the jitter.
    pub seed: u64,
}

const MIB: usize = 1024 * 1024;

impl Default for ActorConfig {
    fn default() -> Self {
        let mailbox = Bounds { items: 1024, bytes: 8 * MIB };
        Self {
            mailbox,
            lane: mailbox,
            control: Bounds { items: 64, bytes: 8 * MIB },
            waiters: 4096,
            queued_bytes: 256 * MIB,
            batch_items: 64,
            batch_time: Duration::from_millis(1),
            handle_deadline: Duration::from_secs(30),
            start_deadline: Duration::from_secs(60),
            starts: 64,
            wedge_after: Duration::from_secs(1),
            watch_every: Duration::from_millis(100),
            abort_after: None,
            idle_after: Duration::from_secs(60),
            memory_bytes: 256 * MIB,
            live_bytes: 7 * 1024,
            entity_restart: RestartPolicy {
                intensity: Intensity { most: 3, within: Duration::from_secs(60) },
                backoff: Backoff::default(),
            },
            seed: 0x6d65_7368,
        }
    }
}

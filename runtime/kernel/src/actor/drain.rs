//! Stopping without losing anything.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::Instant;

use super::{Cause, Counts, DeadReason, Directory};
use crate::{envelope::Address, telemetry::ActorState};

/// How long killed entities have to end before they are left behind.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// How a drain went.
#[derive(Debug, Clone)]
pub struct DrainReport {
    /// What became of all messages.
    pub counts: Counts,
    /// Messages that were put among the dead letters because the deadline passed.
    pub dead: usize,
    /// Entities that had to be killed.
    pub killed: usize,
    /// Entities that did not end even then; the process ends without them.
    pub wedged: Vec<Address>,
}

impl Directory {
    /// Takes nothing new, lets what was accepted be handled until `deadline`, and puts every entity
    /// to sleep. What is left then goes to the dead letters, and whoever still runs is killed.
    pub async fn drain(&self, deadline: Duration) -> DrainReport {
        let until = Instant::now() + deadline;
        self.floor.closing.store(true, Ordering::Relaxed);
        while Instant::now() < until && !self.put_all_to_sleep() {
            self.wait_for_move(until).await;
        }
        let dead = self.bury_the_rest();
        let killed = self.kill_the_rest();
        let grace = Instant::now() + LAST_GRACE;
        while killed > 0 && Instant::now() < grace && !self.all_ended() {
            self.wait_for_move(grace).await;
        }
        // Whoever died holding messages put them back: they are dead letters too.
        let dead = dead + self.bury_the_rest();
        let mut wedged = self.slots();
        wedged.retain(|slot| slot.size() > 0);
        let report = DrainReport {
            wedged: wedged.iter().map(|slot| slot.address().clone()).collect(),
            counts: self.counts(),
            dead,
            killed,
        };
        tracing::info!(?report, "entities are drained");
        report
    }

    async fn wait_for_move(&self, until: Instant) {
        // A notice may be missed between looking and waiting: then a short sleep looks again.
        let soon = Instant::now() + Duration::from_millis(20);
        let _ = tokio::time::timeout_at(until.min(soon), self.floor.moved.notified()).await;
    }

    /// True when nobody is awake and nothing waits.
    fn put_all_to_sleep(&self) -> bool {
        let mut quiet = true;
        for slot in self.slots() {
            match slot.state() {
                ActorState::Quarantined | ActorState::Retired => {}
                ActorState::Asleep => self.forget(&slot),
                _ => {
                    quiet = false;
                    slot.ask_to_park(true);
                }
            }
        }
        quiet
    }

    fn all_ended(&self) -> bool {
        self.slots().iter().all(|slot| slot.size() == 0)
    }

    fn bury_the_rest(&self) -> usize {
        let mut dead = 0;
        for slot in self.slots() {
            let items = {
                let mut inner = slot.lock();
                slot.tell_accepted(&mut inner);
                inner.mailbox.empty()
            };
            dead += items.len();
            slot.bury_all(items, &DeadReason::ShutDown, None);
        }
        dead
    }

    fn kill_the_rest(&self) -> usize {
        let slots = self.slots();
        let awake: Vec<_> = slots.iter().filter(|slot| slot.size() > 0).collect();
        for slot in &awake {
            slot.kill(Cause::Killed);
        }
        awake.len()
    }
}

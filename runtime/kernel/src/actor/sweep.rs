//! The sweep: puts idle entities to sleep, and more of them when memory is short.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{Directory, Slot};
use crate::{task, telemetry::ActorState};

/// Between two sweeps for memory, so that one that frees nothing does not spin.
const SHORTEST: Duration = Duration::from_millis(10);

/// Between two sweeps of all that is awake, at most.
const LONGEST: Duration = Duration::from_millis(250);

/// An entity of which nothing more is expected sleeps after this long, when others may stay longer: who
/// heard of its end looks at it now.
const DONE_AFTER: Duration = Duration::from_millis(50);

/// Starts the sweep. It ends with the directory.
pub(super) fn start(directory: &Arc<Directory>) {
    let (weak, floor) = (directory.weak(), directory.floor.clone());
    let every = (floor.config.idle_after / 4).clamp(SHORTEST, LONGEST);
    task::spawn("actor sweep", async move {
        let mut swept = floor.now();
        loop {
            let wait = if floor.done.is_empty() { every } else { every.min(DONE_AFTER / 2) };
            let tight = tokio::time::timeout(wait, floor.tight.notified()).await.is_ok();
            let Some(directory) = weak.upgrade() else {
                return;
            };
            if tight {
                let began = floor.now();
                directory.make_room();
                drop(directory);
                // When nobody may sleep, looking for room must not become the main work.
                let took = floor.now().saturating_sub(began);
                tokio::time::sleep(SHORTEST.max(took * 10)).await;
                continue;
            }
            directory.sweep_done();
            if floor.now().saturating_sub(swept) >= every {
                directory.sweep();
                swept = floor.now();
            }
        }
    });
}

impl Directory {
    /// Asks every entity that was idle for long enough to sleep; it refuses when it may not.
    pub fn sweep(&self) {
        let (now, idle_after) = (self.floor.now(), self.floor.config.idle_after);
        for slot in self.slots() {
            let idle_after = if slot.is_done() { idle_after.min(DONE_AFTER) } else { idle_after };
            if now.saturating_sub(slot.meter.last_at()) >= idle_after {
                self.put_to_sleep(&slot);
            }
        }
    }

    /// Asks those to sleep that are done, and forgets them once they do.
    ///
    /// **Cost**: looks at who is done, and not at all that is awake.
    fn sweep_done(&self) {
        let now = self.floor.now();
        let idle_after = DONE_AFTER.min(self.floor.config.idle_after);
        for address in self.floor.done.take(now.saturating_sub(idle_after)) {
            let Some(slot) = self.slot(&address).filter(|slot| slot.is_done()) else { continue };
            let state = slot.state();
            if state == ActorState::Asleep || now.saturating_sub(slot.meter.last_at()) >= idle_after {
                self.put_to_sleep(&slot);
            }
            if matches!(state, ActorState::Live | ActorState::Parking) {
                self.floor.done.push(address, now);
            }
        }
    }

    fn put_to_sleep(&self, slot: &Arc<Slot>) {
        match slot.state() {
            ActorState::Live => {
                slot.ask_to_park(false);
            }
            ActorState::Asleep => self.forget(slot),
            _ => {}
        }
    }

    /// Asks the entities that were idle longest to sleep, until memory is within its bound.
    ///
    /// **Cost**: one sort of all awake entities.
    fn make_room(&self) {
        let bound = self.floor.config.memory_bytes;
        let live = self.floor.live_bytes.load(Ordering::Relaxed);
        let mut over = live.saturating_sub(bound);
        if over == 0 {
            return;
        }
        let mut slots = self.slots();
        slots.sort_by_cached_key(|slot| slot.meter.last_at());
        for slot in slots {
            if over == 0 {
                return;
            }
            if slot.ask_to_park(false) {
                over = over.saturating_sub(slot.size());
            }
        }
    }
}

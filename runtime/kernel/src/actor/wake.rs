//! How an address wakes, and what becomes of it when its incarnation has ended.
//!
//! A wake is a message to the supervisor of the address's shard, which is made when it is first
//! needed; who is to be woken meanwhile waits at the seat and is taken over when it is up.

use std::{sync::Arc, time::Duration};

use ractor::ActorRef;

use super::{
    DeadReason, Directory, Slot, Spawner,
    life::Next,
    shard::{Keeper, ShardStart, Wake},
};
use crate::task;

impl Directory {
    /// Has the next incarnation started, after this delay.
    pub(super) fn wake_after(&self, slot: &Arc<Slot>, after: Duration) {
        if after.is_zero() {
            self.wake_now(slot);
            return;
        }
        if tokio::runtime::Handle::try_current().is_err() {
            // The runtime is gone, and everything with it.
            return;
        }
        let (slot, directory) = (slot.clone(), self.weak());
        task::spawn("entity backoff", async move {
            tokio::time::sleep(after).await;
            if let Some(directory) = directory.upgrade() {
                directory.wake_now(&slot);
            }
        });
    }

    fn wake_now(&self, slot: &Arc<Slot>) {
        let Some(platform) = self.tree.platform(slot.address().platform()) else {
            return;
        };
        let key = (platform, slot.address().shard().number());
        let mut seats = self.seats.lock();
        let seat = seats.entry(key).or_default();
        if let Some(bell) = &seat.bell {
            if bell.send_message(Wake(slot.clone())).is_ok() {
                return;
            }
            // Its supervisor died; its platform starts it again, and it takes over who waits.
            seat.bell = None;
        }
        seat.pending.push(slot.clone());
        let first = !std::mem::replace(&mut seat.asked, true);
        drop(seats);
        if first {
            let (platform, shard) = key;
            let start = ShardStart { keeper: self.weak(), platform, shard };
            self.tree.add_shard(platform, shard, Arc::new(start));
        }
    }

    /// Forgets a sleeping slot whose past no longer counts.
    pub(super) fn forget(&self, slot: &Arc<Slot>) {
        if let Some(map) = self.map(slot.address()) {
            let mut map = map.lock();
            if slot.retire_if_idle(self.floor.now()) {
                map.remove(slot.address());
            }
        }
    }
}

impl Keeper for Directory {
    /// It takes over who waits, and who its predecessor left waiting.
    fn shard_up(&self, platform: usize, shard: u8, bell: &ActorRef<Wake>) {
        let mut seats = self.seats.lock();
        let seat = seats.entry((platform, shard)).or_default();
        seat.bell = Some(bell.clone());
        seat.asked = true;
        let mut waiting = std::mem::take(&mut seat.pending);
        drop(seats);
        let of_platform = |slot: &Arc<Slot>| self.tree.platform(slot.address().platform()) == Some(platform);
        waiting.extend(self.slots_of(shard.into()).into_iter().filter(of_platform).filter(|slot| slot.is_due()));
        for slot in waiting {
            // It cannot be dead: it is just starting.
            let _ = bell.send_message(Wake(slot));
        }
    }

    fn after_end(&self, slot: &Arc<Slot>) {
        let (next, dead, cause) = match self.map(slot.address()) {
            // Under the map's lock: nobody may find a slot that is being retired.
            Some(map) => {
                let mut map = map.lock();
                let ended = slot.ended();
                if ended.0 == Next::Retire {
                    map.remove(slot.address());
                }
                ended
            }
            None => return,
        };
        slot.bury_all(dead, &DeadReason::Quarantined, cause.as_ref());
        if let Next::Wake(after) = next {
            self.wake_after(slot, after);
        }
        self.floor.moved.notify_waiters();
    }

    fn spawner(&self) -> Arc<dyn Spawner> {
        self.spawner.clone()
    }
}

//! The directory: from an address to its slot, waking it when it sleeps.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Item, Lane, NotTaken, Slot, Spawner, Tree, Undelivered, chain,
    floor::Floor,
    mailbox::Ticket,
    ring::Ring,
    seats::Seat,
    slot::{NotPushed, Pushed, Wanted},
};
use crate::{
    envelope::{Address, Shard, TenantId},
    telemetry::{ActorInfo, Meters, Signals},
};

pub(super) type Map = Mutex<HashMap<Address, Arc<Slot>, BuildHasherDefault<Spread>>>;

/// An address carries its hash; what all addresses of one shard have in common is taken out of it.
#[derive(Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = (hash / u64::from(Shard::COUNT)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// Not how an address hashes; kept correct for any other key.
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte)));
    }
}

/// All addresses that are awake or have messages.
///
/// 64 maps, one for each shard of addresses, each under its own lock. A slot that sleeps with an
/// empty mailbox is in none of them and costs nothing.
pub struct Directory {
    pub(super) floor: Arc<Floor>,
    pub(super) maps: Vec<Map>,
    pub(super) seats: Mutex<HashMap<(usize, u8), Seat>>,
    pub(super) spawner: Arc<dyn Spawner>,
    pub(super) tree: Arc<Tree>,
    pub(super) myself: Weak<Directory>,
    /// Monotonic nanoseconds of the runtime's last sign of life.
    pub(super) beat: AtomicU64,
}

impl Directory {
    /// Gives a message to its address without waiting: for handlers and timers.
    ///
    /// # Errors
    /// [`Undelivered`]: the message comes back whole, with a refusal that says when to try again.
    pub fn try_deliver(&self, item: Item, lane: Lane) -> Result<(), Box<Undelivered>> {
        match self.slot_for(&item.envelope.headers.subject) {
            Ok(mut slot) => self.try_push(&mut slot, item, lane),
            Err(why) => Err(why.with(item)),
        }
    }

    /// Gives a message to its address, waiting for room until the instant given.
    ///
    /// **Cancel safety**: when the future is dropped the message was not taken, or it was and will
    /// be handled.
    ///
    /// # Errors
    /// [`Undelivered`] as in [`Directory::try_deliver`], `RESOURCE_EXHAUSTED` when there was no room.
    pub async fn deliver(&self, item: Item, lane: Lane, until: Instant) -> Result<(), Box<Undelivered>> {
        match self.slot_for(&item.envelope.headers.subject) {
            Ok(mut slot) => self.push(&mut slot, item, lane, until).await,
            Err(why) => Err(why.with(item)),
        }
    }

    pub(super) fn try_push(&self, slot: &mut Arc<Slot>, mut item: Item, lane: Lane) -> Result<(), Box<Undelivered>> {
        if let Err(why) = chain::follow(&mut item) {
            return Err(why.with(item));
        }
        match self.offer(slot, item, lane) {
            Ok(_) => Ok(()),
            Err(Offer::Full(item) | Offer::Retired(item)) => Err(slot.is_full(item.charge).with(item)),
            Err(Offer::Refused(item, why)) => Err(why.with(item)),
        }
    }

    pub(super) async fn push(
        &self,
        slot: &mut Arc<Slot>,
        mut item: Item,
        lane: Lane,
        until: Instant,
    ) -> Result<(), Box<Undelivered>> {
        if let Err(why) = chain::follow(&mut item) {
            return Err(why.with(item));
        }
        let asks = item.reply.is_some();
        let offered = self.offer(slot, item, lane);
        // A sender in a tight loop must let the others of its thread have a turn; one that asks waits for
        // its answer anyway.
        match offered {
            Ok(Taken::Queued) => return Ok(()),
            Ok(Taken::Woke) if asks => return Ok(()),
            _ => tokio::task::consume_budget().await,
        }
        match offered {
            Ok(_) => Ok(()),
            Err(Offer::Refused(item, why)) => Err(why.with(item)),
            Err(Offer::Full(item)) if lane == Lane::Control => Err(slot.is_full(item.charge).with(item)),
            Err(Offer::Full(item) | Offer::Retired(item)) => self.wait_for_room(slot, item, until).await,
        }
    }

    async fn wait_for_room(
        &self,
        slot: &mut Arc<Slot>,
        mut item: Item,
        until: Instant,
    ) -> Result<(), Box<Undelivered>> {
        loop {
            let line = match Line::join(slot.clone(), &item) {
                Ok(line) => line,
                Err(why) => return Err(why.with(item)),
            };
            let pushed = match tokio::time::timeout_at(until, line.called()).await {
                Err(_) => return Err(slot.is_full(item.charge).with(item)),
                Ok(Some(there)) => self.settle(&there, there.push_reserved(item)),
                // Sent away: the slot was quarantined or forgotten. Ask again.
                Ok(None) => self.offer(slot, item, Lane::Work),
            };
            let pushed = match pushed {
                Err(Offer::Retired(item)) => self.offer(slot, item, Lane::Work),
                other => other,
            };
            match pushed {
                Ok(_) => return Ok(()),
                Err(Offer::Refused(item, why)) => return Err(why.with(item)),
                Err(Offer::Full(again) | Offer::Retired(again)) => item = again,
            }
        }
    }

    /// The slot of an address, when it is awake or has messages.
    pub fn slot(&self, address: &Address) -> Option<Arc<Slot>> {
        self.map(address)?.lock().get(address).cloned()
    }

    /// Wants an address awake without a message: it loads when it sleeps, and asks again for what it
    /// still waits for. An address on a platform that this node does not run is left alone.
    pub fn wake(&self, address: &Address) {
        if self.tree.platform(address.platform()).is_none() || self.is_closing() {
            return;
        }
        let Some(map) = self.map(address) else { return };
        loop {
            let slot = {
                let mut map = map.lock();
                let made = || Slot::new(address.clone(), self.floor.clone());
                map.entry(address.clone()).or_insert_with(made).clone()
            };
            match slot.want() {
                Wanted::Retired => {}
                Wanted::Already => return,
                Wanted::Wake(after) => return self.wake_after(&slot, after),
                // One that dies does not hear it: then the next incarnation asks by itself.
                Wanted::Tell => return slot.rings.ring(Ring::AGAIN),
            }
        }
    }

    fn is_closing(&self) -> bool {
        self.floor.closing.load(Ordering::Relaxed)
    }

    /// Lifts the quarantine of an address. False when it is in none.
    pub fn release(&self, address: &Address) -> bool {
        self.slot(address).is_some_and(|slot| slot.release())
    }

    /// Kills the incarnation of an address that is awake; it is started again when messages wait.
    pub fn kill(&self, address: &Address) -> bool {
        let slot = self.slot(address);
        slot.as_ref().inspect(|slot| slot.kill(super::Cause::Killed)).is_some()
    }

    /// Kills every incarnation of a tenant: the next one believes what the journal says by then.
    pub fn kill_all(&self, tenant: &TenantId) {
        for slot in self.slots().iter().filter(|slot| slot.address().tenant() == tenant) {
            slot.kill(super::Cause::Killed);
        }
    }

    /// Every actor there is, supervisors first, each after its parent.
    ///
    /// **Cost**: one short lock per awake entity; computed when asked for.
    pub fn tree(&self) -> Vec<ActorInfo> {
        let mut lines = self.tree.lines();
        for slot in self.slots() {
            let parent = self.tree.shard_name(slot.address());
            lines.push(slot.info(parent));
        }
        lines
    }

    /// The sums per kind and tenant.
    pub fn meters(&self) -> &Meters {
        &self.floor.meters
    }

    /// The live signals.
    pub fn signals(&self) -> &Arc<Signals> {
        &self.floor.signals
    }

    /// What became of all messages so far.
    ///
    /// **Cost**: one short lock per awake entity.
    pub fn counts(&self) -> Counts {
        for slot in self.slots() {
            slot.tell_accepted(&mut slot.lock());
        }
        let totals = &self.floor.totals;
        let handled = totals.handled.load(Ordering::Relaxed);
        let expired = totals.expired.load(Ordering::Relaxed);
        let dead = totals.dead.load(Ordering::Relaxed);
        Counts {
            // Last: a message is told as accepted before it is told as anything else.
            accepted: totals.accepted.load(Ordering::Relaxed),
            handled,
            expired,
            dead,
            queued_bytes: self.floor.queued_bytes.load(Ordering::Relaxed),
            live_bytes: self.floor.live_bytes.load(Ordering::Relaxed),
        }
    }

    /// How long the runtime gave no sign of life: more than two seconds means that it is stuck.
    pub fn unresponsive_for(&self) -> Duration {
        let beat = Duration::from_nanos(self.beat.load(Ordering::Relaxed));
        self.floor.now().saturating_sub(beat)
    }

    pub(super) fn weak(&self) -> Weak<Directory> {
        self.myself.clone()
    }

    /// All slots, as of now.
    pub(super) fn slots(&self) -> Vec<Arc<Slot>> {
        self.maps.iter().flat_map(|map| map.lock().values().cloned().collect::<Vec<_>>()).collect()
    }

    /// The slots of one shard of addresses.
    pub(super) fn slots_of(&self, shard: usize) -> Vec<Arc<Slot>> {
        self.maps.get(shard).map(|map| map.lock().values().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn map(&self, address: &Address) -> Option<&Map> {
        self.maps.get(usize::from(address.shard().number()))
    }

    pub(super) fn slot_for(&self, address: &Address) -> Result<Arc<Slot>, NotTaken> {
        let found = self.map(address).and_then(|map| {
            let mut map = map.lock();
            // Nothing that is in the map lies on an unknown platform: only a new slot is asked for it.
            if let Some(slot) = map.get(address) {
                return Some(slot.clone());
            }
            self.tree.platform(address.platform())?;
            let slot = Slot::new(address.clone(), self.floor.clone());
            map.insert(address.clone(), slot.clone());
            Some(slot)
        });
        let unknown = || NotTaken::NoPlatform { address: address.to_string(), platform: address.platform().to_owned() };
        found.ok_or_else(unknown)
    }

    /// Pushes, and looks the address up again when the slot is one of the past.
    fn offer(&self, slot: &mut Arc<Slot>, mut item: Item, lane: Lane) -> Result<Taken, Offer> {
        loop {
            let pushed = slot.push(item, lane);
            match self.settle(slot, pushed) {
                Err(Offer::Retired(again)) => item = again,
                other => return other,
            }
            match self.slot_for(&item.envelope.headers.subject) {
                Ok(next) => *slot = next,
                Err(why) => return Err(Offer::Refused(item, Box::new(why))),
            }
        }
    }

    /// Rings or wakes after a push.
    fn settle(&self, slot: &Arc<Slot>, pushed: Result<Pushed, NotPushed>) -> Result<Taken, Offer> {
        match pushed {
            Ok(Pushed::Queued) => Ok(Taken::Queued),
            Ok(Pushed::Turn) => Ok(Taken::Turn),
            Ok(Pushed::Ring) => {
                // One that dies does not hear it: then the next incarnation begins by itself.
                slot.rings.ring(Ring::BELL);
                Ok(Taken::Woke)
            }
            Ok(Pushed::Wake(after)) => {
                self.wake_after(slot, after);
                Ok(Taken::Woke)
            }
            Err(NotPushed::Full(item)) => Err(Offer::Full(item)),
            Err(NotPushed::Retired(item)) => Err(Offer::Retired(item)),
            Err(NotPushed::Refused(item, why)) => Err(Offer::Refused(item, why)),
        }
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// What became of all messages of a directory, counted once each.
///
/// INVARIANT: when nothing is queued, `accepted` is the sum of the other three.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken into a mailbox.
    pub accepted: u64,
    /// Handled to the end.
    pub handled: u64,
    /// Answered `DEADLINE_EXCEEDED` without being run.
    pub expired: u64,
    /// Put among the dead letters.
    pub dead: u64,
    /// Bytes in all mailboxes.
    pub queued_bytes: usize,
    /// Memory of awake entities.
    pub live_bytes: usize,
}

/// What taking a message led to.
#[derive(Debug, Clone, Copy)]
enum Taken {
    /// Whoever drains the mailbox will see it.
    Queued,
    /// The same, and others shall have a turn.
    Turn,
    /// Someone was rung, or woken.
    Woke,
}

/// Why an offer was not taken.
enum Offer {
    Full(Item),
    Refused(Item, Box<NotTaken>),
    /// The slot is one of the past.
    Retired(Item),
}

/// A place in the line for room, which is left when it is dropped.
struct Line {
    slot: Arc<Slot>,
    ticket: Option<Ticket>,
}

impl Line {
    fn join(slot: Arc<Slot>, item: &Item) -> Result<Self, NotTaken> {
        let ticket = slot.queue_up(item)?;
        Ok(Self { slot, ticket: Some(ticket) })
    }

    /// Waits to be called up. The slot when room is promised; none when sent away.
    async fn called(mut self) -> Option<Arc<Slot>> {
        let called = match &mut self.ticket {
            Some(ticket) => (&mut ticket.granted).await.is_ok(),
            None => false,
        };
        // From here to the push there is no await, so the promise cannot be lost.
        self.ticket = None;
        called.then(|| self.slot.clone())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.slot.leave(ticket);
        }
    }
}

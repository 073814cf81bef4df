//! The mailbox: ours, bounded in messages and bytes, control before work, a lane for each tenant.
//!
//! It belongs to the address and outlives each incarnation. Everything here happens under the
//! slot's lock and waits for nothing; who waits for room waits outside, on a ticket.

use std::{collections::VecDeque, time::Duration};

use tokio::sync::oneshot;

use super::{ActorConfig, Item, Lane};
use crate::{
    envelope::TenantId,
    fair::{Bounds, FairQueue},
};

/// After so many batches of control alone, one work message is served.
const CONTROL_STREAK_MAX: u8 = 4;

/// Why a mailbox has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The bound in messages or bytes is reached.
    Now,
    /// The message alone is larger than the bound: waiting would not help.
    TooLarge,
    /// Too many wait for room already.
    Waiters,
}

/// Messages and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

impl Room {
    #[inline]
    pub(super) fn add(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes += bytes;
    }

    #[inline]
    pub(super) fn remove(&mut self, bytes: usize) {
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    #[inline]
    fn fits(self, bytes: usize, bounds: Bounds) -> bool {
        self.items < bounds.items && self.bytes + bytes <= bounds.bytes
    }
}

/// Messages that were taken out together. The first has a place of its own: one that comes alone, as an
/// ask does, costs no allocation.
#[derive(Debug, Default)]
pub(super) struct Hand {
    first: Option<Item>,
    rest: VecDeque<Item>,
}

impl Hand {
    fn add(&mut self, item: Item) {
        match self.first {
            None if self.rest.is_empty() => self.first = Some(item),
            _ => self.rest.push_back(item),
        }
    }

    /// The next one, which stays in the hand.
    #[inline]
    pub(super) fn front(&self) -> Option<&Item> {
        self.first.as_ref().or_else(|| self.rest.front())
    }

    /// The next one, which stays in the hand.
    #[inline]
    pub(super) fn front_mut(&mut self) -> Option<&mut Item> {
        self.first.as_mut().or_else(|| self.rest.front_mut())
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Item> {
        self.first.take().or_else(|| self.rest.pop_front())
    }

    pub(super) fn pop_back(&mut self) -> Option<Item> {
        self.rest.pop_back().or_else(|| self.first.take())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }
}

/// Someone who waits for room, in the order of their coming.
#[derive(Debug)]
struct Waiter {
    ticket: u64,
    tenant: TenantId,
    bytes: usize,
    granted: oneshot::Sender<()>,
}

/// A place in the line for room.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) bytes: usize,
    pub(super) granted: oneshot::Receiver<()>,
}

/// The messages of one address that were accepted and are not yet handled.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    control: VecDeque<Item>,
    control_bytes: usize,
    work: FairQueue<Item>,
    /// When the oldest message of the batch came that is being handled.
    batch_since: Option<Duration>,
    /// Work in a batch that is being handled: it keeps its room until it is done.
    held: Room,
    /// Room promised to waiters that were called up.
    reserved: Room,
    waiters: VecDeque<Waiter>,
    next_ticket: u64,
    control_streak: u8,
}

impl Mailbox {
    /// Messages and bytes that are accepted and not yet handled.
    pub(super) fn load(&self) -> Room {
        Room {
            items: self.control.len() + self.work.len() + self.held.items,
            bytes: self.control_bytes + self.work.bytes() + self.held.bytes,
        }
    }

    /// Whether nothing waits in it.
    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.work.is_empty()
    }

    /// Whether someone waits for room or was promised some.
    #[inline]
    pub(super) fn is_awaited(&self) -> bool {
        !self.waiters.is_empty() || self.reserved.items > 0
    }

    /// When the oldest message came that waits or is in a batch.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let waiting = self.control.front().into_iter().chain(self.work.heads());
        waiting.map(|item| item.enqueued_at).chain(self.batch_since).min()
    }

    /// Takes a message in, or gives it back with the reason.
    #[inline]
    pub(super) fn push(&mut self, mut item: Item, lane: Lane, config: &ActorConfig) -> Result<(), (Item, Full)> {
        item.lane = lane;
        match lane {
            Lane::Control => self.push_control(item, config),
            Lane::Work => self.push_if_room(item, config),
        }
    }

    fn push_control(&mut self, item: Item, config: &ActorConfig) -> Result<(), (Item, Full)> {
        let room = Room { items: self.control.len(), bytes: self.control_bytes };
        if item.charge > config.control.bytes {
            return Err((item, Full::TooLarge));
        }
        if !room.fits(item.charge, config.control) {
            return Err((item, Full::Now));
        }
        self.control_bytes += item.charge;
        self.control.push_back(item);
        Ok(())
    }

    fn push_if_room(&mut self, item: Item, config: &ActorConfig) -> Result<(), (Item, Full)> {
        if item.charge > config.mailbox.bytes.min(config.lane.bytes) {
            return Err((item, Full::TooLarge));
        }
        // Nobody overtakes those of the same tenant who wait already.
        let waiters = &self.waiters;
        if !waiters.is_empty() && waiters.iter().any(|waiter| waiter.tenant == item.envelope.tenant_id) {
            return Err((item, Full::Now));
        }
        let (charge, all, reserved) = (item.charge, self.work_load(), self.reserved);
        let fits = |items: usize, bytes: usize| {
            // All promised room is counted against this lane: too careful rather than over the bound.
            let lane = Room { items: items + reserved.items, bytes: bytes + reserved.bytes };
            lane.fits(charge, config.lane) && all.fits(charge, config.mailbox)
        };
        let pushed = self.work.push_if(item, charge, |item| &item.envelope.tenant_id, fits);
        pushed.map_err(|item| (item, Full::Now))
    }

    /// Work that waits, is in a batch, or has room promised.
    #[inline]
    fn work_load(&self) -> Room {
        Room {
            items: self.work.len() + self.held.items + self.reserved.items,
            bytes: self.work.bytes() + self.held.bytes + self.reserved.bytes,
        }
    }

    fn fits(&self, tenant: &TenantId, bytes: usize, config: &ActorConfig) -> bool {
        let (items, lane_bytes) = self.work.lane(tenant);
        let lane = Room { items: items + self.reserved.items, bytes: lane_bytes + self.reserved.bytes };
        let all = self.work_load();
        lane.fits(bytes, config.lane) && all.fits(bytes, config.mailbox) && self.work.has_lane(tenant)
    }

    fn push_work(&mut self, item: Item) {
        let (lane, charge) = (self.work.open(&item.envelope.tenant_id), item.charge);
        self.work.push_to(lane, item, charge);
    }

    /// What the inbox had a grant for.
    pub(super) fn push_granted(&mut self, tenant: &TenantId, items: &mut Vec<Item>) {
        if items.is_empty() {
            return;
        }
        let lane = self.work.open(tenant);
        for item in items.drain(..) {
            let charge = item.charge;
            self.work.push_to(lane, item, charge);
        }
    }

    /// Room for more of this tenant, when nobody waits for it.
    pub(super) fn free_room(&self, tenant: &TenantId, config: &ActorConfig) -> Option<Room> {
        let (items, bytes) = self.work.lane(tenant);
        let (all, reserved) = (self.work_load(), self.reserved);
        let free = |bounds: Bounds, items: usize, bytes: usize| Room {
            items: bounds.items.saturating_sub(items),
            bytes: bounds.bytes.saturating_sub(bytes),
        };
        let (here, there) = (
            free(config.mailbox, all.items, all.bytes),
            free(config.lane, items + reserved.items, bytes + reserved.bytes),
        );
        let room = Room { items: here.items.min(there.items), bytes: here.bytes.min(there.bytes) };
        (self.waiters.is_empty() && room.items > 0 && self.work.has_lane(tenant)).then_some(room)
    }

    /// Calls those in line up, but not for less room than this, as long as nobody else takes what comes free:
    /// whoever is called up for a single place is back for the next one, which is a wake for each message.
    pub(super) fn call_up_many(&mut self, least: usize, config: &ActorConfig) {
        let room = config.mailbox.items.saturating_sub(self.work_load().items);
        if self.waiters.is_empty() || (room < least && self.is_lone()) {
            return;
        }
        self.call_up(config);
    }

    /// Whether all that waits here, and all that waits in line, is one tenant's.
    fn is_lone(&self) -> bool {
        let lone = self.work.lone();
        lone.is_some_and(|tenant| self.waiters.iter().all(|waiter| waiter.tenant == *tenant))
    }

    /// Stands in line for room.
    pub(super) fn queue_up(&mut self, item: &Item, config: &ActorConfig) -> Result<Ticket, Full> {
        if self.waiters.len() >= config.waiters {
            return Err(Full::Waiters);
        }
        let (granted, called) = oneshot::channel();
        let number = self.next_ticket;
        self.next_ticket += 1;
        self.waiters.push_back(Waiter {
            ticket: number,
            tenant: item.envelope.tenant_id.clone(),
            bytes: item.charge,
            granted,
        });
        // Room may have come free between the refused push and now.
        self.call_up(config);
        Ok(Ticket { number, bytes: item.charge, granted: called })
    }

    /// Uses the promised room.
    pub(super) fn push_reserved(&mut self, item: Item) {
        self.reserved.remove(item.charge);
        self.push_work(item);
    }

    /// Gives promised room back that cannot be used.
    pub(super) fn unreserve(&mut self, bytes: usize, config: &ActorConfig) {
        self.reserved.remove(bytes);
        self.call_up(config);
    }

    /// Leaves the line, and gives the promised room back when it was called up already.
    pub(super) fn leave(&mut self, mut ticket: Ticket, config: &ActorConfig) {
        if ticket.granted.try_recv().is_ok() {
            self.reserved.remove(ticket.bytes);
        } else {
            self.waiters.retain(|waiter| waiter.ticket != ticket.number);
        }
        self.call_up(config);
    }

    /// Promises free room to those who wait, first come first served within a tenant.
    pub(super) fn call_up(&mut self, config: &ActorConfig) {
        let mut place = 0;
        let mut passed: Vec<TenantId> = Vec::new();
        while let Some(waiter) = self.waiters.get(place) {
            let fits = !passed.contains(&waiter.tenant) && self.fits(&waiter.tenant, waiter.bytes, config);
            if !fits {
                passed.push(waiter.tenant.clone());
                if self.held.items + self.work.len() + self.reserved.items >= config.mailbox.items {
                    return;
                }
                place += 1;
                continue;
            }
            if let Some(waiter) = self.waiters.remove(place) {
                // One that has gone gives its room to the next.
                if waiter.granted.send(()).is_ok() {
                    self.reserved.add(waiter.bytes);
                }
            }
        }
    }

    /// Sends everyone in line away, to ask again.
    pub(super) fn disperse(&mut self) {
        self.waiters.clear();
    }

    /// Takes the next batch: control first, then work in turn.
    pub(super) fn take(&mut self, most: usize) -> Hand {
        let (mut hand, mut oldest) = (Hand::default(), None::<Duration>);
        let mut add = |hand: &mut Hand, item: Item| {
            oldest = Some(oldest.map_or(item.enqueued_at, |oldest| oldest.min(item.enqueued_at)));
            hand.add(item);
        };
        let hungry = self.control_streak >= CONTROL_STREAK_MAX && !self.work.is_empty();
        for _ in 0..most {
            let Some(item) = self.control.pop_front() else { break };
            self.control_bytes -= item.charge;
            add(&mut hand, item);
        }
        let room = if hand.is_empty() { most } else { usize::from(hungry) };
        if hand.is_empty() || hungry {
            self.control_streak = 0;
        } else {
            self.control_streak += 1;
        }
        let coming = room.min(self.work.len());
        if coming > 1 {
            hand.rest.reserve(coming);
        }
        let held = &mut self.held;
        self.work.take(room, |item| {
            held.add(item.charge);
            add(&mut hand, item);
        });
        self.batch_since = oldest;
        hand
    }

    /// The batch is over: the room of what was done is free.
    pub(super) fn release(&mut self, done: Room) {
        self.batch_since = None;
        self.held.items = self.held.items.saturating_sub(done.items);
        self.held.bytes = self.held.bytes.saturating_sub(done.bytes);
    }

    /// Puts a message of a batch back to the head of its lane.
    pub(super) fn put_back(&mut self, item: Item) {
        match item.lane {
            Lane::Control => {
                self.control_bytes += item.charge;
                self.control.push_front(item);
            }
            Lane::Work => {
                self.held.remove(item.charge);
                let (tenant, charge) = (item.envelope.tenant_id.clone(), item.charge);
                self.work.push_back_front(&tenant, item, charge);
            }
        }
    }

    /// Takes out all that waits, for the dead letters.
    pub(super) fn empty(&mut self) -> Vec<Item> {
        self.control_bytes = 0;
        let mut items: Vec<_> = self.control.drain(..).collect();
        items.extend(std::iter::from_fn(|| self.work.pop()));
        items
    }
}

#[cfg(test)]
mod tests {
    use super::{super::item::tests::item, *};

    fn config(items: usize, bytes: usize) -> ActorConfig {
        let bounds = Bounds { items, bytes };
        ActorConfig { mailbox: bounds, lane: bounds, waiters: 3, ..ActorConfig::default() }
    }

    fn batch(mailbox: &mut Mailbox, most: usize) -> Vec<String> {
        let (mut hand, mut done, mut names) = (mailbox.take(most), Room::default(), Vec::new());
        while let Some(item) = hand.pop_front() {
            if item.lane == Lane::Work {
                done.add(item.charge);
            }
            names.push(item.envelope.event_type.to_string());
        }
        mailbox.release(done);
        names
    }

    #[test]
    fn control_is_served_first_and_work_is_not_starved() {
        let (mut mailbox, config) = (Mailbox::default(), config(100, 1 << 20));
        for n in 0..5 {
            mailbox.push(item("acme", &format!("w{n}"), 0), Lane::Work, &config).unwrap();
        }
        let mut served = Vec::new();
        for n in 0..10 {
            mailbox.push(item("acme", &format!("c{n}"), 0), Lane::Control, &config).unwrap();
            served.extend(batch(&mut mailbox, 64));
        }
        let first: Vec<&str> = served.iter().map(String::as_str).take(7).collect();
        assert_eq!(first, ["c0", "c1", "c2", "c3", "c4", "w0", "c5"]);
        assert_eq!(batch(&mut mailbox, 64), ["w2", "w3", "w4"]);
        assert!(mailbox.is_empty());
    }

    #[test]
    fn what_is_in_a_batch_keeps_its_room_until_it_is_done() {
        let (mut mailbox, config) = (Mailbox::default(), config(2, 1 << 20));
        mailbox.push(item("acme", "a", 0), Lane::Work, &config).unwrap();
        mailbox.push(item("acme", "b", 0), Lane::Work, &config).unwrap();
        let mut taken = mailbox.take(64);
        let (third, full) = mailbox.push(item("acme", "c", 0), Lane::Work, &config).unwrap_err();
        assert_eq!((full, mailbox.load().items), (Full::Now, 2));
        // One is done, the other goes back: it was accepted, so it never has to ask for room.
        let mut done = Room::default();
        done.add(taken.pop_front().unwrap().charge);
        mailbox.put_back(taken.pop_front().unwrap());
        mailbox.release(done);
        mailbox.push(third, Lane::Work, &config).unwrap();
        assert_eq!(batch(&mut mailbox, 64), ["b", "c"]);
        assert_eq!(mailbox.load(), Room::default());
    }

    #[test]
    fn who_waits_is_called_up_in_turn_and_nobody_overtakes() {
        let (mut mailbox, config) = (Mailbox::default(), config(1, 1 << 20));
        mailbox.push(item("acme", "a", 0), Lane::Work, &config).unwrap();
        let (b, c) = (item("acme", "b", 0), item("acme", "c", 0));
        let mut first = mailbox.queue_up(&b, &config).unwrap();
        let mut second = mailbox.queue_up(&c, &config).unwrap();
        assert!(first.granted.try_recv().is_err());
        assert_eq!(batch(&mut mailbox, 64), ["a"]);
        mailbox.call_up(&config);
        assert!(first.granted.try_recv().is_ok());
        assert!(second.granted.try_recv().is_err());
        // There is room for one, and it is promised.
        assert!(mailbox.push(item("acme", "d", 0), Lane::Work, &config).is_err());
        mailbox.push_reserved(b);
        assert_eq!(batch(&mut mailbox, 64), ["b"]);
        mailbox.call_up(&config);
        // The second has its promise and leaves: the room is free again.
        mailbox.leave(second, &config);
        mailbox.push(item("acme", "d", 0), Lane::Work, &config).unwrap();
        assert!(!mailbox.is_awaited());
    }

    #[test]
    fn the_line_is_bounded_as_well() {
        let (mut mailbox, config) = (Mailbox::default(), config(1, 1 << 20));
        mailbox.push(item("acme", "a", 0), Lane::Work, &config).unwrap();
        let waiting: Vec<_> = (0..3).map(|_| mailbox.queue_up(&item("acme", "b", 0), &config).unwrap()).collect();
        assert_eq!(mailbox.queue_up(&item("acme", "c", 0), &config).unwrap_err(), Full::Waiters);
        mailbox.disperse();
        drop(waiting);
        assert!(!mailbox.is_awaited());
    }

    #[test]
    fn a_tenant_that_waits_for_its_lane_holds_no_other_up() {
        let (mut mailbox, mut config) = (Mailbox::default(), config(10, 1 << 20));
        config.lane = Bounds { items: 1, bytes: 1 << 20 };
        mailbox.push(item("acme", "a", 0), Lane::Work, &config).unwrap();
        let mut waiting = mailbox.queue_up(&item("acme", "b", 0), &config).unwrap();
        mailbox.push(item("zeta", "z", 0), Lane::Work, &config).unwrap();
        mailbox.call_up(&config);
        assert!(waiting.granted.try_recv().is_err(), "its lane is full");
        assert_eq!(batch(&mut mailbox, 64), ["a", "z"]);
        mailbox.call_up(&config);
        assert!(waiting.granted.try_recv().is_ok());
    }
}

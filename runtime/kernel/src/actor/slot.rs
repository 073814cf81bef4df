//! The slot: one address, its mailbox, and the state machine of its presence. How messages come in
//! is here; how incarnations come and go is in `life.rs`.
//!
//! ```text
//!            push                attach               park, empty
//!  Asleep ─────────▶ Waking ──────────────▶ Live ─────────────────▶ Parking
//!    ▲                 ▲                     │ │                       │
//!    │ failed, empty   │ messages wait       │ │ killed, does not end  │ ended
//!    └─────────────────┴────── ended ◀───────┘ └────▶ Wedged ─ ended   ▼
//!                                │                                  Retired
//!                                └─ too often ─▶ Quarantined ─ released ─▶ Asleep
//! ```
//!
//! INVARIANT: all of it changes under one lock; a bell is in flight exactly while `rung`; a new
//! incarnation is attached only after the last one's state was dropped.

use std::{
    any::Any,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};

use super::{
    Cause, Item, Lane, NotTaken,
    floor::Floor,
    inbox::Inbox,
    mailbox::{Full, Mailbox, Ticket},
    restart::Lives,
    ring::{Bell, Rings},
};
use crate::{
    envelope::Address,
    telemetry::{ActorInfo, ActorKind, ActorState, KindMeter, Meter},
};

/// A message of so many costs its sender a part of tokio's budget: a loop that tells an actor which keeps
/// up with it would never end its turn, and a look at the budget for each message is a tenth of its price.
pub(super) const TURN_EVERY: u64 = 16;

/// Senders that wait for room are called up about this often while they wait for the same actor.
const CALL_UP_EVERY: Duration = Duration::from_millis(1);

/// One address: its mailbox, its state, its meter, what it publishes.
///
/// It exists from the first message until the entity sleeps with an empty mailbox; a sleeping entity
/// takes no memory at all.
pub struct Slot {
    pub(super) address: Address,
    pub(super) floor: Arc<Floor>,
    /// To be locked by [`Slot::lock`] alone.
    pub(super) inner: Mutex<Inner>,
    pub(super) inbox: OnceLock<Box<Inbox>>,
    pub(super) rings: Rings,
    pub(super) published: RwLock<Option<Arc<dyn Any + Send + Sync>>>,
    pub(super) keep_awake: AtomicU32,
    /// Nothing more is expected of it: it sleeps sooner.
    is_done: AtomicBool,
    /// What the entity said it holds, and the flat cost of being awake; 0 while it is not.
    size: AtomicUsize,
    /// A control message came while a batch is under way: it wants to end.
    pub(super) control_waits: AtomicBool,
    pub(super) meter: Meter,
    pub(super) kind_meter: Arc<KindMeter>,
    /// The type of the message in hand, for whoever finds it stuck.
    pub(super) in_hand: Mutex<Option<Arc<str>>>,
    /// How long the handler that runs may take, in nanoseconds.
    pub(super) allowed: AtomicUsize,
}

pub(super) struct Inner {
    pub(super) state: ActorState,
    pub(super) mailbox: Mailbox,
    pub(super) bell: Option<Bell>,
    pub(super) rung: bool,
    /// Its supervisor is about to start it, or has.
    pub(super) claimed: bool,
    pub(super) incarnation: u64,
    /// Why the incarnation ends, written by whoever knows it, first come.
    pub(super) cause: Option<Cause>,
    /// The incarnation handled at least one message.
    pub(super) progressed: bool,
    /// The message that it died of is among the dead letters.
    pub(super) buried: bool,
    /// When the watchdog killed its handler.
    pub(super) killed_at: Option<Duration>,
    pub(super) lives: Lives,
    pub(super) restarts: u32,
    pub(super) last_error: Option<Arc<str>>,
    /// After a failure: it is not started again before this instant.
    pub(super) not_before: Duration,
    /// It has to live also without a message: it may wait for something that only it knows.
    pub(super) wanted: bool,
    /// Messages taken in since the slot exists, and how many of them the node's sums know of.
    pub(super) accepted: u64,
    told: u64,
    /// The inbox has a grant, and may hold messages.
    pub(super) granted: bool,
    /// What the inbox will use next; empty, and without room unless there was load.
    pub(super) spare: Vec<Item>,
}

/// The answer to a wish that an entity be awake.
pub(super) enum Wanted {
    /// Look the address up again.
    Retired,
    /// It is, or is about to be, or must not be.
    Already,
    /// Have it woken after this delay.
    Wake(Duration),
    /// It lives: tell it, after the lock was given back.
    Tell,
}

/// What the sender has to do after its message was taken.
pub(super) enum Pushed {
    /// Nothing: whoever drains the mailbox will see it.
    Queued,
    /// The same, and it is time to let others have a turn.
    Turn,
    /// Ring, after the lock was given back.
    Ring,
    /// Have it woken, not before this delay.
    Wake(Duration),
}

/// Why a push failed: for the sender, or because the slot is one of the past.
pub(super) enum NotPushed {
    Refused(Item, Box<NotTaken>),
    /// There may be room soon: wait for it, or refuse with [`Slot::is_full`].
    Full(Item),
    /// Look the address up again.
    Retired(Item),
}

/// What can be said against a message before its mailbox is looked at.
enum Barred {
    Retired,
    Why(Box<NotTaken>),
}

impl Barred {
    fn with(self, item: Item) -> NotPushed {
        match self {
            Self::Retired => NotPushed::Retired(item),
            Self::Why(why) => NotPushed::Refused(item, why),
        }
    }
}

impl Slot {
    pub(super) fn new(address: Address, floor: Arc<Floor>) -> Arc<Self> {
        let kind_meter = floor.meters.of(&address);
        let meter = Meter::default();
        meter.touch(floor.now());
        Arc::new(Self {
            address,
            floor,
            inner: Mutex::new(Inner {
                state: ActorState::Asleep,
                mailbox: Mailbox::default(),
                bell: None,
                rung: false,
                claimed: false,
                incarnation: 0,
                cause: None,
                progressed: false,
                buried: false,
                killed_at: None,
                lives: Lives::default(),
                restarts: 0,
                last_error: None,
                not_before: Duration::ZERO,
                wanted: false,
                accepted: 0,
                told: 0,
                granted: false,
                spare: Vec::new(),
            }),
            inbox: OnceLock::new(),
            rings: Rings::default(),
            published: RwLock::new(None),
            keep_awake: AtomicU32::new(0),
            is_done: AtomicBool::new(false),
            size: AtomicUsize::new(0),
            control_waits: AtomicBool::new(false),
            meter,
            kind_meter,
            in_hand: Mutex::new(None),
            allowed: AtomicUsize::new(0),
        })
    }

    /// The address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How often the address was started since its slot exists.
    pub fn incarnation(&self) -> u64 {
        self.lock().incarnation
    }

    /// In which state it is.
    pub fn state(&self) -> ActorState {
        self.lock().state
    }

    /// Shows a snapshot to readers, who look at it without entering the mailbox.
    ///
    /// It is taken away when the incarnation ends, so nobody reads the state of a dead one.
    pub fn publish(&self, value: Arc<dyn Any + Send + Sync>) {
        *self.published.write() = Some(value);
    }

    /// What the live incarnation last published.
    pub fn published(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.published.read().clone()
    }

    /// Says whether anything more is expected of the entity: one that is done sleeps sooner.
    pub fn done(&self, is_done: bool) {
        if !self.is_done.swap(is_done, Ordering::Relaxed) && is_done {
            self.floor.done.push(self.address.clone(), self.floor.now());
        }
    }

    /// Whether nothing more is expected of it.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }

    /// Keeps the entity awake until the guard is dropped: for an effect in flight, a lease.
    pub fn keep_awake(self: &Arc<Self>) -> KeepAwake {
        self.keep_awake.fetch_add(1, Ordering::Relaxed);
        KeepAwake(self.clone())
    }

    pub(super) fn kind_meter(&self) -> &KindMeter {
        &self.kind_meter
    }

    /// Takes a message in.
    pub(super) fn push(&self, item: Item, lane: Lane) -> Result<Pushed, NotPushed> {
        let mut item = match self.put(item, lane) {
            Ok(pushed) => return Ok(pushed),
            Err(item) => item,
        };
        let (charge, now) = (item.charge, self.floor.now());
        item.enqueued_at = now;
        // Before the lock: who waits for it should not wait for a counter that all senders write.
        let queued = self.floor.charge(charge);
        let mut inner = self.lock();
        if let Some(barred) = self.admit(&inner, queued, lane) {
            self.floor.uncharge(charge);
            return Err(barred.with(item));
        }
        if let Err((item, full)) = inner.mailbox.push(item, lane, &self.floor.config) {
            self.floor.uncharge(charge);
            return Err(match full {
                Full::Now => NotPushed::Full(item),
                Full::TooLarge | Full::Waiters => {
                    let why = self.full(&inner, item.charge, full);
                    NotPushed::Refused(item, Box::new(why))
                }
            });
        }
        inner.accepted += 1;
        let pushed = self.after_push(&mut inner, lane, now);
        self.grant(&mut inner);
        Ok(pushed)
    }

    /// Tells the node's sums what was taken in, before any of it counts as something else. Not for
    /// each message: senders on all cores would write the same counter.
    #[inline]
    pub(super) fn tell_accepted(&self, inner: &mut Inner) {
        let untold = inner.accepted - std::mem::replace(&mut inner.told, inner.accepted);
        if untold > 0 {
            self.floor.totals.accepted.fetch_add(untold, Ordering::Relaxed);
        }
    }

    #[inline]
    fn after_push(&self, inner: &mut Inner, lane: Lane, now: Duration) -> Pushed {
        if lane == Lane::Control {
            self.control_waits.store(true, Ordering::Relaxed);
        }
        match (inner.state, &inner.bell) {
            (ActorState::Asleep, _) => {
                inner.state = ActorState::Waking;
                Pushed::Wake(inner.not_before.saturating_sub(now))
            }
            (ActorState::Live, Some(_)) if !inner.rung => {
                inner.rung = true;
                Pushed::Ring
            }
            _ if inner.accepted.is_multiple_of(TURN_EVERY) => Pushed::Turn,
            _ => Pushed::Queued,
        }
    }

    /// Wants it awake without a message.
    pub(super) fn want(&self) -> Wanted {
        let now = self.floor.now();
        let mut inner = self.lock();
        match inner.state {
            ActorState::Retired => Wanted::Retired,
            ActorState::Quarantined | ActorState::Wedged => Wanted::Already,
            ActorState::Asleep => {
                inner.wanted = true;
                inner.state = ActorState::Waking;
                Wanted::Wake(inner.not_before.saturating_sub(now))
            }
            // One that loads will ask by itself, and one that is about to sleep comes back.
            _ => {
                let told_already = std::mem::replace(&mut inner.wanted, true);
                match (&inner.bell, inner.state) {
                    (Some(_), ActorState::Live) if !told_already => Wanted::Tell,
                    _ => Wanted::Already,
                }
            }
        }
    }

    /// It is about to ask for what it waits for.
    pub(super) fn asked(&self) {
        self.lock().wanted = false;
    }

    /// What can be said against a message when so many bytes wait on this node, its own among them.
    #[inline]
    fn admit(&self, inner: &Inner, queued: usize, lane: Lane) -> Option<Barred> {
        let address = || self.address.to_string();
        let why = match inner.state {
            ActorState::Retired => return Some(Barred::Retired),
            ActorState::Quarantined => NotTaken::Quarantined {
                address: address(),
                why: inner.last_error.as_deref().unwrap_or_default().to_owned(),
            },
            ActorState::Wedged => NotTaken::Wedged { address: address() },
            _ if self.floor.closing.load(Ordering::Relaxed) => NotTaken::Stopping,
            // Control is never refused for the sake of memory: it is what makes room.
            _ if lane == Lane::Control => return None,
            ActorState::Asleep if self.floor.is_over(120) => {
                self.floor.tight.notify_one();
                NotTaken::Memory { address: address() }
            }
            _ if queued <= self.floor.config.queued_bytes => return None,
            _ => NotTaken::NodeFull { bytes: queued },
        };
        Some(Barred::Why(Box::new(why)))
    }

    /// What to tell a sender that found no room.
    pub(super) fn is_full(&self, charge: usize) -> NotTaken {
        let inner = self.lock();
        self.full(&inner, charge, Full::Now)
    }

    fn full(&self, inner: &Inner, charge: usize, full: Full) -> NotTaken {
        let config = &self.floor.config;
        let depth = inner.mailbox.load().items;
        match full {
            Full::TooLarge => NotTaken::TooLarge {
                address: self.address.to_string(),
                bytes: charge,
                most: config.mailbox.bytes.min(config.lane.bytes).min(config.control.bytes),
            },
            Full::Now | Full::Waiters => {
                NotTaken::Full { address: self.address.to_string(), depth, after: self.pace(depth) }
            }
        }
    }

    /// How long the queue takes to empty at the pace of late: 10 ms to 30 s.
    fn pace(&self, depth: usize) -> Duration {
        let each = self.meter.average().max(Duration::from_micros(10));
        each.saturating_mul(u32::try_from(depth).unwrap_or(u32::MAX))
            .clamp(Duration::from_millis(10), Duration::from_secs(30))
    }

    /// Room for so many messages is worth calling senders up: a millisecond's work, a quarter of the
    /// mailbox at most.
    pub(super) fn worth_a_call(&self) -> usize {
        let each = self.meter.average().as_nanos().max(1);
        let most = self.floor.config.mailbox.items / 4;
        usize::try_from(CALL_UP_EVERY.as_nanos() / each).unwrap_or(usize::MAX).clamp(1, most.max(1))
    }

    /// Stands in line for room, unless there is some by now.
    pub(super) fn queue_up(&self, item: &Item) -> Result<Ticket, NotTaken> {
        let mut inner = self.lock();
        let ticket = inner.mailbox.queue_up(item, &self.floor.config);
        ticket.map_err(|full| self.full(&inner, item.charge, full))
    }

    /// Uses the room that a ticket was promised.
    pub(super) fn push_reserved(&self, mut item: Item) -> Result<Pushed, NotPushed> {
        let (charge, now) = (item.charge, self.floor.now());
        let queued = self.floor.charge(charge);
        let mut inner = self.lock();
        if let Some(barred) = self.admit(&inner, queued, Lane::Work) {
            self.floor.uncharge(charge);
            inner.mailbox.unreserve(charge, &self.floor.config);
            return Err(barred.with(item));
        }
        item.enqueued_at = now;
        item.lane = Lane::Work;
        inner.mailbox.push_reserved(item);
        inner.accepted += 1;
        let pushed = self.after_push(&mut inner, Lane::Work, now);
        self.grant(&mut inner);
        Ok(pushed)
    }

    /// Leaves the line.
    pub(super) fn leave(&self, ticket: Ticket) {
        self.lock().mailbox.leave(ticket, &self.floor.config);
    }

    /// The entity says what it holds now.
    pub(super) fn resize(&self, bytes: usize) {
        self.charge_memory(bytes + self.floor.config.live_bytes);
        if self.floor.is_over(100) {
            self.floor.tight.notify_one();
        }
    }

    #[inline]
    pub(super) fn charge_memory(&self, bytes: usize) {
        if self.size() == bytes {
            return;
        }
        let before = self.size.swap(bytes, Ordering::Relaxed);
        let live = &self.floor.live_bytes;
        if bytes >= before {
            live.fetch_add(bytes - before, Ordering::Relaxed);
        } else {
            live.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }

    /// What it is charged for while awake.
    pub(super) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// State, messages, their bytes, and since when the oldest waits.
    pub(super) fn burden(&self) -> (ActorState, usize, usize, Option<Duration>) {
        let inner = self.lock();
        let load = inner.mailbox.load();
        (inner.state, load.items, load.bytes, inner.mailbox.oldest())
    }

    /// Its line in the tree.
    pub(super) fn info(&self, parent: Option<String>) -> ActorInfo {
        let now = self.floor.now();
        let handle = self.meter.handle();
        let inner = self.lock();
        let load = inner.mailbox.load();
        ActorInfo {
            name: self.address.to_string(),
            kind: ActorKind::Entity,
            parent,
            tenant: Some(self.address.tenant().clone()),
            state: inner.state,
            incarnation: inner.incarnation,
            restarts: inner.restarts,
            depth: load.items,
            bytes: load.bytes,
            oldest_age: inner.mailbox.oldest().map(|since| now.saturating_sub(since)),
            handled: self.meter.handled(),
            failed: self.meter.failed(),
            handle_p50: handle.p50,
            handle_p99: handle.p99,
            last_error: inner.last_error.clone(),
        }
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Keeps an entity awake until it is dropped.
#[derive(Debug)]
pub struct KeepAwake(Arc<Slot>);

impl Drop for KeepAwake {
    fn drop(&mut self) {
        self.0.keep_awake.fetch_sub(1, Ordering::Relaxed);
    }
}

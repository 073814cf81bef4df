//! What an endpoint lets us do, shared fairly: calls at once, requests and tokens a minute.
//!
//! Tenants are served in turn by the tokens that they ask for, so the loudest waits behind itself.
//! Whoever is next in turn waits until there is room for it and is not overtaken by smaller calls,
//! or a large one would wait for ever.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use mesh_kernel::{envelope::TenantId, fair::FairQueue, task};
use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::config::Endpoint;

/// What a queue charges for a token, so that a turn is about 16,000 tokens. **Units**: bytes.
const BYTES_PER_TOKEN: u64 = 4;

/// The way in to one endpoint.
pub(super) struct Gate(Mutex<State>);

struct State {
    free: usize,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    waiting: FairQueue<Waiter>,
    /// Whose turn it is, when there was no room for it.
    next: Option<Waiter>,
    /// When a task that is under way will let in who waits, the buckets having filled.
    wakes: Option<Instant>,
}

struct Waiter {
    tokens: u64,
    enter: oneshot::Sender<Permit>,
}

/// The right to one call; gives its place back when dropped.
pub(super) struct Permit {
    gate: Arc<Gate>,
    tokens: u64,
}

/// More tenants wait than can be served in turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crowded;

impl Gate {
    /// The gate of an endpoint with these limits.
    pub(super) fn new(endpoint: &Endpoint) -> Arc<Self> {
        let bucket = |per_minute: Option<u64>| per_minute.map(|per_minute| Bucket::full(per_minute, Instant::now()));
        Arc::new(Self(Mutex::new(State {
            free: endpoint.concurrent,
            requests: bucket(endpoint.requests_per_minute),
            tokens: bucket(endpoint.tokens_per_minute),
            waiting: FairQueue::default(),
            next: None,
            wakes: None,
        })))
    }

    /// Waits until a call of about this many tokens may begin.
    ///
    /// **Cancel safety**: dropping it gives up the place in the queue and takes nothing.
    pub(super) async fn enter(self: &Arc<Self>, tenant: &TenantId, tokens: u64) -> Result<Permit, Crowded> {
        let (enter, entered) = oneshot::channel();
        {
            let mut state = self.0.lock();
            if !state.waiting.has_lane(tenant) {
                return Err(Crowded);
            }
            let bytes = usize::try_from(tokens.saturating_mul(BYTES_PER_TOKEN)).unwrap_or(usize::MAX >> 8);
            state.waiting.push(tenant, Waiter { tokens, enter }, bytes);
        }
        self.admit();
        entered.await.map_err(|_| Crowded)
    }

    /// Lets in whoever may go now.
    fn admit(self: &Arc<Self>) {
        let now = Instant::now();
        let mut entering = Vec::new();
        let mut state = self.0.lock();
        let due = loop {
            let Some(waiter) = state.next_in_turn() else { break None };
            match state.room(waiter.tokens, now) {
                Room::Now => {
                    state.take(waiter.tokens);
                    entering.push((waiter.enter, Permit { gate: self.clone(), tokens: waiter.tokens }));
                }
                Room::At(due) => {
                    state.next = Some(waiter);
                    break Some(due);
                }
                Room::AfterAnother => {
                    state.next = Some(waiter);
                    break None;
                }
            }
        };
        let sleeps_until = due.filter(|due| state.wakes.is_none_or(|wakes| *due < wakes));
        state.wakes = sleeps_until.or(state.wakes);
        drop(state);
        if let Some(due) = sleeps_until {
            drop(task::spawn("model-limits", wake(Arc::downgrade(self), due)));
        }
        // Outside the lock: a permit that nobody takes gives its place back by locking it.
        for (enter, permit) in entering {
            drop(enter.send(permit));
        }
    }

    fn corrected(&self, estimated: u64, used: u64) {
        if let Some(bucket) = &mut self.0.lock().tokens {
            bucket.correct(estimated, used);
        }
    }
}

/// Lets in who waits once there is room; boxed, since admitting may start the next one.
fn wake(gate: Weak<Gate>, due: Instant) -> mesh_kernel::BoxFuture<'static, ()> {
    Box::pin(async move {
        sleep_until(due).await;
        let Some(gate) = gate.upgrade() else { return };
        {
            let mut state = gate.0.lock();
            // One that is due earlier may have taken its place.
            state.wakes = state.wakes.filter(|wakes| *wakes != due);
        }
        gate.admit();
    })
}

impl Permit {
    /// Tells what the call used in truth, for the tokens of the minute.
    pub(super) fn used(&self, tokens: u64) {
        self.gate.corrected(self.tokens, tokens);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.0.lock().free += 1;
        self.gate.admit();
    }
}

enum Room {
    Now,
    /// When the buckets will have filled.
    At(Instant),
    /// When another call has ended.
    AfterAnother,
}

impl State {
    /// Whoever is next and still wants to.
    fn next_in_turn(&mut self) -> Option<Waiter> {
        loop {
            let waiter = self.next.take().or_else(|| self.waiting.pop())?;
            if !waiter.enter.is_closed() {
                return Some(waiter);
            }
        }
    }

    fn room(&mut self, tokens: u64, now: Instant) -> Room {
        if self.free == 0 {
            return Room::AfterAnother;
        }
        let due = [(&mut self.requests, 1), (&mut self.tokens, tokens)]
            .into_iter()
            .filter_map(|(bucket, amount)| bucket.as_mut()?.due(amount, now))
            .max();
        due.map_or(Room::Now, Room::At)
    }

    fn take(&mut self, tokens: u64) {
        self.free -= 1;
        for (bucket, amount) in [(&mut self.requests, 1), (&mut self.tokens, tokens)] {
            if let Some(bucket) = bucket {
                bucket.take(amount);
            }
        }
    }
}

/// A bucket that fills in a minute. **Units**: thousandths of what it counts, so that slow filling
/// is not lost to rounding.
struct Bucket {
    per_minute: u64,
    /// Below zero when more was used than was taken.
    has: i128,
    at: Instant,
}

impl Bucket {
    fn full(per_minute: u64, now: Instant) -> Self {
        let per_minute = per_minute.max(1);
        Self { per_minute, has: i128::from(per_minute) * 1000, at: now }
    }

    /// When so much can be taken; none when now. More than fits is taken from a full one.
    fn due(&mut self, amount: u64, now: Instant) -> Option<Instant> {
        let rate = i128::from(self.per_minute);
        let passed = i128::try_from(now.saturating_duration_since(self.at).as_millis()).unwrap_or(i128::MAX / 2);
        let gained = passed.saturating_mul(rate) / 60;
        if gained > 0 {
            self.has = self.has.saturating_add(gained).min(rate * 1000);
            self.at = now;
        }
        let lacks = i128::from(amount).min(rate) * 1000 - self.has;
        let wait = (lacks > 0).then(|| u64::try_from(lacks * 60 / rate + 1).unwrap_or(u64::MAX >> 24))?;
        Some(now + Duration::from_millis(wait))
    }

    fn take(&mut self, amount: u64) {
        self.has -= i128::from(amount) * 1000;
    }

    fn correct(&mut self, estimated: u64, used: u64) {
        self.has += (i128::from(estimated) - i128::from(used)) * 1000;
    }
}

#[cfg(test)]
mod tests;

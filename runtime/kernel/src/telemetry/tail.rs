//! The live tail: what actors do right now, for whoever listens.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::envelope::{Address, TenantId, Timestamp};

/// What a signal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignalKind {
    /// A message was handled.
    Handled,
    /// A handler failed.
    Failed,
    /// A message's deadline had passed before it was its turn.
    Expired,
    /// An entity woke.
    Woken,
    /// An entity went to sleep.
    Parked,
    /// An actor is started again after a failure.
    Restarted,
    /// A message went to the dead letters.
    DeadLettered,
    /// An entity failed too often or cannot be decoded.
    Quarantined,
    /// A handler was killed and does not end.
    Wedged,
}

impl SignalKind {
    /// The kind's name as the tail shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Woken => "woken",
            Self::Parked => "parked",
            Self::Restarted => "restarted",
            Self::DeadLettered => "dead-lettered",
            Self::Quarantined => "quarantined",
            Self::Wedged => "wedged",
        }
    }
}

/// One thing that an actor did.
#[derive(Debug, Clone)]
pub struct Signal {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub address: Address,
    /// What.
    pub kind: SignalKind,
    /// The type of the message that it was about, when it was about one.
    pub event_type: Option<Arc<str>>,
    /// How long the message waited.
    pub waited: Duration,
    /// How long it was handled.
    pub took: Duration,
    /// Why, for what went wrong.
    pub reason: Option<Arc<str>>,
}

/// What a listener gets: signals with the sequence number of the first, and how many it missed.
#[derive(Debug, Clone, Default)]
pub struct Tailed {
    /// Signals that were overwritten since the last fetch, because the listener was too slow.
    pub missed: u64,
    /// The number of the first signal of `signals`; the others follow without a gap.
    pub first: u64,
    /// Oldest first.
    pub signals: Vec<Signal>,
}

#[derive(Debug)]
struct Queue {
    /// Only this tenant's signals; all tenants' when none, which only an operator may ask for.
    tenant: Option<TenantId>,
    len_max: usize,
    signals: Mutex<Pending>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    queue: VecDeque<Signal>,
    /// The number of the next signal that comes.
    next: u64,
    missed: u64,
}

impl Queue {
    fn offer(&self, signal: &Signal) {
        if self.tenant.as_ref().is_some_and(|tenant| tenant != signal.address.tenant()) {
            return;
        }
        let mut pending = self.signals.lock();
        if pending.queue.len() >= self.len_max {
            pending.queue.pop_front();
            pending.missed += 1;
        }
        pending.queue.push_back(signal.clone());
        pending.next += 1;
        drop(pending);
        self.came.notify_one();
    }
}

/// Where actors put signals, and where listeners are made.
///
/// Each listener has a queue of its own, so that what it missed is counted exactly and says nothing
/// about another tenant's traffic. A slow listener loses its oldest signals and is told how many; it
/// is never waited for.
#[derive(Debug, Default)]
pub struct Signals {
    listening: AtomicUsize,
    listeners: Mutex<Vec<Weak<Queue>>>,
}

impl Signals {
    /// Whether anyone listens. **Cost**: one relaxed load.
    #[inline]
    pub fn listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed) > 0
    }

    /// Tells whoever listens; `signal` is not even made when nobody does.
    #[inline]
    pub fn tell(&self, signal: impl FnOnce() -> Signal) {
        if self.listening() {
            self.offer(&signal());
        }
    }

    fn offer(&self, signal: &Signal) {
        // Collected first: a queue's own lock is never taken under the list's.
        let queues: Vec<_> = self.listeners.lock().iter().filter_map(Weak::upgrade).collect();
        for queue in queues {
            queue.offer(signal);
        }
    }

    /// A listener for one tenant, or for all of them (an operator's right, checked by the caller),
    /// that holds at most `len_max` signals between two fetches.
    pub fn listen(self: &Arc<Self>, tenant: Option<TenantId>, len_max: usize) -> Listener {
        let queue = Arc::new(Queue { tenant, len_max: len_max.max(1), signals: Mutex::default(), came: Notify::new() });
        let mut listeners = self.listeners.lock();
        listeners.retain(|old| old.strong_count() > 0);
        listeners.push(Arc::downgrade(&queue));
        drop(listeners);
        self.listening.fetch_add(1, Ordering::Relaxed);
        Listener { signals: self.clone(), queue }
    }
}

/// Someone who listens. Dropping it ends the listening.
#[derive(Debug)]
pub struct Listener {
    signals: Arc<Signals>,
    queue: Arc<Queue>,
}

impl Listener {
    /// The next signals, waiting for at least one.
    ///
    /// **Cancel safety**: a dropped future loses nothing.
    pub async fn next(&mut self) -> Tailed {
        loop {
            let tailed = self.poll();
            if tailed.missed > 0 || !tailed.signals.is_empty() {
                return tailed;
            }
            self.queue.came.notified().await;
        }
    }

    /// What is there now, without waiting.
    pub fn poll(&mut self) -> Tailed {
        let mut pending = self.queue.signals.lock();
        let signals: Vec<_> = pending.queue.drain(..).collect();
        Tailed { missed: std::mem::take(&mut pending.missed), first: pending.next - signals.len() as u64, signals }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.signals.listening.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(address: &str, event_type: &str) -> Signal {
        Signal {
            at: Timestamp::default(),
            address: address.parse().unwrap(),
            kind: SignalKind::Handled,
            event_type: Some(Arc::from(event_type)),
            waited: Duration::ZERO,
            took: Duration::ZERO,
            reason: None,
        }
    }

    #[test]
    fn a_signal_that_nobody_wants_is_not_even_made() {
        let signals = Arc::new(Signals::default());
        signals.tell(|| unreachable!("nobody listens"));
        drop(signals.listen(None, 8));
        signals.tell(|| unreachable!("nobody listens any more"));
    }

    #[test]
    fn a_slow_listener_is_told_how_many_it_missed() {
        let signals = Arc::new(Signals::default());
        let mut slow = signals.listen(None, 3);
        for n in 0..10 {
            signals.tell(|| signal("acme/p/k/i", &format!("E{n}")));
        }
        let tailed = slow.poll();
        assert_eq!((tailed.missed, tailed.first, tailed.signals.len()), (7, 7, 3));
        assert_eq!(tailed.signals[0].event_type.as_deref(), Some("E7"));
        assert_eq!(slow.poll().missed, 0);
    }

    #[test]
    fn a_tenant_hears_and_misses_only_its_own() {
        let signals = Arc::new(Signals::default());
        let mut acme = signals.listen(Some(TenantId::parse("acme").unwrap()), 2);
        for _ in 0..5 {
            signals.tell(|| signal("zeta/p/k/i", "E"));
        }
        signals.tell(|| signal("acme/p/k/i", "E"));
        let tailed = acme.poll();
        assert_eq!((tailed.missed, tailed.first, tailed.signals.len()), (0, 0, 1));
    }

    #[tokio::test]
    async fn a_listener_wakes_when_something_happens() {
        let signals = Arc::new(Signals::default());
        let mut listener = signals.listen(None, 8);
        let (tailed, ()) = tokio::join!(listener.next(), async {
            signals.tell(|| signal("acme/p/k/i", "E"));
        });
        assert_eq!(tailed.signals.len(), 1);
    }
}

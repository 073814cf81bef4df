//! One queue of all timers, by due time.
//!
//! **Cost**: a `BTreeMap`; 0.7 µs in and out with a million timers, 40 MB.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    entity::TimerRequest,
    envelope::{Address, TenantId, Timestamp},
    ports::Clock,
};

/// A timer that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose timer it is.
    pub address: Address,
    /// Which one, and when it was due. `None`: nothing but a wake-up of the entity.
    pub timer: Option<TimerRequest>,
}

/// Longest sleep between two looks at the wall clock, so that a jump of it is noticed.
const LOOK_AT_LEAST: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Queue {
    by_due: BTreeMap<(Timestamp, Address, Option<String>), ()>,
    by_entity: HashMap<Address, Vec<(Timestamp, Option<String>)>>,
}

/// The timers of all entities. In memory only: entities arm them again when they wake.
pub struct Timers {
    queue: Mutex<Queue>,
    changed: Notify,
    clock: Arc<dyn Clock>,
}

impl Timers {
    /// An empty queue.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { queue: Mutex::new(Queue::default()), changed: Notify::new(), clock }
    }

    /// Makes an entity's timers exactly these. Replaces what it had.
    ///
    /// **Cost**: grows with the entity's timers, not with all.
    pub fn arm(&self, address: &Address, timers: &[TimerRequest]) {
        let wanted = timers.iter().map(|t| (t.due, Some(t.name.clone()))).collect();
        self.replace(address, wanted);
    }

    /// Wakes an entity at an instant, unless it arms timers before.
    pub fn wake_at(&self, address: &Address, due: Timestamp) {
        self.replace(address, vec![(due, None)]);
    }

    /// Drops everything of a tenant.
    pub fn forget(&self, tenant: &TenantId) {
        let mut own: Vec<Address> = self.queue.lock().by_entity.keys().cloned().collect();
        own.retain(|address| address.tenant() == tenant);
        own.iter().for_each(|address| self.replace(address, Vec::new()));
    }

    /// How many timers wait.
    pub fn len(&self) -> usize {
        self.queue.lock().by_due.len()
    }

    /// Whether no timer waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn replace(&self, address: &Address, wanted: Vec<(Timestamp, Option<String>)>) {
        let mut queue = self.queue.lock();
        let first = queue.by_due.keys().next().map(|key| key.0);
        for (due, name) in queue.by_entity.remove(address).unwrap_or_default() {
            queue.by_due.remove(&(due, address.clone(), name));
        }
        if wanted.is_empty() {
            return;
        }
        for (due, name) in &wanted {
            queue.by_due.insert((*due, address.clone(), name.clone()), ());
        }
        let sooner = wanted.iter().map(|t| t.0).min() < first || first.is_none();
        queue.by_entity.insert(address.clone(), wanted);
        drop(queue);
        if sooner {
            self.changed.notify_one();
        }
    }

    /// The timers that are due now, oldest first, at most `max`; taken out of the queue.
    pub fn take_due(&self, max: usize) -> Vec<Due> {
        let now = self.clock.now();
        let mut queue = self.queue.lock();
        let mut due = Vec::new();
        while due.len() < max {
            let Some(entry) = queue.by_due.first_entry().filter(|entry| entry.key().0 <= now) else {
                break;
            };
            let ((at, address, name), ()) = entry.remove_entry();
            if let Some(own) = queue.by_entity.get_mut(&address) {
                own.retain(|(d, n)| !(*d == at && *n == name));
                if own.is_empty() {
                    queue.by_entity.remove(&address);
                }
            }
            due.push(Due { address, timer: name.map(|name| TimerRequest { due: at, name }) });
        }
        due
    }

    /// Waits until a timer may be due.
    ///
    /// **Cancel safety**: a dropped future loses nothing.
    pub async fn wait(&self) {
        let now = self.clock.now();
        let next = self.queue.lock().by_due.keys().next().map(|key| key.0);
        let sleep = next.map_or(LOOK_AT_LEAST * 60, |due| due.since(now).min(LOOK_AT_LEAST));
        tokio::select! {
            () = self.changed.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[derive(Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_nanos(self.0.load(Ordering::Relaxed))
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
    }

    fn timer(due: i64, name: &str) -> TimerRequest {
        TimerRequest { due: Timestamp::from_unix_nanos(due), name: name.into() }
    }

    #[test]
    fn timers_fire_in_due_order_and_only_when_due() {
        let hand = Arc::new(Hand::default());
        let timers = Timers::new(hand.clone());
        let (a, b): (Address, Address) = ("t/p/k/a".parse().unwrap(), "t/p/k/b".parse().unwrap());
        timers.arm(&a, &[timer(30, "late"), timer(10, "early")]);
        timers.arm(&b, &[timer(20, "middle")]);
        assert!(timers.take_due(9).is_empty());
        hand.0.store(20, Ordering::Relaxed);
        let names: Vec<String> = timers.take_due(9).into_iter().filter_map(|due| due.timer).map(|t| t.name).collect();
        assert_eq!(names, ["early", "middle"]);
        assert_eq!(timers.len(), 1);
    }

    #[test]
    fn a_tenant_that_ends_takes_its_timers_along_and_no_others() {
        let hand = Arc::new(Hand::default());
        let timers = Timers::new(hand.clone());
        let (a, b): (Address, Address) = ("t/p/k/a".parse().unwrap(), "u/p/k/a".parse().unwrap());
        timers.arm(&a, &[timer(10, "one"), timer(20, "two")]);
        timers.arm(&b, &[timer(10, "other")]);
        timers.forget(a.tenant());
        hand.0.store(100, Ordering::Relaxed);
        let due: Vec<Address> = timers.take_due(9).into_iter().map(|due| due.address).collect();
        assert_eq!(due, [b]);
    }

    #[test]
    fn an_entity_that_arms_again_has_only_its_new_timers() {
        let hand = Arc::new(Hand::default());
        let timers = Timers::new(hand.clone());
        let a: Address = "t/p/k/a".parse().unwrap();
        timers.wake_at(&a, Timestamp::from_unix_nanos(5));
        timers.arm(&a, &[timer(10, "one")]);
        timers.arm(&a, &[]);
        hand.0.store(100, Ordering::Relaxed);
        assert!(timers.take_due(9).is_empty() && timers.is_empty());
    }
}

//! A queue with a lane for each tenant, served in turn: deficit round robin.

use std::collections::{HashMap, VecDeque};

use crate::envelope::TenantId;

/// What a lane may spend in one turn; a message costs 1, and 1 more for each 4 KiB.
const QUANTUM: u32 = 16;

/// Lanes that are in use at once; a tenant beyond is refused until one is empty.
const LANES_MAX: usize = 1024;

/// A bound in count and bytes; whichever is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many may wait.
    pub items: usize,
    /// Bytes that they are charged for.
    pub bytes: usize,
}

/// A queue with a lane for each tenant.
///
/// A tenant that floods waits behind itself: everyone else waits for at most one quantum of each
/// other active lane. Order is kept within a lane and not between lanes. It has no bound of its own;
/// whoever pushes looks at [`FairQueue::lane`], [`FairQueue::len`] and [`FairQueue::bytes`] first.
///
/// **Cost**: O(1) for each message, whatever the number of lanes.
///
/// **Source**: Shreedhar, Varghese, "Efficient Fair Queuing Using Deficit Round-Robin", 1996.
#[derive(Debug)]
pub struct FairQueue<T> {
    lanes: Vec<Lane<T>>,
    free: Vec<usize>,
    index: HashMap<TenantId, usize>,
    active: VecDeque<usize>,
    /// The lane of the last push: an entity has one tenant, and never looks into `index`.
    last: usize,
    len: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Lane<T> {
    tenant: TenantId,
    queue: VecDeque<Queued<T>>,
    bytes: usize,
    deficit: u32,
}

#[derive(Debug)]
struct Queued<T> {
    value: T,
    bytes: usize,
}

impl<T> Queued<T> {
    fn cost(&self) -> u32 {
        u32::try_from(self.bytes / 4096).unwrap_or(u32::MAX - 1) + 1
    }
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            lanes: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            active: VecDeque::new(),
            last: 0,
            len: 0,
            bytes: 0,
        }
    }
}

impl<T> FairQueue<T> {
    /// What waits in all lanes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes of what waits in all lanes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Count and bytes of what waits in one tenant's lane.
    pub fn lane(&self, tenant: &TenantId) -> (usize, usize) {
        self.find(tenant).and_then(|id| self.lanes.get(id)).map_or((0, 0), |lane| (lane.queue.len(), lane.bytes))
    }

    /// Whether there is a lane for this tenant or room for one more.
    pub fn has_lane(&self, tenant: &TenantId) -> bool {
        self.active.len() < LANES_MAX || self.lane(tenant).0 > 0
    }

    /// The tenant whose values alone wait.
    pub fn lone(&self) -> Option<&TenantId> {
        let id = self.active.front().filter(|_| self.active.len() == 1)?;
        self.lanes.get(*id).map(|lane| &lane.tenant)
    }

    /// Puts a value at the end of its tenant's lane.
    pub fn push(&mut self, tenant: &TenantId, value: T, bytes: usize) {
        let id = self.open(tenant);
        self.push_to(id, value, bytes);
    }

    /// The same, into a lane that [`FairQueue::open`] has just named.
    #[inline]
    pub(crate) fn push_to(&mut self, id: usize, value: T, bytes: usize) {
        self.count(bytes);
        if let Some(lane) = self.lanes.get_mut(id) {
            if lane.queue.is_empty() {
                lane.deficit = QUANTUM;
                self.active.push_back(id);
            }
            lane.bytes += bytes;
            if lane.queue.capacity() == 0 {
                // A lone message, as an ask is, needs no room for four.
                lane.queue.reserve_exact(1);
            }
            lane.queue.push_back(Queued { value, bytes });
        }
    }

    /// Puts a value at the end of its tenant's lane, when there is a lane for it and `fits` says yes to
    /// the lane's count and bytes; else gives it back.
    ///
    /// # Errors
    /// The value.
    #[inline]
    pub fn push_if(
        &mut self,
        value: T,
        bytes: usize,
        tenant: impl Fn(&T) -> &TenantId,
        fits: impl FnOnce(usize, usize) -> bool,
    ) -> Result<(), T> {
        let found = self.find(tenant(&value));
        let (len, lane_bytes) =
            found.and_then(|id| self.lanes.get(id)).map_or((0, 0), |lane| (lane.queue.len(), lane.bytes));
        let has_lane = len > 0 || self.active.len() < LANES_MAX;
        if !has_lane || !fits(len, lane_bytes) {
            return Err(value);
        }
        let id = match found {
            Some(id) => {
                self.last = id;
                id
            }
            None => self.open(tenant(&value)),
        };
        self.push_to(id, value, bytes);
        Ok(())
    }

    /// Takes the next values in turn, at most so many.
    #[inline]
    pub fn take(&mut self, most: usize, mut into: impl FnMut(T)) {
        // A lone lane has nobody to give a turn to.
        if let (1, Some(id)) = (self.active.len(), self.active.front().copied())
            && self.len > 1
        {
            self.take_lone(id, most, into);
            return;
        }
        for _ in 0..most {
            let Some(value) = self.pop() else { return };
            into(value);
        }
    }

    fn take_lone(&mut self, id: usize, most: usize, mut into: impl FnMut(T)) {
        let Some(lane) = self.lanes.get_mut(id) else { return };
        let number = most.min(lane.queue.len());
        let mut bytes = 0;
        for queued in lane.queue.drain(..number) {
            bytes += queued.bytes;
            into(queued.value);
        }
        lane.bytes -= bytes;
        self.len -= number;
        self.bytes -= bytes;
        if lane.queue.is_empty() {
            self.active.pop_front();
            self.close(id);
        }
    }

    /// Puts a value back at the head of its tenant's lane, which is served next.
    pub fn push_back_front(&mut self, tenant: &TenantId, value: T, bytes: usize) {
        let id = self.open(tenant);
        self.count(bytes);
        if let Some(lane) = self.lanes.get_mut(id) {
            if lane.queue.is_empty() {
                lane.deficit = QUANTUM;
                self.active.push_front(id);
            }
            let queued = Queued { value, bytes };
            lane.deficit = lane.deficit.saturating_add(queued.cost());
            lane.bytes += bytes;
            lane.queue.push_front(queued);
        }
    }

    /// Takes the next value in turn.
    pub fn pop(&mut self) -> Option<T> {
        self.pop_where(|_| true)
    }

    /// Takes the next value in turn out of the lanes whose head may go; the others keep their turn.
    ///
    /// **Cost**: one look at each lane whose head may not go.
    pub fn pop_where(&mut self, may_go: impl Fn(&T) -> bool) -> Option<T> {
        let mut held_up = 0;
        while held_up < self.active.len() {
            let id = *self.active.front()?;
            let lane = self.lanes.get_mut(id)?;
            let head = lane.queue.front()?;
            if !may_go(&head.value) {
                self.active.rotate_left(1);
                held_up += 1;
                continue;
            }
            held_up = 0;
            let cost = head.cost();
            if lane.deficit < cost {
                lane.deficit = lane.deficit.saturating_add(QUANTUM);
                self.active.rotate_left(1);
                continue;
            }
            lane.deficit -= cost;
            return self.take_head(id);
        }
        None
    }

    #[inline]
    fn take_head(&mut self, id: usize) -> Option<T> {
        let lane = self.lanes.get_mut(id)?;
        let queued = lane.queue.pop_front()?;
        lane.bytes -= queued.bytes;
        self.len -= 1;
        self.bytes -= queued.bytes;
        if lane.queue.is_empty() {
            self.active.pop_front();
            self.close(id);
        }
        Some(queued.value)
    }

    /// The value that waits at the head of each lane.
    pub fn heads(&self) -> impl Iterator<Item = &T> {
        self.active.iter().filter_map(|id| self.lanes.get(*id)?.queue.front()).map(|queued| &queued.value)
    }

    fn count(&mut self, bytes: usize) {
        self.len += 1;
        self.bytes += bytes;
    }

    #[inline]
    fn find(&self, tenant: &TenantId) -> Option<usize> {
        if self.lanes.get(self.last).is_some_and(|lane| lane.tenant == *tenant) {
            return Some(self.last);
        }
        self.index.get(tenant).copied()
    }

    /// The lane of this tenant, made when there is none.
    pub(crate) fn open(&mut self, tenant: &TenantId) -> usize {
        let id = self.find(tenant).unwrap_or_else(|| {
            let lane = Lane { tenant: tenant.clone(), queue: VecDeque::new(), bytes: 0, deficit: 0 };
            let id = self.free.pop().unwrap_or(self.lanes.len());
            match self.lanes.get_mut(id) {
                Some(old) => *old = lane,
                None => {
                    // Nearly every queue has one lane for ever.
                    if self.lanes.is_empty() {
                        self.lanes.reserve_exact(1);
                    }
                    self.lanes.push(lane);
                }
            }
            // A lone lane is always the last one: only others are looked up.
            if let (1, Some(lone), true) = (id, self.lanes.first(), self.index.is_empty()) {
                self.index.insert(lone.tenant.clone(), 0);
            }
            if id > 0 || !self.index.is_empty() {
                self.index.insert(tenant.clone(), id);
            }
            id
        });
        self.last = id;
        id
    }

    /// Forgets an empty lane, unless it is the only one: an entity keeps its buffer.
    fn close(&mut self, id: usize) {
        if self.index.len() <= 1 {
            return;
        }
        if let Some(lane) = self.lanes.get_mut(id) {
            self.index.remove(&lane.tenant);
            lane.queue = VecDeque::new();
            lane.deficit = 0;
            self.free.push(id);
            if self.last == id {
                // The slot may be given to another tenant: it is no longer anyone's last.
                self.last = usize::MAX;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn drained(queue: &mut FairQueue<String>) -> Vec<String> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn a_flood_delays_another_tenant_by_one_quantum() {
        let mut queue = FairQueue::default();
        let (a, b) = (tenant("a"), tenant("b"));
        for n in 0..10_000 {
            queue.push(&a, format!("a{n}"), 100);
        }
        queue.push(&b, "b".to_owned(), 100);
        let place = drained(&mut queue).iter().position(|got| got == "b").unwrap();
        assert!(place <= QUANTUM as usize, "served at place {place}");
    }

    #[test]
    fn order_holds_within_a_lane_also_when_values_are_put_back() {
        let mut queue = FairQueue::default();
        let tenants = [tenant("a"), tenant("b"), tenant("c")];
        for n in 0..300_usize {
            let of = &tenants[n % 3];
            queue.push(of, format!("{of}:{n:04}"), 100 * n);
        }
        let taken: Vec<_> = (0..40).map(|_| queue.pop().unwrap()).collect();
        for value in taken.iter().rev() {
            let (of, n) = value.split_once(':').unwrap();
            queue.push_back_front(&tenant(of), value.clone(), 100 * n.parse::<usize>().unwrap());
        }
        let all = drained(&mut queue);
        assert_eq!(all.len(), 300);
        for of in ["a", "b", "c"] {
            let lane: Vec<_> = all.iter().filter(|value| value.starts_with(of)).collect();
            assert!(lane.is_sorted(), "{of} came out of order");
        }
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn a_lane_that_may_not_go_holds_no_other_up_and_keeps_its_order() {
        let mut queue = FairQueue::default();
        for n in 0..3 {
            queue.push(&tenant("held"), format!("h{n}"), 10);
            queue.push(&tenant("large"), format!("l{n}"), 900 * 1024);
        }
        let large: Vec<_> = std::iter::from_fn(|| queue.pop_where(|value| value.starts_with('l'))).collect();
        assert_eq!(large, ["l0", "l1", "l2"]);
        assert_eq!(queue.pop_where(|_| false), None);
        assert_eq!(drained(&mut queue), ["h0", "h1", "h2"]);
    }

    #[test]
    fn taking_many_is_popping_many() {
        let filled = |lanes: usize| {
            let mut queue = FairQueue::default();
            for n in 0..200_usize {
                queue.push(&tenant(&format!("t{}", n % lanes)), n, n * 100);
            }
            queue
        };
        for lanes in [1, 3] {
            let (mut one, mut many) = (filled(lanes), filled(lanes));
            for most in [1, 64, 64, 100] {
                let mut taken = Vec::new();
                many.take(most, |value| taken.push(value));
                let popped: Vec<_> = (0..most).map_while(|_| one.pop()).collect();
                assert_eq!(taken, popped);
                assert_eq!((many.len(), many.bytes()), (one.len(), one.bytes()));
            }
            assert!(many.is_empty());
        }
    }

    #[test]
    fn a_value_that_does_not_fit_comes_back_and_opens_no_lane() {
        let mut queue = FairQueue::default();
        let value = |number| (tenant("acme"), number);
        assert_eq!(queue.push_if(value(1), 10, |value| &value.0, |_, _| false), Err(value(1)));
        assert!(queue.lanes.is_empty());
        assert_eq!(queue.push_if(value(1), 10, |value| &value.0, |len, bytes| (len, bytes) == (0, 0)), Ok(()));
        assert_eq!(queue.push_if(value(2), 10, |value| &value.0, |len, bytes| (len, bytes) == (1, 10)), Ok(()));
        assert_eq!((queue.len(), queue.bytes(), queue.pop()), (2, 20, Some(value(1))));
    }

    #[test]
    fn large_messages_cost_their_tenant_its_turns() {
        let mut queue = FairQueue::default();
        for n in 0..100 {
            queue.push(&tenant("large"), format!("l{n}"), 64 * 1024);
            queue.push(&tenant("small"), format!("s{n}"), 100);
        }
        let first: Vec<_> = (0..60).map(|_| queue.pop().unwrap()).collect();
        let small = first.iter().filter(|value| value.starts_with('s')).count();
        assert!(small >= 50, "only {small} of 60 were small");
    }

    #[test]
    fn an_empty_lane_is_forgotten_and_its_place_used_again() {
        let mut queue = FairQueue::default();
        for n in 0..5_000 {
            let of = tenant(&format!("t{n}"));
            queue.push(&of, n, 10);
            queue.push(&tenant("keeps"), n, 10);
            assert_eq!(queue.lane(&of), (1, 10));
            while queue.pop().is_some() {}
            assert_eq!(queue.lane(&of), (0, 0));
        }
        assert!(queue.lanes.len() <= 3, "{} lanes", queue.lanes.len());
    }
}

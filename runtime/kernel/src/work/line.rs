//! The line of one performer: what runs, what waits for a worker, and who was turned away.
//!
//! What does not fit is not lost: wants are a function of state, so it is enough to remember who
//! was turned away, and to have them ask again when there is room. What even that does not hold is
//! in the journal, which knows everybody that waits for work.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::EffectTask;
use crate::{
    envelope::{Address, TenantId},
    fair::{Bounds, FairQueue},
    ports::{Concurrency, Effects},
};

/// Addresses that one line remembers beyond what waits in it; about 150 bytes each.
pub(super) const AWAY_MAX: usize = 65_536;

/// What a waiting effect is charged for beside its envelope and its input.
const OVERHEAD: usize = 400;

/// How long room is kept for someone who was told to ask again, and then perhaps wants nothing any
/// more.
const PATIENCE: Duration = Duration::from_secs(5);

/// An effect that waits for a worker, and what cancels it.
pub(super) type Waiting = (EffectTask, CancellationToken);

/// Who may ask again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CallUp {
    /// Nobody was turned away, or there is no room.
    Nobody,
    /// These.
    Who(Vec<Address>),
    /// More were turned away than could be remembered: the journal knows who waits.
    AskTheJournal,
}

/// The line of one performer.
pub(super) struct Line {
    pub(super) effects: Arc<dyn Effects>,
    pub(super) concurrency: Concurrency,
    bounds: Bounds,
    running: usize,
    running_of: HashMap<TenantId, usize>,
    waiting: FairQueue<Waiting>,
    away: FairQueue<Address>,
    /// How many effects of an address that is away were turned away.
    turned_away: HashMap<Address, usize>,
    /// Those who were told to ask again, for how many effects, and have not asked yet.
    called: HashMap<Address, usize>,
    /// The same, summed by tenant.
    kept_for: HashMap<TenantId, usize>,
    called_at: Option<Instant>,
    /// Somebody was turned away and is not remembered.
    forgot: bool,
}

impl Line {
    pub(super) fn new(effects: Arc<dyn Effects>, bounds: Bounds) -> Self {
        Self {
            concurrency: effects.concurrency(),
            effects,
            bounds,
            running: 0,
            running_of: HashMap::new(),
            waiting: FairQueue::default(),
            away: FairQueue::default(),
            turned_away: HashMap::new(),
            called: HashMap::new(),
            kept_for: HashMap::new(),
            called_at: None,
            forgot: false,
        }
    }

    /// What one tenant may have waiting: half of all.
    fn lane_bounds(&self) -> Bounds {
        Bounds { items: self.bounds.items.div_ceil(2), bytes: self.bounds.bytes / 2 }
    }

    /// Whether one more effect may wait. An empty lane takes one of any size.
    pub(super) fn has_room(&self, task: &EffectTask) -> bool {
        let (charge, tenant, bounds) = (charge(task), task.address.tenant(), self.lane_bounds());
        let (items, bytes) = self.waiting.lane(tenant);
        let fits = items < bounds.items
            && bytes + charge <= bounds.bytes
            && self.waiting.bytes() + charge <= self.bounds.bytes;
        self.waiting.has_lane(tenant) && self.waiting.len() < self.bounds.items && (items == 0 || fits)
    }

    /// Puts an effect at the end of its tenant's lane.
    pub(super) fn push(&mut self, task: EffectTask, token: CancellationToken) {
        let (charge, tenant) = (charge(&task), task.address.tenant().clone());
        self.waiting.push(&tenant, (task, token), charge);
    }

    /// Remembers that an effect of this address did not fit.
    pub(super) fn turn_away(&mut self, address: &Address) {
        if let Some(effects) = self.turned_away.get_mut(address) {
            *effects += 1;
        } else if self.turned_away.len() < AWAY_MAX && self.away.lane(address.tenant()).0 * 2 < AWAY_MAX {
            self.turned_away.insert(address.clone(), 1);
            self.away.push(address.tenant(), address.clone(), 0);
        } else {
            self.forgot = true;
        }
    }

    /// Somebody may have been turned away who is not remembered.
    pub(super) fn forget(&mut self) {
        self.forgot = true;
    }

    /// The next effect that may start: tenants in turn, each within its bound.
    pub(super) fn next(&mut self) -> Option<Waiting> {
        if self.running >= self.concurrency.total {
            return None;
        }
        let (running_of, most) = (&self.running_of, self.concurrency.per_tenant);
        let may_start =
            |(task, _): &Waiting| running_of.get(task.address.tenant()).is_none_or(|running| *running < most);
        let next = self.waiting.pop_where(may_start)?;
        self.running += 1;
        *self.running_of.entry(next.0.address.tenant().clone()).or_default() += 1;
        Some(next)
    }

    /// An effect of this tenant has ended. True when someone may be told now to ask again.
    pub(super) fn finished(&mut self, tenant: &TenantId) -> bool {
        self.running = self.running.saturating_sub(1);
        if let Some(running) = self.running_of.get_mut(tenant) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.running_of.remove(tenant);
            }
        }
        (self.forgot || self.away.lane(tenant).0 > 0) && self.is_half_empty(tenant)
    }

    /// An address has asked: no room is kept for it any more.
    pub(super) fn has_asked(&mut self, address: &Address) {
        if let Some(effects) = self.called.remove(address)
            && let Some(kept) = self.kept_for.get_mut(address.tenant())
        {
            *kept = kept.saturating_sub(effects);
            if *kept == 0 {
                self.kept_for.remove(address.tenant());
            }
        }
    }

    /// Whether someone was turned away who has not been told to ask again.
    pub(super) fn owes(&self) -> bool {
        self.forgot || !self.away.is_empty()
    }

    /// Only a lane that is half empty has anyone called up, so that many are called at once and find
    /// room, and nobody asks in vain for each effect that ends.
    fn is_half_empty(&self, tenant: &TenantId) -> bool {
        let (items, bytes) = self.waiting.lane(tenant);
        let kept = self.kept_for.get(tenant).copied().unwrap_or_default();
        (items + kept) * 4 <= self.bounds.items && bytes * 4 <= self.bounds.bytes
    }

    /// Takes out who may ask again, tenants in turn, as many as their effects have room.
    pub(super) fn call_up(&mut self, now: Instant) -> CallUp {
        if self.called_at.is_some_and(|at| now.duration_since(at) > PATIENCE) {
            self.called.clear();
            self.kept_for.clear();
        }
        let kept: usize = self.kept_for.values().sum();
        let mut room = self.bounds.items.saturating_sub(self.waiting.len() + kept);
        let mut who = Vec::new();
        while room > 0
            && let Some(address) = self.next_away()
        {
            let effects = self.turned_away.remove(&address).unwrap_or(1);
            room = room.saturating_sub(effects);
            *self.kept_for.entry(address.tenant().clone()).or_default() += effects;
            self.called.insert(address.clone(), effects);
            who.push(address);
        }
        if !who.is_empty() {
            self.called_at = Some(now);
            return CallUp::Who(who);
        }
        // Only once everybody who is remembered has had their turn.
        if self.away.is_empty() && self.called.is_empty() && std::mem::take(&mut self.forgot) {
            return CallUp::AskTheJournal;
        }
        CallUp::Nobody
    }

    fn next_away(&mut self) -> Option<Address> {
        let mut away = std::mem::take(&mut self.away);
        let next = away.pop_where(|address| self.is_half_empty(address.tenant()));
        self.away = away;
        next
    }

    #[cfg(test)]
    pub(super) fn load(&self) -> (usize, usize, usize) {
        (self.waiting.len(), self.waiting.bytes(), self.turned_away.len())
    }
}

fn charge(task: &EffectTask) -> usize {
    OVERHEAD + task.cause.charge() + task.request.input.len() + task.request.key.as_str().len()
}

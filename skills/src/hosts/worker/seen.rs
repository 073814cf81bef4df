//! What observers see of the workers.

use std::{collections::BTreeMap, time::Duration};

use mesh_kernel::envelope::TenantId;
use tokio::time::Instant;

use super::host::Workers;

/// A worker that is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSeen {
    /// Whose it is.
    pub tenant: TenantId,
    /// As it calls itself.
    pub worker: String,
    /// Name and version of each skill that it has, sorted.
    pub skills: Vec<(String, String)>,
    /// Calls that it has.
    pub leased: usize,
    /// Calls that it takes at once.
    pub most: usize,
    /// It takes nothing new.
    pub is_draining: bool,
    /// How long ago it said something.
    pub heard: Duration,
    /// For how long it has been connected.
    pub connected: Duration,
}

/// How many there are of one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerFigures {
    /// Workers that take calls.
    pub live: u64,
    /// Workers that take nothing new.
    pub draining: u64,
    /// Calls that a worker has.
    pub leased: u64,
    /// Calls that no worker has yet.
    pub waiting: u64,
    /// Calls that are kept for a worker that was lost.
    pub lost: u64,
}

impl WorkerFigures {
    /// The sum of both, for tenants that are told as one.
    pub fn add(&mut self, other: &Self) {
        let Self { live, draining, leased, waiting, lost } = other;
        self.live += live;
        self.draining += draining;
        self.leased += leased;
        self.waiting += waiting;
        self.lost += lost;
    }
}

impl Workers {
    /// The workers that are connected, of one tenant or of all, by tenant and name.
    pub fn seen(&self, tenant: Option<&TenantId>) -> Vec<WorkerSeen> {
        let now = Instant::now();
        let state = self.lock();
        let seats = state.seats.values().filter(|seat| tenant.is_none_or(|of| seat.tenant == *of));
        let mut all: Vec<WorkerSeen> = seats
            .map(|seat| {
                let mut skills: Vec<_> = seat.skills.iter().cloned().collect();
                skills.sort();
                WorkerSeen {
                    tenant: seat.tenant.clone(),
                    worker: seat.worker.clone(),
                    skills,
                    leased: seat.open.len(),
                    most: seat.most,
                    is_draining: seat.is_draining,
                    heard: now.saturating_duration_since(seat.heard),
                    connected: now.saturating_duration_since(seat.since),
                }
            })
            .collect();
        drop(state);
        all.sort_by(|a, b| (&a.tenant, &a.worker).cmp(&(&b.tenant, &b.worker)));
        all
    }

    /// The figures of every tenant that has workers, or calls for them.
    pub fn figures(&self) -> BTreeMap<TenantId, WorkerFigures> {
        let mut all: BTreeMap<TenantId, WorkerFigures> = BTreeMap::new();
        let state = self.lock();
        for seat in state.seats.values() {
            let figures = all.entry(seat.tenant.clone()).or_default();
            match seat.is_draining {
                true => figures.draining += 1,
                false => figures.live += 1,
            }
        }
        for call in state.calls.values() {
            let figures = all.entry(call.asked.tenant.clone()).or_default();
            match (call.session, &call.lost_by) {
                (Some(_), _) => figures.leased += 1,
                (None, Some(_)) => figures.lost += 1,
                (None, None) => figures.waiting += 1,
            }
        }
        all
    }
}

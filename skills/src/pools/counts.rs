//! What is counted, by tenant.

use std::collections::HashMap;

use mesh_kernel::envelope::TenantId;
use parking_lot::Mutex;

/// Calls that rates and breakers have held back, since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Waited for a rate.
    pub rate_waited: u64,
    /// Had no time to wait for a rate.
    pub rate_refused: u64,
    /// Waited for a breaker.
    pub breaker_waited: u64,
    /// Were refused by a breaker.
    pub breaker_refused: u64,
    /// How often a breaker has opened, or a try has failed.
    pub opened: u64,
}

/// The figures of one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Since the node started.
    pub tally: Tally,
    /// Skills whose breaker is not closed.
    pub open_skills: u64,
    /// Hosts whose breaker is not closed.
    pub open_hosts: u64,
}

impl Figures {
    /// The sum of both, for tenants that are told as one.
    pub fn add(&mut self, other: &Self) {
        let Self { tally, open_skills, open_hosts } = other;
        let Tally { rate_waited, rate_refused, breaker_waited, breaker_refused, opened } = tally;
        self.tally.rate_waited += rate_waited;
        self.tally.rate_refused += rate_refused;
        self.tally.breaker_waited += breaker_waited;
        self.tally.breaker_refused += breaker_refused;
        self.tally.opened += opened;
        self.open_skills += open_skills;
        self.open_hosts += open_hosts;
    }
}

/// The tallies of all tenants that have one.
#[derive(Default)]
pub(super) struct Counts(Mutex<HashMap<TenantId, Tally>>);

impl Counts {
    pub(super) fn count(&self, tenant: &TenantId, what: impl FnOnce(&mut Tally)) {
        what(self.0.lock().entry(tenant.clone()).or_default());
    }

    pub(super) fn all(&self) -> HashMap<TenantId, Figures> {
        let all = self.0.lock();
        all.iter().map(|(tenant, tally)| (tenant.clone(), Figures { tally: *tally, ..Figures::default() })).collect()
    }

    pub(super) fn forget(&self, tenant: &TenantId) {
        self.0.lock().remove(tenant);
    }
}

//! Sums per kind and tenant; they outlive the actors that fed them and never go down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;

use super::{Gathered, Timed, Timing};
use crate::envelope::{Address, TenantId};

/// Counters that all actors of one kind and tenant share.
#[derive(Debug, Default)]
pub struct KindMeter {
    handled: AtomicU64,
    failed: AtomicU64,
    restarts: AtomicU64,
    dead: AtomicU64,
    wait: Timing,
    handle: Timing,
}

impl KindMeter {
    /// One message was handled, or its handler failed.
    pub fn record(&self, waited: Duration, took: Duration, failed: bool) {
        let counter = if failed { &self.failed } else { &self.handled };
        counter.fetch_add(1, Ordering::Relaxed);
        self.wait.record(waited);
        self.handle.record(took);
    }

    /// Messages were handled one after another, each in the same time.
    pub fn record_many(&self, number: u32, each: Duration, waits: &Gathered) {
        self.handled.fetch_add(number.into(), Ordering::Relaxed);
        self.wait.add(waits);
        self.handle.record_many(each, number);
    }

    /// One actor was started again after a failure.
    pub fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// One message went to the dead letters.
    pub fn died(&self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
    }
}

/// The sums of one kind and tenant, as of now.
#[derive(Debug, Clone)]
pub struct KindSums {
    /// The platform's token.
    pub platform: Arc<str>,
    /// The aggregate.
    pub kind: Arc<str>,
    /// Whose they are.
    pub tenant: TenantId,
    /// Messages handled.
    pub handled: u64,
    /// Messages whose handler failed.
    pub failed: u64,
    /// Restarts after a failure.
    pub restarts: u64,
    /// Messages in the dead letters.
    pub dead: u64,
    /// How long messages waited.
    pub wait: Timed,
    /// How long they were handled.
    pub handle: Timed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    platform: Arc<str>,
    kind: Arc<str>,
    tenant: TenantId,
}

/// All sums of the node.
///
/// **Cost**: one entry per kind and tenant that was ever awake, about 900 bytes.
#[derive(Debug, Default)]
pub struct Meters {
    kinds: DashMap<Key, Arc<KindMeter>>,
}

impl Meters {
    /// The counters for the kind and the tenant of this address. To be asked once per actor.
    pub fn of(&self, address: &Address) -> Arc<KindMeter> {
        let key = Key {
            platform: Arc::from(address.platform()),
            kind: Arc::from(address.kind()),
            tenant: address.tenant().clone(),
        };
        self.kinds.entry(key).or_default().clone()
    }

    /// All sums, by platform, kind and tenant.
    pub fn sums(&self) -> Vec<KindSums> {
        let mut sums: Vec<_> = self.kinds.iter().map(|entry| sums(entry.key(), entry.value())).collect();
        sums.sort_by(|a, b| (&a.platform, &a.kind, &a.tenant).cmp(&(&b.platform, &b.kind, &b.tenant)));
        sums
    }
}

fn sums(key: &Key, meter: &KindMeter) -> KindSums {
    KindSums {
        platform: key.platform.clone(),
        kind: key.kind.clone(),
        tenant: key.tenant.clone(),
        handled: meter.handled.load(Ordering::Relaxed),
        failed: meter.failed.load(Ordering::Relaxed),
        restarts: meter.restarts.load(Ordering::Relaxed),
        dead: meter.dead.load(Ordering::Relaxed),
        wait: meter.wait.timed(),
        handle: meter.handle.timed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_actors_of_one_kind_and_tenant_share_their_sums() {
        let meters = Meters::default();
        let of = |text: &str| meters.of(&text.parse().unwrap());
        of("acme/control-plane/run/run-1").record(Duration::ZERO, Duration::ZERO, false);
        of("acme/control-plane/run/run-2").record(Duration::ZERO, Duration::ZERO, true);
        of("zeta/control-plane/run/run-1").restarted();
        let sums = meters.sums();
        assert_eq!(sums.len(), 2);
        assert_eq!((sums[0].handled, sums[0].failed, sums[0].restarts), (1, 1, 0));
        assert_eq!((sums[1].handled, sums[1].restarts), (0, 1));
    }
}

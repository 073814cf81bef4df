//! Quotas: a token bucket of requests for each tenant, and a bound on its open streams.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use parking_lot::Mutex;

use crate::{
    envelope::{ErrorKind, Refusal, TenantId},
    ports::Clock,
};

/// What one tenant may ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// Requests that may come in at once. **Units**: requests.
    pub burst: f64,
    /// Requests that come back with time. **Units**: requests per second.
    pub per_second: f64,
    /// Streams that may be open at once. **Units**: streams.
    pub streams_max: usize,
}

impl Default for Quota {
    fn default() -> Self {
        Self { burst: 20_000.0, per_second: 20_000.0, streams_max: 1_000 }
    }
}

struct Bucket {
    tokens: f64,
    filled: Duration,
    /// How many were told to come back at a time that has not come.
    told: f64,
}

/// So far apart at most lie the times at which callers are told to come back: not all of them do.
const SPREAD: Duration = Duration::from_secs(1);

/// How long a caller that has too many streams waits before it tries again.
const STREAM_RETRY: Duration = Duration::from_secs(1);

/// The right to one open stream; dropping it gives it back.
#[derive(Debug)]
pub struct StreamPermit(Arc<AtomicUsize>);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The buckets of all tenants that asked for something lately.
///
/// Quotas bound what comes in at the edge; what the node sends to itself (reactions, timers,
/// outcomes) is not counted, so that a tenant at its bound can still finish what it has begun.
pub struct Quotas {
    quota: Quota,
    buckets: DashMap<TenantId, Mutex<Bucket>>,
    streams: DashMap<TenantId, Arc<AtomicUsize>>,
    clock: Arc<dyn Clock>,
}

impl Quotas {
    /// Buckets that give each tenant the same quota.
    pub fn new(quota: Quota, clock: Arc<dyn Clock>) -> Self {
        Self { quota, buckets: DashMap::new(), streams: DashMap::new(), clock }
    }

    /// Takes one request from a tenant's bucket.
    ///
    /// # Errors
    /// `ResourceExhausted` with the time after which there is room again, for this caller: those who are
    /// refused meanwhile are told later times, so that they do not all come back for the same place.
    pub fn take(&self, tenant: &TenantId) -> Result<(), Refusal> {
        let now = self.clock.monotonic();
        if let Some(bucket) = self.buckets.get(tenant) {
            return self.draw(&mut bucket.lock(), now);
        }
        let bucket = self
            .buckets
            .entry(tenant.clone())
            .or_insert_with(|| Mutex::new(Bucket { tokens: self.quota.burst, filled: now, told: 0.0 }));
        self.draw(&mut bucket.lock(), now)
    }

    /// The right to open one more stream.
    ///
    /// # Errors
    /// `ResourceExhausted` when the tenant has as many open as it may.
    pub fn stream(&self, tenant: &TenantId) -> Result<StreamPermit, Refusal> {
        let open = self.streams.entry(tenant.clone()).or_default().clone();
        let max = self.quota.streams_max;
        let taken = open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < max).then_some(open + 1));
        if taken.is_ok() {
            return Ok(StreamPermit(open));
        }
        let message = format!("the tenant has {max} streams open, as many as it may: close one, or wait, then repeat");
        Err(Refusal::new("TEN-0002", ErrorKind::ResourceExhausted, message).after(STREAM_RETRY))
    }

    fn draw(&self, bucket: &mut Bucket, now: Duration) -> Result<(), Refusal> {
        let elapsed = now.saturating_sub(bucket.filled).as_secs_f64();
        let back = elapsed * self.quota.per_second;
        bucket.tokens = (bucket.tokens + back).min(self.quota.burst);
        bucket.told = (bucket.told - back).max(0.0);
        bucket.filled = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - bucket.tokens + bucket.told) / self.quota.per_second.max(0.001);
        bucket.told = (bucket.told + 1.0).min(self.quota.per_second * SPREAD.as_secs_f64());
        Err(Refusal::new(
            "TEN-0001",
            ErrorKind::ResourceExhausted,
            format!(
                "the tenant's quota of {} requests per second is used up: wait, then repeat",
                self.quota.per_second
            ),
        )
        .after(Duration::from_secs_f64(wait.clamp(0.001, 60.0))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::envelope::{Retry, Timestamp};

    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }
        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_tenant_over_its_quota_is_told_when_to_come_back_and_others_are_not() {
        let hand = Arc::new(Hand::default());
        let quotas = Quotas::new(Quota { burst: 2.0, per_second: 10.0, ..Quota::default() }, hand.clone());
        let (a, b) = (TenantId::parse("a").unwrap(), TenantId::parse("b").unwrap());
        assert!(quotas.take(&a).is_ok() && quotas.take(&a).is_ok());
        let refusal = quotas.take(&a).unwrap_err();
        assert_eq!(refusal.kind, ErrorKind::ResourceExhausted);
        assert_eq!(refusal.retry, Retry::After(Duration::from_millis(100)));
        assert!(quotas.take(&b).is_ok(), "a flood of one tenant shut another out");
        hand.0.store(100, Ordering::Relaxed);
        assert!(quotas.take(&a).is_ok());
    }

    #[test]
    fn those_who_are_refused_are_told_different_times_and_each_finds_room_at_its_own() {
        let hand = Arc::new(Hand::default());
        let quotas = Quotas::new(Quota { burst: 1.0, per_second: 10.0, ..Quota::default() }, hand.clone());
        let a = TenantId::parse("a").unwrap();
        assert!(quotas.take(&a).is_ok());
        let told: Vec<_> = (0..20).map(|_| quotas.take(&a).unwrap_err().retry).collect();
        let expected: Vec<_> = (1..=20_u64).map(|n| Retry::After(Duration::from_millis(100 * n.min(11)))).collect();
        assert_eq!(told, expected, "one place apart, up to a second");
        for n in 1..=5 {
            hand.0.store(100 * n, Ordering::Relaxed);
            assert!(quotas.take(&a).is_ok(), "whoever came back at the time that it was told was refused again");
        }
        assert_eq!(quotas.take(&a).unwrap_err().retry, Retry::After(Duration::from_millis(600)));
    }

    #[test]
    fn a_stream_that_ends_makes_room_for_another_and_no_tenant_takes_another_ones() {
        let quotas = Quotas::new(Quota { streams_max: 2, ..Quota::default() }, Arc::new(Hand::default()));
        let (a, b) = (TenantId::parse("a").unwrap(), TenantId::parse("b").unwrap());
        let (one, _two) = (quotas.stream(&a).unwrap(), quotas.stream(&a).unwrap());
        let refusal = quotas.stream(&a).unwrap_err();
        assert_eq!((refusal.kind, refusal.retry), (ErrorKind::ResourceExhausted, Retry::After(STREAM_RETRY)));
        assert!(quotas.stream(&b).is_ok(), "one tenant's streams shut another out");
        drop(one);
        assert!(quotas.stream(&a).is_ok());
    }
}

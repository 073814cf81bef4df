//! Durations in 40 buckets, each twice as wide as the one before.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

const BUCKETS: usize = 40;

/// A histogram of durations: one relaxed addition per observation, 160 bytes.
///
/// **Units**: bucket *n* holds durations of 2ⁿ⁻¹ to 2ⁿ nanoseconds, so a quantile is at most twice
/// too large; the last bucket holds everything over four and a half minutes.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU32; BUCKETS],
}

/// What a histogram tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Observations in all.
    pub count: u64,
    /// Half of them were at most this.
    pub p50: Duration,
    /// 99 of 100 were at most this.
    pub p99: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU32::new(0) }; BUCKETS] }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&self, duration: Duration) {
        if let Some(bucket) = self.buckets.get(index(duration)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Count, median and 99th percentile as of now; a race with a writer may miss that one.
    pub fn quantiles(&self) -> Quantiles {
        let counts = self.counts();
        Quantiles { count: counts.iter().sum(), p50: quantile(&counts, 50), p99: quantile(&counts, 99) }
    }

    /// The count of each bucket; bucket *n* ends at 2ⁿ nanoseconds.
    pub fn counts(&self) -> [u64; BUCKETS] {
        let mut counts = [0; BUCKETS];
        for (count, bucket) in counts.iter_mut().zip(&self.buckets) {
            *count = u64::from(bucket.load(Ordering::Relaxed));
        }
        counts
    }
}

fn index(duration: Duration) -> usize {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let bits = (u64::BITS - nanos.leading_zeros()) as usize;
    bits.min(BUCKETS - 1)
}

fn quantile(counts: &[u64], percent: u64) -> Duration {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return Duration::ZERO;
    }
    let rank = (total * percent).div_ceil(100).max(1);
    let mut seen = 0;
    for (bucket, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= rank {
            return Duration::from_nanos(1_u64 << bucket);
        }
    }
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_twice_too_large() {
        for nanos in [1_u64, 7, 1_000, 65_535, 65_536, 3_000_000, 9_000_000_000] {
            let histogram = Histogram::default();
            histogram.record(Duration::from_nanos(nanos));
            let told = histogram.quantiles().p50.as_nanos() as u64;
            assert!(told >= nanos && told <= nanos * 2, "{nanos} was told as {told}");
        }
    }

    #[test]
    fn the_99th_percentile_ignores_one_in_a_hundred() {
        let histogram = Histogram::default();
        for _ in 0..99 {
            histogram.record(Duration::from_micros(1));
        }
        histogram.record(Duration::from_secs(1));
        let told = histogram.quantiles();
        assert_eq!(told.count, 100);
        assert!(told.p99 < Duration::from_micros(3));
        histogram.record(Duration::from_secs(1));
        histogram.record(Duration::from_secs(1));
        assert!(histogram.quantiles().p99 > Duration::from_millis(500));
    }

    #[test]
    fn the_longest_duration_has_a_bucket() {
        let histogram = Histogram::default();
        histogram.record(Duration::MAX);
        histogram.record(Duration::ZERO);
        assert_eq!(histogram.quantiles().count, 2);
    }
}

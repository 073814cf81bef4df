//! Durations in 40 buckets, each twice as wide as the one before.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Buckets of a histogram.
pub(super) const BUCKETS: usize = 40;

/// A histogram of durations: one relaxed addition per observation, 160 bytes.
///
/// **Units**: bucket *n* holds durations of 2ⁿ⁻¹ to 2ⁿ nanoseconds, so a quantile is at most twice
/// too large; the last bucket holds everything over four and a half minutes.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU32; BUCKETS],
}

/// Durations that one thread has gathered before it tells them, so that many cost one addition.
#[derive(Debug, Clone)]
pub struct Gathered {
    buckets: [u32; BUCKETS],
    /// A bit for each bucket that is not empty.
    touched: u64,
    /// All of them together.
    nanos: u64,
}

impl Default for Gathered {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], touched: 0, nanos: 0 }
    }
}

impl Gathered {
    /// Counts one duration.
    #[inline]
    pub fn record(&mut self, duration: Duration) {
        let nanos = nanos(duration);
        let place = bucket(nanos);
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket += 1;
            self.touched |= 1 << place;
        }
        self.nanos = self.nanos.wrapping_add(nanos);
    }

    /// The buckets that are not empty, with their counts.
    pub(super) fn counts(&self) -> impl Iterator<Item = (usize, u32)> {
        let mut touched = self.touched;
        std::iter::from_fn(move || {
            let place = (touched != 0).then(|| touched.trailing_zeros() as usize)?;
            touched &= touched - 1;
            Some((place, self.buckets.get(place).copied().unwrap_or_default()))
        })
    }

    /// All durations together. **Units**: nanoseconds.
    pub(super) fn nanos(&self) -> u64 {
        self.nanos
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        while self.touched != 0 {
            let place = self.touched.trailing_zeros() as usize;
            self.touched &= self.touched - 1;
            if let Some(bucket) = self.buckets.get_mut(place) {
                *bucket = 0;
            }
        }
        self.nanos = 0;
    }
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
        self.record_many(duration, 1);
    }

    /// Counts the same duration so many times, for the price of one.
    pub fn record_many(&self, duration: Duration, times: u32) {
        if let Some(bucket) = self.buckets.get(bucket(nanos(duration))) {
            bucket.fetch_add(times, Ordering::Relaxed);
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

/// Nanoseconds that fit a counter: 584 years are for ever.
#[inline]
pub(super) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}

/// The bucket that so many nanoseconds belong to.
#[inline]
pub(super) fn bucket(nanos: u64) -> usize {
    ((u64::BITS - nanos.leading_zeros()) as usize).min(BUCKETS - 1)
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

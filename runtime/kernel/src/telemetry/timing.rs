//! Durations that are summed for as long as the process lives.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::histogram::{BUCKETS, Gathered, bucket, nanos};

/// A histogram that is kept for years: its counts do not run over, and it knows its sum.
///
/// **Units**: bucket *n* holds durations of 2ⁿ⁻¹ to 2ⁿ nanoseconds; the last one everything over
/// four and a half minutes.
///
/// **Cost**: two relaxed additions per observation, 328 bytes.
#[derive(Debug)]
pub struct Timing {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

/// What a [`Timing`] had counted at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timed {
    /// Observations in each bucket.
    pub counts: [u64; BUCKETS],
    /// All durations together.
    pub sum: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], nanos: AtomicU64::new(0) }
    }
}

impl Default for Timed {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], sum: Duration::ZERO }
    }
}

impl Timing {
    /// Counts one duration.
    pub fn record(&self, duration: Duration) {
        self.record_many(duration, 1);
    }

    /// Counts the same duration so many times, for the price of one.
    #[inline]
    pub fn record_many(&self, duration: Duration, times: u32) {
        let nanos = nanos(duration);
        if let Some(bucket) = self.buckets.get(bucket(nanos)) {
            bucket.fetch_add(times.into(), Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos.wrapping_mul(times.into()), Ordering::Relaxed);
    }

    /// Counts what was gathered.
    pub fn add(&self, gathered: &Gathered) {
        for (place, times) in gathered.counts() {
            if let Some(bucket) = self.buckets.get(place) {
                bucket.fetch_add(times.into(), Ordering::Relaxed);
            }
        }
        self.nanos.fetch_add(gathered.nanos(), Ordering::Relaxed);
    }

    /// What was counted so far; a race with a writer may miss that one.
    pub fn timed(&self) -> Timed {
        let mut timed = Timed { sum: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)), ..Timed::default() };
        for (count, bucket) in timed.counts.iter_mut().zip(&self.buckets) {
            *count = bucket.load(Ordering::Relaxed);
        }
        timed
    }
}

impl Timed {
    /// Observations in all.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Observations of at most this long, in whole buckets: exact for powers of two of a nanosecond.
    pub fn within(&self, at_most: Duration) -> u64 {
        let nanos = nanos(at_most);
        let whole = |bucket: usize| 1_u64.checked_shl(bucket as u32).is_some_and(|end| end <= nanos);
        self.counts.iter().enumerate().filter(|(bucket, _)| whole(*bucket)).map(|(_, count)| count).sum()
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_counted_twice_and_the_sum_is_exact() {
        let timing = Timing::default();
        for nanos in [0_u64, 1, 2, 1_023, 1_024, 5_000_000_000, u64::MAX / 4] {
            timing.record(Duration::from_nanos(nanos));
        }
        let timed = timing.timed();
        assert_eq!(timed.count(), 7);
        assert_eq!(timed.sum, Duration::from_nanos(1 + 2 + 1_023 + 1_024 + 5_000_000_000 + u64::MAX / 4));
        // Up to and with 1,023; 1,024 itself begins the bucket that ends at 2,048.
        assert_eq!(timed.within(Duration::from_nanos(1_024)), 4);
        assert_eq!(timed.within(Duration::from_nanos(2_048)), 5);
        assert_eq!(timed.within(Duration::from_secs(3_600)), 6 + 1, "{timed:?}");
    }

    #[test]
    fn what_was_gathered_counts_as_if_it_had_been_told_at_once() {
        let (one_by_one, at_once) = (Timing::default(), Timing::default());
        let mut gathered = Gathered::default();
        for round in 1..4_u64 {
            for nanos in [0, round, 900, 1_000 * round, 7_000_000_000] {
                one_by_one.record(Duration::from_nanos(nanos));
                gathered.record(Duration::from_nanos(nanos));
            }
            at_once.add(&gathered);
            gathered.clear();
        }
        one_by_one.record(Duration::from_nanos(33));
        one_by_one.record(Duration::from_nanos(33));
        at_once.record_many(Duration::from_nanos(33), 2);
        assert_eq!(at_once.timed(), one_by_one.timed());
    }

    #[test]
    fn two_are_added_bucket_by_bucket() {
        let (a, b) = (Timing::default(), Timing::default());
        a.record(Duration::from_micros(3));
        b.record(Duration::from_micros(3));
        b.record(Duration::from_secs(1));
        let mut sum = a.timed();
        sum.add(&b.timed());
        assert_eq!((sum.count(), sum.sum), (3, Duration::from_micros(1_000_006)));
    }
}

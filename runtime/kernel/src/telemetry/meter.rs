//! The hot counters of one actor.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{Histogram, Quantiles};

/// What one actor counts of itself, read by anyone at any time without a lock.
///
/// Only the actor writes, so a load and a store do for an addition.
#[derive(Debug, Default)]
pub struct Meter {
    handled: AtomicU64,
    failed: AtomicU64,
    /// Monotonic nanoseconds plus one; 0 while it is not in a handler.
    busy_since: AtomicU64,
    /// Monotonic nanoseconds of the last handler's end.
    last_at: AtomicU64,
    /// Moving average of the handling time, in nanoseconds.
    average: AtomicU64,
    handle: Histogram,
}

fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX - 1)
}

impl Meter {
    /// A handler begins at this monotonic instant.
    #[inline]
    pub fn begin(&self, at: Duration) {
        self.busy_since.store(nanos(at) + 1, Ordering::Relaxed);
    }

    /// The handler that began has ended, one way or another.
    pub fn end(&self, began: Duration, at: Duration, failed: bool) {
        let took = at.saturating_sub(began);
        self.busy_since.store(0, Ordering::Relaxed);
        self.last_at.store(nanos(at), Ordering::Relaxed);
        let counter = if failed { &self.failed } else { &self.handled };
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let average = self.average.load(Ordering::Relaxed);
        self.average.store(average - average / 8 + nanos(took) / 8, Ordering::Relaxed);
        self.handle.record(took);
    }

    /// Messages were handled one after another, until this instant, each in the same time.
    #[inline]
    pub fn end_many(&self, number: u32, each: Duration, at: Duration) {
        self.busy_since.store(0, Ordering::Relaxed);
        self.last_at.store(nanos(at), Ordering::Relaxed);
        self.handled.store(self.handled.load(Ordering::Relaxed) + u64::from(number), Ordering::Relaxed);
        let average = self.average.load(Ordering::Relaxed);
        self.average.store(average - average / 8 + nanos(each) / 8, Ordering::Relaxed);
        self.handle.record_many(each, number);
    }

    /// The incarnation ended while a handler ran: killed, or its task was dropped.
    pub fn cut(&self, at: Duration) {
        self.busy_since.store(0, Ordering::Relaxed);
        self.touch(at);
    }

    /// Counts as a sign of life at this instant.
    pub fn touch(&self, at: Duration) {
        self.last_at.store(nanos(at), Ordering::Relaxed);
    }

    /// Since when it has been in the handler that runs now.
    pub fn busy_since(&self) -> Option<Duration> {
        match self.busy_since.load(Ordering::Relaxed) {
            0 => None,
            since => Some(Duration::from_nanos(since - 1)),
        }
    }

    /// When it last ended a handler.
    pub fn last_at(&self) -> Duration {
        Duration::from_nanos(self.last_at.load(Ordering::Relaxed))
    }

    /// Messages that were handled.
    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// Messages whose handler failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// A moving average of the handling time.
    pub fn average(&self) -> Duration {
        Duration::from_nanos(self.average.load(Ordering::Relaxed))
    }

    /// How long messages were handled. How long they waited is known per kind and tenant.
    pub fn handle(&self) -> Quantiles {
        self.handle.quantiles()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_tells_what_happened() {
        let meter = Meter::default();
        let ms = Duration::from_millis;
        meter.begin(ms(5));
        assert_eq!(meter.busy_since(), Some(ms(5)));
        meter.end(ms(5), ms(7), false);
        meter.begin(ms(7));
        meter.end(ms(7), ms(8), true);
        assert_eq!((meter.handled(), meter.failed()), (1, 1));
        assert_eq!(meter.busy_since(), None);
        assert_eq!(meter.last_at(), ms(8));
        assert_eq!(meter.handle().count, 2);
        assert!(meter.average() > Duration::ZERO);
    }
}

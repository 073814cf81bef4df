//! A breaker: closed, open, and half-open while one call tries.

use std::time::Duration;

use mesh_kernel::envelope::Timestamp;

/// How long a breaker that has not failed is remembered after its last failure.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Longest reason that is kept. **Units**: bytes.
const REASON_BYTES_MAX: usize = 300;

/// When breakers open, and for how long.
#[derive(Debug, Clone)]
pub struct Breaking {
    /// Failures in a row; with 0 none opens.
    pub failures: u32,
    /// The wait before the first try.
    pub wait: Duration,
    /// It doubles with each try that fails, up to this.
    pub wait_max: Duration,
}

impl Default for Breaking {
    fn default() -> Self {
        Self { failures: 5, wait: Duration::from_secs(5), wait_max: Duration::from_secs(60) }
    }
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stands {
    /// Calls go.
    #[default]
    Closed,
    /// None goes.
    Open,
    /// The next one, or one that is under way, tries.
    HalfOpen,
}

impl Stands {
    /// The state's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// A breaker as observers see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// How it stands.
    pub stands: Stands,
    /// Failures in a row.
    pub failures: u32,
    /// Since when it is open.
    pub since: Option<Timestamp>,
    /// When it is tried again, when that is still to come.
    pub tried: Option<Timestamp>,
    /// The last failure; empty when there was none.
    pub last: String,
}

/// Whether a call may go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Go,
    /// Not before this, on the monotonic clock; none while another tries.
    Wait {
        until: Option<Duration>,
    },
}

/// One breaker. There is none for what has not failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Breaker {
    pub(super) failures: u32,
    pub(super) last: String,
    failed_at: Duration,
    open: Option<Open>,
}

#[derive(Debug, Clone)]
struct Open {
    since: Timestamp,
    until: Duration,
    /// Tries that failed since it opened.
    tries: u32,
    is_tried: bool,
}

impl Breaker {
    /// Whether a call may go now.
    pub(super) fn gate(&self, now: Duration) -> Gate {
        match &self.open {
            Some(open) if open.is_tried => Gate::Wait { until: None },
            Some(open) if now < open.until => Gate::Wait { until: Some(open.until) },
            _ => Gate::Go,
        }
    }

    /// A call goes. True when it is the one that tries.
    pub(super) fn enter(&mut self) -> bool {
        if let Some(open) = &mut self.open {
            open.is_tried = true;
        }
        self.open.is_some()
    }

    /// The call that tried has told nothing; the next one tries.
    pub(super) fn left(&mut self) {
        if let Some(open) = &mut self.open {
            open.is_tried = false;
        }
    }

    /// What stands behind it has failed a call. True when it opens, or opens again.
    pub(super) fn failed(&mut self, tries: bool, why: String, at: (Duration, Timestamp), rule: &Breaking) -> bool {
        let (now, wall) = at;
        // Who set out before it opened tells nothing new.
        if self.open.is_some() && !tries {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.last = why;
        self.last.truncate(self.last.floor_char_boundary(REASON_BYTES_MAX));
        self.failed_at = now;
        let tried = match &self.open {
            Some(open) => open.tries.saturating_add(1),
            None if self.failures >= rule.failures => 0,
            None => return false,
        };
        let wait = rule.wait.saturating_mul(2_u32.saturating_pow(tried)).min(rule.wait_max);
        let since = self.open.as_ref().map_or(wall, |open| open.since);
        self.open = Some(Open { since, until: now + wait, tries: tried, is_tried: false });
        true
    }

    /// Whether an answer of what stands behind it ends it: one that set out before it opened does not.
    pub(super) fn closes(&self, tries: bool) -> bool {
        tries || self.open.is_none()
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn since(&self) -> Option<Timestamp> {
        self.open.as_ref().map(|open| open.since)
    }

    /// Whether it has not failed for so long that nothing is lost with it.
    pub(super) fn is_old(&self, now: Duration) -> bool {
        let is_tried = self.open.as_ref().is_some_and(|open| open.is_tried);
        !is_tried && now.saturating_sub(self.failed_at) > REMEMBERED
    }

    pub(super) fn seen(&self, now: Duration, wall: Timestamp) -> Seen {
        let (stands, tried) = match &self.open {
            None => (Stands::Closed, None),
            Some(open) if open.is_tried || now >= open.until => (Stands::HalfOpen, None),
            Some(open) => (Stands::Open, Some(wall.plus(open.until.saturating_sub(now)))),
        };
        Seen { stands, failures: self.failures, since: self.since(), tried, last: self.last.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Timestamp = Timestamp::from_unix_nanos(0);

    fn rule() -> Breaking {
        Breaking { failures: 2, wait: Duration::from_secs(1), wait_max: Duration::from_secs(3) }
    }

    fn fails(breaker: &mut Breaker, tries: bool, second: u64) -> bool {
        breaker.failed(tries, "gone".into(), (Duration::from_secs(second), WALL), &rule())
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_waits_longer_after_each_try() {
        let mut breaker = Breaker::default();
        assert!(!fails(&mut breaker, false, 0) && breaker.closes(false));
        assert!(fails(&mut breaker, false, 0));
        for (at, until) in [(1, 3), (3, 6), (6, 9)] {
            let before = Duration::from_secs(at) - Duration::from_millis(1);
            assert!(matches!(breaker.gate(before), Gate::Wait { until: Some(_) }));
            let now = Duration::from_secs(at);
            assert_eq!(breaker.gate(now), Gate::Go);
            assert!(breaker.enter());
            assert_eq!(breaker.gate(now), Gate::Wait { until: None }, "one tries at a time");
            assert!(!fails(&mut breaker, false, at) && !breaker.closes(false), "who set out before says nothing");
            assert!(fails(&mut breaker, true, at));
            assert_eq!(breaker.gate(now), Gate::Wait { until: Some(Duration::from_secs(until)) });
        }
        assert_eq!(breaker.seen(Duration::from_secs(7), WALL).stands, Stands::Open);
        breaker.enter();
        breaker.left();
        assert_eq!(breaker.gate(Duration::from_secs(9)), Gate::Go, "one that told nothing leaves it to the next");
        assert!(breaker.closes(true));
    }
}

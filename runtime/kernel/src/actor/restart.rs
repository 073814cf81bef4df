//! When what is started again: causes, intensity, backoff. Pure: time and chance are handed in.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

/// How an incarnation ended.
///
/// ractor tells a killed actor as terminated and not as failed, and does not tell a panic from an
/// error; so the cause is written down by whoever knows it, and what nobody asked for is a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It was done.
    Normal,
    /// We stopped it.
    Asked,
    /// We killed it: shutdown, a strategy, an operator.
    Killed,
    /// A handler returned an error.
    Failed(Arc<str>),
    /// A handler panicked.
    Panicked(Arc<str>),
    /// A handler took too long and was killed.
    Deadline,
    /// It could not be started.
    StartFailed(Arc<str>),
    /// Its task is gone and nobody said why.
    Vanished,
    /// Something else was away or refused; nobody here is to blame.
    Retry(Arc<str>),
    /// Its record cannot be decoded; starting it again would not help.
    Undecodable {
        /// The version of the event.
        version: u64,
        /// Why not.
        reason: Arc<str>,
    },
}

impl Cause {
    /// Whether it counts towards the intensity.
    pub fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Failed(_)
                | Self::Panicked(_)
                | Self::Deadline
                | Self::StartFailed(_)
                | Self::Vanished
                | Self::Undecodable { .. }
        )
    }

    /// Whether it can be the fault of the message in hand.
    pub fn blames_message(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Panicked(_) | Self::Deadline)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("ended"),
            Self::Asked => f.write_str("stopped"),
            Self::Killed => f.write_str("killed"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Panicked(why) => write!(f, "panicked: {why}"),
            Self::Deadline => f.write_str("took longer than its deadline"),
            Self::StartFailed(why) => write!(f, "could not start: {why}"),
            Self::Vanished => f.write_str("its task is gone"),
            Self::Retry(why) => write!(f, "has to wait: {why}"),
            Self::Undecodable { version, reason } => {
                write!(f, "cannot be decoded at version {version}: {reason}")
            }
        }
    }
}

/// How many failures are too many: more than `most` within `within`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// So many are forgiven.
    pub most: u32,
    /// Within this long.
    pub within: Duration,
}

/// How long to wait before the next start: the first at once, then a random part of
/// `base`·2ᵏ, at most `cap`.
///
/// **Source**: "full jitter" of the AWS Architecture Blog, "Exponential Backoff and Jitter".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The bound of the first delay.
    pub base: Duration,
    /// No delay is longer.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(100), cap: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The delay after the `streak`-th failure in a row, counted from 0.
    pub fn delay(&self, streak: u32, chance: &mut Chance) -> Duration {
        let Some(doublings) = streak.checked_sub(1) else {
            return Duration::ZERO;
        };
        let bound = self
            .base
            .checked_mul(1_u32.checked_shl(doublings.min(31)).unwrap_or(u32::MAX))
            .map_or(self.cap, |bound| bound.min(self.cap));
        chance.up_to(bound)
    }
}

/// Intensity and backoff together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// How many failures are too many.
    pub intensity: Intensity,
    /// How long to wait between them.
    pub backoff: Backoff,
}

/// A source of jitter that repeats itself from the same seed.
///
/// **Source**: SplitMix64, Steele, Lea, Flood 2014.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// A source with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A duration from zero to `bound`, both included.
    pub fn up_to(&mut self, bound: Duration) -> Duration {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(self.next() % (nanos + 1))
    }
}

/// The last failures, as many as the intensity needs to know.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures(VecDeque<Duration>);

impl Failures {
    /// Counts one more; true when that is one too many.
    pub(super) fn exceed(&mut self, intensity: Intensity, now: Duration) -> bool {
        self.forget(intensity, now);
        self.0.push_back(now);
        self.0.len() > intensity.most as usize
    }

    fn forget(&mut self, intensity: Intensity, now: Duration) {
        while self.0.front().is_some_and(|at| now.saturating_sub(*at) > intensity.within) {
            self.0.pop_front();
        }
    }

    /// Whether none of them counts any more.
    pub(super) fn forgotten(&mut self, intensity: Intensity, now: Duration) -> bool {
        self.forget(intensity, now);
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// What is to become of an entity whose incarnation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may live again, not before this long.
    Again { after: Duration },
    /// It is quarantined.
    GiveUp,
}

/// The lives of one entity, as far as its restarts depend on them.
#[derive(Debug, Clone, Default)]
pub(super) struct Lives {
    failures: Failures,
    streak: u32,
}

/// One end of an entity's incarnation.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) cause: &'a Cause,
    /// It had handled at least one message: progress, so the delays begin anew.
    pub(super) progressed: bool,
    /// The message that it died of was taken away: that death is explained and does not count.
    pub(super) buried: bool,
    pub(super) now: Duration,
}

impl Lives {
    /// Judges one end.
    pub(super) fn on_end(&mut self, end: &End<'_>, policy: &RestartPolicy, chance: &mut Chance) -> Verdict {
        if end.progressed {
            self.streak = 0;
        }
        match end.cause {
            Cause::Normal | Cause::Asked | Cause::Killed => {
                return Verdict::Again { after: Duration::ZERO };
            }
            Cause::Undecodable { .. } => return Verdict::GiveUp,
            Cause::Retry(_) => {}
            _ if end.buried => {}
            _ => {
                if self.failures.exceed(policy.intensity, end.now) {
                    return Verdict::GiveUp;
                }
            }
        }
        let after = policy.backoff.delay(self.streak, chance);
        self.streak = self.streak.saturating_add(1);
        Verdict::Again { after }
    }

    /// Whether nothing of its past matters any more, so that its slot may be forgotten.
    pub(super) fn spotless(&mut self, policy: &RestartPolicy, now: Duration) -> bool {
        self.failures.forgotten(policy.intensity, now)
    }

    /// Forgives everything, when an operator releases it.
    pub(super) fn forgive(&mut self) {
        self.failures.clear();
        self.streak = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RestartPolicy = RestartPolicy {
        intensity: Intensity { most: 3, within: Duration::from_secs(60) },
        backoff: Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(60) },
    };

    fn why() -> Arc<str> {
        Arc::from("why")
    }

    fn end(cause: &Cause, now: u64) -> End<'_> {
        End { cause, progressed: false, buried: false, now: Duration::from_secs(now) }
    }

    #[test]
    fn the_fourth_failure_within_a_minute_is_one_too_many() {
        let table: [(&str, [u64; 4], bool); 3] = [
            ("all at once", [0, 0, 0, 0], true),
            ("the first is a minute old", [0, 20, 40, 61], false),
            ("just within", [0, 20, 40, 60], true),
        ];
        for (name, times, given_up) in table {
            let (mut lives, mut chance) = (Lives::default(), Chance::new(1));
            let failed = Cause::Failed(why());
            let last = times.map(|at| lives.on_end(&end(&failed, at), &POLICY, &mut chance));
            assert_eq!(last[3] == Verdict::GiveUp, given_up, "{name}");
            assert!(!last[..3].contains(&Verdict::GiveUp), "{name}");
        }
    }

    #[test]
    fn only_failures_count_and_a_buried_message_does_not() {
        let innocent = [Cause::Normal, Cause::Asked, Cause::Killed, Cause::Retry(why())];
        for cause in &innocent {
            let (mut lives, mut chance) = (Lives::default(), Chance::new(1));
            for _ in 0..100 {
                assert_ne!(lives.on_end(&end(cause, 0), &POLICY, &mut chance), Verdict::GiveUp);
            }
            assert!(lives.spotless(&POLICY, Duration::ZERO), "{cause}");
        }
        let (mut lives, mut chance) = (Lives::default(), Chance::new(1));
        let panicked = Cause::Panicked(why());
        for _ in 0..100 {
            let buried = End { buried: true, ..end(&panicked, 0) };
            assert_ne!(lives.on_end(&buried, &POLICY, &mut chance), Verdict::GiveUp);
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_not_tried_again() {
        let cause = Cause::Undecodable { version: 7, reason: why() };
        let verdict = Lives::default().on_end(&end(&cause, 0), &POLICY, &mut Chance::new(1));
        assert_eq!(verdict, Verdict::GiveUp);
    }

    #[test]
    fn the_first_restart_is_at_once_and_the_bound_of_the_others_doubles() {
        let mut chance = Chance::new(7);
        assert_eq!(POLICY.backoff.delay(0, &mut chance), Duration::ZERO);
        for streak in 1..40_u32 {
            let bound = Duration::from_millis(100 << (streak - 1).min(20)).min(POLICY.backoff.cap);
            let longest = (0..200).map(|_| POLICY.backoff.delay(streak, &mut chance)).max().unwrap();
            assert!(longest <= bound, "{streak}: {longest:?} over {bound:?}");
            assert!(longest > bound / 2, "{streak}: {longest:?} of {bound:?} is no full jitter");
        }
    }

    #[test]
    fn progress_begins_the_delays_anew() {
        let (mut lives, mut chance) = (Lives::default(), Chance::new(1));
        let retry = Cause::Retry(why());
        for _ in 0..10 {
            lives.on_end(&end(&retry, 0), &POLICY, &mut chance);
        }
        let progressed = End { progressed: true, ..end(&retry, 0) };
        let verdict = lives.on_end(&progressed, &POLICY, &mut chance);
        assert_eq!(verdict, Verdict::Again { after: Duration::ZERO });
    }

    #[test]
    fn a_kill_and_a_dependency_are_not_the_messages_fault() {
        for cause in [Cause::Failed(why()), Cause::Panicked(why()), Cause::Deadline] {
            assert!(cause.blames_message() && cause.is_failure(), "{cause}");
        }
        for cause in [Cause::Killed, Cause::Asked, Cause::Retry(why()), Cause::Vanished] {
            assert!(!cause.blames_message(), "{cause}");
        }
    }
}

//! How failures are retried, and how long is waited between attempts.

use std::time::Duration;

use mesh_proto::v1::{Retry, RetryRule};
use mesh_skills::contract::FailureClass;
use sha2::{Digest as _, Sha256};

use super::{Fault, duration::duration};

/// Most attempts that can be asked for.
const ATTEMPTS_MAX: u32 = 100;

/// Attempts and waits for one class of failure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Attempts in all.
    pub attempts: u32,
    /// The wait before the second attempt.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
    /// What the wait grows by each time.
    pub multiplier: f64,
}

const NEVER: Backoff = Backoff { attempts: 1, initial: Duration::ZERO, max: Duration::ZERO, multiplier: 1.0 };

const fn backoff(attempts: u32, initial: u64, max: u64) -> Backoff {
    Backoff { attempts, initial: Duration::from_secs(initial), max: Duration::from_secs(max), multiplier: 2.0 }
}

/// The retry rules of a step, by class.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPlan {
    external: Backoff,
    timeout: Backoff,
    resource: Backoff,
    internal: Backoff,
}

impl Default for RetryPlan {
    fn default() -> Self {
        Self {
            external: backoff(5, 2, 120),
            timeout: backoff(3, 2, 120),
            resource: backoff(5, 10, 600),
            internal: backoff(3, 2, 120),
        }
    }
}

impl RetryPlan {
    /// No failure is retried.
    pub(super) fn never() -> Self {
        Self { external: NEVER, timeout: NEVER, resource: NEVER, internal: NEVER }
    }

    /// The rules that a definition gives, over the defaults.
    pub(super) fn compile(retry: Option<&Retry>, at: &str, faults: &mut Vec<Fault>) -> Self {
        let mut plan = Self::default();
        let Some(retry) = retry else { return plan };
        let general = RetryRule {
            max_attempts: retry.max_attempts,
            initial_backoff: retry.initial_backoff,
            max_backoff: retry.max_backoff,
            multiplier: retry.multiplier,
        };
        for (name, rule, own) in [
            ("external", &mut plan.external, &retry.external),
            ("timeout", &mut plan.timeout, &retry.timeout),
            ("resource", &mut plan.resource, &retry.resource),
            ("internal", &mut plan.internal, &retry.internal),
        ] {
            overlay(rule, &general, at, faults);
            if let Some(own) = own {
                overlay(rule, own, &format!("{at}/{name}"), faults);
            }
        }
        faults.dedup();
        plan
    }

    /// The rules for failures of this class.
    pub fn of(&self, class: FailureClass) -> Backoff {
        match class {
            FailureClass::Validation | FailureClass::Cancelled => NEVER,
            FailureClass::External => self.external,
            FailureClass::Timeout => self.timeout,
            FailureClass::Resource => self.resource,
            FailureClass::Internal => self.internal,
        }
    }
}

fn overlay(backoff: &mut Backoff, rule: &RetryRule, at: &str, faults: &mut Vec<Fault>) {
    if rule.max_attempts > ATTEMPTS_MAX {
        let message = format!("{} attempts; at most {ATTEMPTS_MAX} can be asked for", rule.max_attempts);
        faults.push(Fault::new(format!("{at}/maxAttempts"), message));
    } else if rule.max_attempts > 0 {
        backoff.attempts = rule.max_attempts;
    }
    let initial = duration(rule.initial_backoff.as_ref(), &format!("{at}/initialBackoff"), faults);
    if let Some(initial) = initial {
        backoff.initial = initial;
        backoff.max = backoff.max.max(initial);
    }
    if let Some(max) = duration(rule.max_backoff.as_ref(), &format!("{at}/maxBackoff"), faults) {
        if initial.is_some_and(|initial| initial > max) {
            faults.push(
                Fault::new(format!("{at}/maxBackoff"), "the longest wait is shorter than the first one")
                    .help("make `maxBackoff` at least `initialBackoff`"),
            );
        }
        backoff.max = max;
        backoff.initial = backoff.initial.min(max);
    }
    if rule.multiplier != 0.0 {
        if rule.multiplier < 1.0 || !rule.multiplier.is_finite() || rule.multiplier > 100.0 {
            let message = format!("a wait cannot grow by {}", rule.multiplier);
            faults.push(Fault::new(format!("{at}/multiplier"), message).help("1 to 100 are taken"));
        } else {
            backoff.multiplier = rule.multiplier;
        }
    }
}

impl Backoff {
    /// The wait after attempt number `attempt` (from 1), with jitter drawn from `key`, so that the
    /// same failure decided twice waits equally long.
    ///
    /// The wait lies between half of the full one and the full one.
    pub fn wait(&self, attempt: u32, key: &str) -> Duration {
        let grown = self.initial.as_secs_f64() * self.multiplier.powi(attempt.saturating_sub(1).min(64) as i32);
        let full = grown.min(self.max.as_secs_f64());
        let digest = Sha256::digest(key.as_bytes());
        let share = digest.first().map_or(1.0, |byte| f64::from(*byte) / 255.0);
        Duration::from_millis((full * (0.5 + share / 2.0) * 1000.0).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_grows_to_its_bound_and_its_jitter_is_the_keys() {
        let plan = RetryPlan::default();
        let rule = plan.of(FailureClass::External);
        for (attempt, full) in [(1, 2.0), (2, 4.0), (3, 8.0), (7, 120.0), (60, 120.0)] {
            let wait = rule.wait(attempt, "k").as_secs_f64();
            assert!((full / 2.0..=full).contains(&wait), "{attempt}: {wait}");
        }
        assert_eq!(rule.wait(3, "a"), rule.wait(3, "a"));
        let waits: std::collections::BTreeSet<_> = (0..20).map(|n| rule.wait(3, &format!("k{n}"))).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }

    #[test]
    fn a_validation_failure_is_never_retried() {
        let mut faults = Vec::new();
        let retry = Retry { max_attempts: 9, ..Retry::default() };
        let plan = RetryPlan::compile(Some(&retry), "", &mut faults);
        assert_eq!(plan.of(FailureClass::Validation).attempts, 1);
        assert_eq!(plan.of(FailureClass::External).attempts, 9);
        assert!(faults.is_empty());
    }

    #[test]
    fn a_class_of_its_own_wins_over_the_general_rule() {
        let mut faults = Vec::new();
        let retry = Retry {
            max_attempts: 9,
            timeout: Some(RetryRule { max_attempts: 1, ..RetryRule::default() }),
            ..Retry::default()
        };
        let plan = RetryPlan::compile(Some(&retry), "", &mut faults);
        assert_eq!(plan.of(FailureClass::Timeout).attempts, 1);
        assert_eq!(plan.of(FailureClass::Resource).attempts, 9);
    }
}

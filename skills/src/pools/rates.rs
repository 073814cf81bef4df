//! Rates: when the next call may go.
//!
//! **Source**: the generic cell rate algorithm, as in ITU-T I.371 and in Brandur Leach's `throttled`: one instant for
//! each bucket, the time at which the next call would come if they came evenly.

use std::{collections::HashMap, time::Duration};

use mesh_kernel::envelope::TenantId;

use crate::contract::Rate;

/// Buckets above which the full ones are forgotten.
const SWEPT_ABOVE: usize = 1_000;

/// What a rate is of. Of a skill all versions together, so that a new one brings no more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum What {
    Tenant,
    Host(String),
    Skill(String),
}

/// When the next call of each would come, on the monotonic clock. None for a bucket that is full.
#[derive(Default)]
pub(super) struct Rates(HashMap<(TenantId, What), Duration>);

/// A rate that a call would have to wait for longer than it has time.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) what: What,
    pub(super) rate: Rate,
    pub(super) wait: Duration,
}

impl Rates {
    /// Takes a place under all of these, and tells how long it is until then. Takes none when that is too long.
    pub(super) fn take(
        &mut self,
        tenant: &TenantId,
        asked: &[(What, Rate)],
        now: Duration,
        most: Duration,
    ) -> Result<Duration, Held> {
        let mut longest = Duration::ZERO;
        for (what, rate) in asked {
            let next = self.0.get(&(tenant.clone(), what.clone())).copied().unwrap_or_default();
            let wait = next.saturating_sub(rate.interval() * (rate.burst() - 1)).saturating_sub(now);
            if wait >= most && !wait.is_zero() {
                return Err(Held { what: what.clone(), rate: *rate, wait });
            }
            longest = longest.max(wait);
        }
        if self.0.len() > SWEPT_ABOVE {
            self.0.retain(|_, next| *next > now);
        }
        for (what, rate) in asked {
            let next = self.0.entry((tenant.clone(), what.clone())).or_default();
            *next = (*next).max(now) + rate.interval();
        }
        Ok(longest)
    }

    pub(super) fn forget(&mut self, tenant: &TenantId) {
        self.0.retain(|(of, _), _| of != tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn after_a_burst_calls_come_evenly_and_a_rest_fills_it_again() {
        let acme = TenantId::parse("acme").unwrap();
        let mut rates = Rates::default();
        let asked = [(What::Skill("a.b".into()), Rate { calls: 60, per: MINUTE, burst: Some(3) })];
        let mut take = |at: u64, most| rates.take(&acme, &asked, Duration::from_secs(at), most);
        let waits: Vec<u64> = (0..5).map(|_| take(100, MINUTE).unwrap().as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 1, 2]);
        let held = take(100, Duration::from_secs(3)).unwrap_err();
        assert_eq!(held.wait, Duration::from_secs(3), "one that is held back takes no place");
        assert_eq!(take(100, MINUTE).unwrap(), Duration::from_secs(3));
        assert_eq!((0..4).map(|_| take(200, MINUTE).unwrap().as_secs()).collect::<Vec<_>>(), [0, 0, 0, 1]);
    }

    #[test]
    fn whoever_is_held_back_by_one_rate_takes_no_place_under_another() {
        let acme = TenantId::parse("acme").unwrap();
        let mut rates = Rates::default();
        let slow = (What::Host("workers".into()), Rate { calls: 1, per: MINUTE, burst: None });
        let quick = (What::Skill("a.b".into()), Rate { calls: 60, per: MINUTE, burst: Some(1) });
        let both = [quick.clone(), slow];
        assert!(rates.take(&acme, &both, Duration::ZERO, MINUTE).is_ok());
        assert!(rates.take(&acme, &both, Duration::from_secs(1), Duration::from_secs(5)).is_err());
        assert_eq!(rates.take(&acme, &[quick], Duration::from_secs(1), MINUTE).unwrap(), Duration::ZERO);
    }
}

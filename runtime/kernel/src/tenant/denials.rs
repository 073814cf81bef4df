//! Denials, counted until the audit takes them: no denial costs a flush.

use std::collections::{BTreeMap, VecDeque};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};

use crate::{
    envelope::{TenantId, Timestamp},
    ports::Request,
};

/// Pairs of principal and action that are counted apart for one tenant; what comes beyond them is
/// counted in one number.
const LINES_MAX: usize = 256;

/// The last denials of a line that are kept whole.
const SAMPLES_MAX: usize = 3;

/// Characters of a text in a sample.
const TEXT_LEN_MAX: usize = 200;

/// One denial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// The entity that it was for; empty when it was for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// What the caller was told.
    pub reason: String,
}

/// What one principal was denied of one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Who.
    pub principal: String,
    /// What.
    pub action: String,
    /// How often.
    pub count: u64,
    /// The last ones, oldest first.
    pub samples: VecDeque<Sample>,
}

/// What one tenant's callers were denied since the last batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denials {
    /// By principal and action.
    pub denied: Vec<Denied>,
    /// How many more there were that had no room to be counted apart.
    #[serde(default)]
    pub others: u64,
}

#[derive(Default)]
struct Counted {
    lines: BTreeMap<(String, String), Denied>,
    others: u64,
}

/// The denials of all tenants, until they are taken.
///
/// **Cost**: at most 256 lines of three samples for each tenant that was denied something.
#[derive(Default)]
pub struct DenialCounts(DashMap<TenantId, Counted>);

impl DenialCounts {
    /// Counts one.
    pub(crate) fn add(&self, request: &Request<'_>, reason: &str, at: Timestamp) {
        let Request { scope, principal, action, resource } = request;
        tracing::info!(target: "mesh::audit", tenant = %scope.tenant(), principal = principal.name, action, reason, "denied");
        let key = (cut(&principal.name), cut(action));
        let mut counted = self.0.entry(scope.tenant().clone()).or_default();
        if counted.lines.len() >= LINES_MAX && !counted.lines.contains_key(&key) {
            counted.others += 1;
            return;
        }
        let line = counted.lines.entry(key).or_insert_with_key(|(principal, action)| Denied {
            principal: principal.clone(),
            action: action.clone(),
            count: 0,
            samples: VecDeque::new(),
        });
        line.count += 1;
        if line.samples.len() >= SAMPLES_MAX {
            line.samples.pop_front();
        }
        let resource = resource.map(|resource| cut(resource.as_str())).unwrap_or_default();
        line.samples.push_back(Sample { at, resource, reason: cut(reason) });
    }

    /// Everything that was counted, each tenant's by itself; counting begins anew.
    pub(crate) fn take(&self) -> Vec<(TenantId, Denials)> {
        let tenants: Vec<TenantId> = self.0.iter().map(|entry| entry.key().clone()).collect();
        let taken = tenants.into_iter().filter_map(|tenant| self.0.remove(&tenant));
        taken
            .map(|(tenant, counted)| {
                (tenant, Denials { denied: counted.lines.into_values().collect(), others: counted.others })
            })
            .collect()
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_LEN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Principal, TenantScope};

    fn deny(counts: &DenialCounts, tenant: &str, principal: &str, n: i64) {
        let scope = TenantScope::proven(TenantId::parse(tenant).unwrap());
        let principal = Principal { name: principal.to_owned(), ..Principal::system("test") };
        let request = Request { scope: &scope, principal: &principal, action: "CancelRun", resource: None };
        counts.add(&request, &format!("no {n}"), Timestamp::from_unix_nanos(n));
    }

    #[test]
    fn each_tenants_denials_are_counted_by_themselves_with_the_last_ones_whole() {
        let counts = DenialCounts::default();
        for n in 0..5 {
            deny(&counts, "acme", "key:ci", n);
        }
        deny(&counts, "zeta", "key:ci", 9);
        let mut taken = counts.take();
        taken.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(taken.len(), 2);
        let acme = &taken[0].1.denied[0];
        let reasons: Vec<&str> = acme.samples.iter().map(|sample| sample.reason.as_str()).collect();
        assert_eq!((acme.count, reasons), (5, vec!["no 2", "no 3", "no 4"]));
        assert_eq!(taken[1].1.denied[0].count, 1);
        assert!(counts.take().is_empty(), "a denial was taken twice");
    }

    #[test]
    fn a_flood_of_names_takes_a_bounded_room_and_is_counted_all_the_same() {
        let counts = DenialCounts::default();
        for n in 0..1_000 {
            deny(&counts, "acme", &format!("key:{n}"), n);
        }
        let (_, denials) = counts.take().remove(0);
        assert_eq!(denials.denied.len(), LINES_MAX);
        let counted: u64 = denials.denied.iter().map(|denied| denied.count).sum();
        assert_eq!(counted + denials.others, 1_000);
    }
}

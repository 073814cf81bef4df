//! What was spent and set aside on each level.

use std::collections::BTreeMap;

use mesh_kernel::envelope::Timestamp;
use mesh_skills::models::Amount;
use serde::{Deserialize, Serialize};

use super::{Event, Level, Limit};

/// Reservations under way; when there are more, the oldest one counts as spent. A call has an end of its own after
/// minutes, so an older one belongs to a call that died with its node.
const OPEN_MAX: usize = 20_000;
/// Projects and runs whose spending is kept; when there are more, the one that was idle longest begins anew.
const KEPT_MAX: usize = 20_000;

/// What one level has spent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Account {
    /// By calls that have ended.
    pub spent: Amount,
    /// For calls that are under way.
    pub reserved: Amount,
    /// Of all calls that have ended. **Units**: ms.
    pub time_ms: u64,
    /// It was said that it nears its end.
    pub warned: bool,
    /// When a call was last reserved.
    pub touched: Option<Timestamp>,
}

impl Account {
    /// Spent or set aside.
    pub fn used(&self) -> Amount {
        self.spent.plus(self.reserved)
    }

    /// What is missing for a call, in words.
    pub(super) fn missing(&self, limit: &Limit, most: Amount) -> Option<String> {
        let used = self.used();
        let short = |all: Option<u64>, used: u64, more: u64, unit: &str| {
            let all = all?;
            // A call without a price finds no room either, once all is spent.
            let lacks = used.saturating_add(more) > all || used >= all;
            lacks.then(|| format!("it may use {more} {unit}, and of {all} are {} left", all.saturating_sub(used)))
        };
        short(limit.tokens, used.tokens, most.tokens, "tokens")
            .or_else(|| short(limit.cost, used.cost, most.cost, "millionths"))
            .or_else(|| {
                let all = limit.time_ms.filter(|all| self.time_ms >= *all)?;
                Some(format!("models were waited for {} ms, and {all} ms may be", self.time_ms))
            })
    }

    /// Whether four fifths are used with one more call.
    pub(super) fn nears(&self, limit: &Limit, most: Amount) -> bool {
        let used = self.used().plus(most);
        let near = |all: Option<u64>, used: u64| all.is_some_and(|all| used.saturating_mul(5) >= all.saturating_mul(4));
        near(limit.tokens, used.tokens) || near(limit.cost, used.cost) || near(limit.time_ms, self.time_ms)
    }
}

/// A call that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    levels: Vec<Level>,
    most: Amount,
    at: Timestamp,
}

/// Everything that a tenant may spend and has spent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    set: BTreeMap<Level, Limit>,
    accounts: BTreeMap<Level, Account>,
    open: BTreeMap<String, Open>,
}

/// How a level stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stands {
    /// Whose.
    pub level: Level,
    /// What may be spent.
    pub limit: Limit,
    /// Whether the tenant has said so, and not the node's configuration.
    pub is_own: bool,
    /// What was.
    pub account: Account,
}

impl Ledger {
    pub(super) fn set(&self, level: &Level) -> Option<Limit> {
        self.set.get(level).copied()
    }

    pub(super) fn set_count(&self) -> usize {
        self.set.len()
    }

    pub(super) fn is_open(&self, key: &str) -> bool {
        self.open.contains_key(key)
    }

    /// How much a level has spent.
    pub fn account(&self, level: &Level) -> Account {
        self.accounts.get(level).cloned().unwrap_or_default()
    }

    /// The event that ends a call; none when nothing is set aside for it.
    pub(super) fn settled(&self, key: String, took: Option<Amount>, at: Timestamp) -> Option<Event> {
        let open = self.open.get(&key)?;
        let time_ms = u64::try_from(at.since(open.at).as_millis()).unwrap_or(u64::MAX);
        Some(Event::BudgetSettled { key, took: took.unwrap_or(open.most), time_ms, unknown: took.is_none() })
    }

    /// Every level that has a budget or has spent something, the tenant first.
    pub(super) fn stands(&self, limit: impl Fn(&Level) -> Limit) -> Vec<Stands> {
        let mut levels: Vec<&Level> = self.set.keys().chain(self.accounts.keys()).chain([&Level::Tenant]).collect();
        levels.sort();
        levels.dedup();
        let stands = |level: &Level| Stands {
            level: level.clone(),
            limit: limit(level),
            is_own: self.set.contains_key(level),
            account: self.account(level),
        };
        levels.into_iter().map(stands).collect()
    }

    pub(super) fn size(&self) -> usize {
        256 * (self.set.len() + self.accounts.len()) + 512 * self.open.len()
    }

    pub(super) fn apply(&mut self, event: Event, at: Timestamp) {
        match event {
            Event::BudgetSet { level, limit, restart, .. } => self.change(level, limit, restart),
            Event::BudgetReserved { key, levels, most } => self.set_aside(key, Open { levels, most, at }),
            Event::BudgetNeared { level, .. } => self.accounts.entry(level).or_default().warned = true,
            Event::BudgetSettled { key, took, time_ms, .. } => self.close(&key, took, time_ms),
        }
    }

    fn change(&mut self, level: Level, limit: Option<Limit>, restart: bool) {
        if let Some(account) = self.accounts.get_mut(&level) {
            account.warned = false;
            if restart {
                (account.spent, account.time_ms) = (Amount::default(), 0);
            }
        }
        match limit {
            Some(limit) => self.set.insert(level, limit),
            None => self.set.remove(&level),
        };
    }

    fn set_aside(&mut self, key: String, open: Open) {
        for level in &open.levels {
            let account = self.accounts.entry(level.clone()).or_default();
            account.reserved = account.reserved.plus(open.most);
            account.touched = Some(open.at);
        }
        self.open.insert(key, open);
        if self.open.len() > OPEN_MAX {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.at);
            if let Some((key, most)) = oldest.map(|(key, open)| (key.clone(), open.most)) {
                self.close(&key, most, 0);
            }
        }
        if self.accounts.len() > KEPT_MAX {
            let idle = self.accounts.iter().filter(|(level, account)| {
                **level != Level::Tenant && account.reserved == Amount::default() && !self.set.contains_key(level)
            });
            if let Some(level) = idle.min_by_key(|(_, account)| account.touched).map(|(level, _)| level.clone()) {
                self.accounts.remove(&level);
            }
        }
    }

    fn close(&mut self, key: &str, took: Amount, time_ms: u64) {
        let Some(open) = self.open.remove(key) else { return };
        for level in open.levels {
            let account = self.accounts.entry(level).or_default();
            account.reserved = account.reserved.minus(open.most);
            account.spent = account.spent.plus(took);
            account.time_ms = account.time_ms.saturating_add(time_ms);
        }
    }
}

//! Budgets above a task: a run's, a project's and the tenant's, as one entity for each tenant.
//!
//! A model call is reserved on all levels that it counts for in one append, or on none, and settled by what it took.
//! What was reserved and never settled keeps counting: nobody knows whether it was paid for. So no level is ever
//! overrun by more than the reservations in flight, whatever dies.
//!
//! The task keeps its own budget itself, in the event that asks for the call: this entity is asked before the call is
//! sent, and when it refuses, the task takes its own reservation back.
//!
//! Never here: prices, and who may change a budget.

mod ledger;
mod level;

pub use ledger::{Account, Ledger, Stands};
pub use level::{Level, NoLevel};

use mesh_kernel::{
    entity::{Cause, Decider, Recorded},
    envelope::{Address, AddressError, ErrorKind, Kind, Refuse, TenantId},
};
use mesh_skills::models::Amount;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kind of the entity's address.
pub const KIND: Kind = Kind { platform: "agent-mesh", name: "budgets" };

/// The id of the one entity of this kind that a tenant has.
pub const ID: &str = "all";

/// Most budgets that a tenant sets by itself.
pub const SET_MAX: usize = 10_000;

/// The code under which a call is refused, and its task waits for a person.
pub const PAUSES: &str = "BDG-0001";
/// The code under which a call is refused, and its task fails.
pub const STOPS: &str = "BDG-0002";

/// Where the budgets of a tenant are kept.
///
/// # Errors
/// Never, for a tenant's id and this kind fit into an address.
pub fn address(tenant: &TenantId) -> Result<Address, AddressError> {
    Address::new(tenant, KIND, ID)
}

/// What becomes of a task whose next call a budget has no room for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// It waits for a person.
    #[default]
    Pause,
    /// It fails.
    Stop,
}

/// How much may be spent; what is not said has no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limit {
    /// **Units**: tokens, of input and output together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// **Units**: millionths of the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// That models were waited for, all calls added up. **Units**: ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// What becomes of a task that has no room.
    pub then: Then,
}

impl Limit {
    /// Whether it bounds anything.
    pub fn is_bound(&self) -> bool {
        self.tokens.is_some() || self.cost.is_some() || self.time_ms.is_some()
    }
}

/// What holds where a tenant has set nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Defaults {
    /// For each tenant.
    pub tenant: Limit,
    /// For each project.
    pub project: Limit,
    /// For each run.
    pub run: Limit,
}

impl Defaults {
    /// Whether any of them bounds anything.
    pub fn are_bound(&self) -> bool {
        [self.tenant, self.project, self.run].iter().any(Limit::is_bound)
    }

    fn of(&self, level: &Level) -> Limit {
        match level {
            Level::Tenant => self.tenant,
            Level::Project(_) => self.project,
            Level::Run(_) => self.run,
        }
    }
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Command {
    /// Change what may be spent.
    SetBudget {
        /// Where.
        level: Level,
        /// How much; none takes the tenant's own word back.
        #[serde(default)]
        limit: Option<Limit>,
        /// Leave that as it is, whatever `limit` says.
        #[serde(default)]
        keep: bool,
        /// What was spent so far does not count any more.
        #[serde(default)]
        restart: bool,
    },
    /// Set aside what a call takes at most.
    ReserveBudget {
        /// The call's key.
        key: String,
        /// The project that it counts for.
        #[serde(default)]
        project: Option<String>,
        /// The run that it counts for.
        #[serde(default)]
        run: Option<String>,
        /// What it takes at most.
        most: Amount,
    },
    /// A call has ended.
    SettleBudget {
        /// Its key.
        key: String,
        /// What it took; what was reserved, when nobody knows.
        #[serde(default)]
        took: Option<Amount>,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Event {
    /// Another amount may be spent.
    BudgetSet {
        /// Where.
        level: Level,
        /// How much.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<Limit>,
        /// Whether what was spent counts no more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restart: bool,
        /// Who said so.
        by: String,
    },
    /// A call may be sent: what it takes at most is set aside on all of these.
    BudgetReserved {
        /// The call's key.
        key: String,
        /// Where.
        levels: Vec<Level>,
        /// How much.
        most: Amount,
    },
    /// Four fifths of a budget are spent or set aside.
    BudgetNeared {
        /// Which.
        level: Level,
        /// What is spent or set aside.
        used: Amount,
    },
    /// A call has ended.
    BudgetSettled {
        /// Its key.
        key: String,
        /// What it took, or may have taken.
        took: Amount,
        /// How long it was under way. **Units**: ms.
        #[serde(default)]
        time_ms: u64,
        /// Nobody knows what it took.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unknown: bool,
    },
}

/// What is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not enough is left.
    #[error(
        "the budget of {level} has no room for the next call: {missing}; raise it with `mesh agents budget {level}`"
    )]
    Spent {
        /// Where.
        level: Level,
        /// What is missing.
        missing: String,
        /// What becomes of the task.
        then: Then,
    },
    /// An amount of nothing.
    #[error("the budget of {level} would be 0: give it at least 1, or none at all")]
    Nothing {
        /// Where.
        level: Level,
    },
    /// No room.
    #[error("{SET_MAX} budgets are set already: take one back first")]
    Full,
}

impl Refuse for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Spent { then: Then::Pause, .. } => PAUSES,
            Self::Spent { then: Then::Stop, .. } => STOPS,
            Self::Nothing { .. } => "BDG-0003",
            Self::Full => "BDG-0004",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Spent { .. } => ErrorKind::FailedPrecondition,
            Self::Nothing { .. } => ErrorKind::InvalidArgument,
            Self::Full => ErrorKind::ResourceExhausted,
        }
    }
}

/// Decides for the budgets of all tenants.
#[derive(Debug, Clone, Copy, Default)]
pub struct BudgetsDecider {
    defaults: Defaults,
}

impl BudgetsDecider {
    /// A decider with what holds where nothing is set.
    pub fn new(defaults: Defaults) -> Self {
        Self { defaults }
    }

    fn limit(&self, ledger: &Ledger, level: &Level) -> Limit {
        ledger.set(level).unwrap_or_else(|| self.defaults.of(level))
    }

    fn reserve(&self, ledger: &Ledger, key: String, levels: Vec<Level>, most: Amount) -> Result<Vec<Event>, Error> {
        if ledger.is_open(&key) {
            return Ok(Vec::new());
        }
        let mut neared = Vec::new();
        for level in &levels {
            let (limit, account) = (self.limit(ledger, level), ledger.account(level));
            if let Some(missing) = account.missing(&limit, most) {
                return Err(Error::Spent { level: level.clone(), missing, then: limit.then });
            }
            if !account.warned && account.nears(&limit, most) {
                neared.push(Event::BudgetNeared { level: level.clone(), used: account.used().plus(most) });
            }
        }
        let mut events = vec![Event::BudgetReserved { key, levels, most }];
        events.append(&mut neared);
        Ok(events)
    }
}

impl Decider for BudgetsDecider {
    type State = Ledger;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = KIND;

    fn initial(&self, _: &Address) -> Ledger {
        Ledger::default()
    }

    fn decide(&self, ledger: &Ledger, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
        match command {
            Command::SetBudget { level, limit, keep, restart } => {
                let limit = if keep { ledger.set(&level) } else { limit };
                let nothing = |limit: Limit| [limit.tokens, limit.cost, limit.time_ms].contains(&Some(0));
                if limit.is_some_and(nothing) {
                    return Err(Error::Nothing { level });
                }
                if limit.is_some() && ledger.set(&level).is_none() && ledger.set_count() >= SET_MAX {
                    return Err(Error::Full);
                }
                if ledger.set(&level) == limit && !restart {
                    return Ok(Vec::new());
                }
                let by = cause.principal.answerable().to_owned();
                Ok(vec![Event::BudgetSet { level, limit, restart, by }])
            }
            Command::ReserveBudget { key, project, run, most } => {
                let upper = [project.map(Level::Project), run.map(Level::Run)];
                let levels = [Level::Tenant].into_iter().chain(upper.into_iter().flatten()).collect();
                self.reserve(ledger, key, levels, most)
            }
            Command::SettleBudget { key, took } => Ok(ledger.settled(key, took, cause.at).into_iter().collect()),
        }
    }

    fn evolve(&self, ledger: &mut Ledger, event: Event, recorded: &Recorded<'_>) {
        ledger.apply(event, recorded.at);
    }

    fn view(&self, ledger: &Ledger, _: &str) -> Value {
        serde_json::to_value(ledger.stands(|level| self.limit(ledger, level))).unwrap_or_default()
    }

    fn size_hint(&self, ledger: &Ledger) -> usize {
        1024 + ledger.size()
    }
}

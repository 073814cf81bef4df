//! Pools: how often a tenant's calls may go to a skill and to its host, and which of them are not called for a while.
//!
//! A rate holds calls back until it is their time, as long as their own time allows. A breaker opens when a host was
//! lost, or a call took too long, several times in a row: calls are then refused at once, or wait when their step
//! would try again anyway, until one of them shows that it works again. What a skill says itself is an answer, however
//! it says no.
//!
//! All of it is one tenant's: another tenant's calls of the same skill have their own. It is kept in memory, and a node
//! that starts begins with full rates and closed breakers: what failed before may have been mended meanwhile, and a few
//! calls tell.
//!
//! Never here: who is asked (the hosts), and how many are asked at once ([`crate::perform`]).

mod breaker;
mod counts;
mod rates;

use std::{collections::HashMap, sync::Arc, time::Duration};

use mesh_kernel::{
    envelope::{TenantId, Timestamp},
    ports::Clock,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::{
    breaker::{Breaker, Gate},
    rates::{Rates, What},
};
use crate::contract::{Blame, Call, Failure, Manifest, Rate};

pub use self::{
    breaker::{Breaking, Seen, Stands},
    counts::{Figures, Tally},
};

/// Breakers above which those that have not failed for long are forgotten.
const SWEPT_ABOVE: usize = 10_000;

/// What an operator has set.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// All calls of one tenant.
    pub tenant: Option<Rate>,
    /// Calls of one tenant at each of its hosts: its workers, and each MCP server.
    pub host: Option<Rate>,
    /// When breakers open, and for how long.
    pub breaking: Breaking,
}

/// Where the work of a skill is done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// In the node itself, which has no breaker and no rate of its own.
    Native,
    /// By the tenant's workers. A lost one is not asked anyway, so only the skill has a breaker.
    Workers,
    /// By an MCP server of this name.
    Mcp(String),
}

impl Host {
    /// Where the work of this skill is done.
    pub fn of(manifest: &Manifest, is_native: bool) -> Self {
        match &manifest.mcp {
            Some(tool) => Self::Mcp(tool.server.name.clone()),
            None if is_native || manifest.instructions.is_some() => Self::Native,
            None => Self::Workers,
        }
    }

    fn as_text(&self) -> Option<String> {
        match self {
            Self::Native => None,
            Self::Workers => Some("workers".to_owned()),
            Self::Mcp(server) => Some(format!("mcp/{server}")),
        }
    }
}

/// What a breaker stands before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Before {
    /// One version of a skill.
    Skill(String),
    /// A host.
    Host(String),
}

/// The rates and breakers of all tenants. Cheap to clone.
#[derive(Clone)]
pub struct Pools(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    settings: Settings,
    rates: Mutex<Rates>,
    breakers: Mutex<HashMap<(TenantId, Before), Breaker>>,
    /// A breaker stands otherwise than before.
    changed: Notify,
    counts: counts::Counts,
}

/// A call that may go. What is told of its end decides about its breakers; dropped, it has told nothing.
pub struct Pass {
    pools: Pools,
    tenant: TenantId,
    /// What it passed, and whether it is the one that tries.
    passed: Vec<(Before, bool)>,
}

impl Pools {
    /// Pools with these settings.
    pub fn new(clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            clock,
            settings,
            rates: Mutex::default(),
            breakers: Mutex::default(),
            changed: Notify::new(),
            counts: counts::Counts::default(),
        }))
    }

    /// Waits until the rates let the call go, and tells what is left of its time.
    ///
    /// # Errors
    /// When its time would be over before, told at once; or nobody wants the outcome any more.
    pub async fn pace(
        &self,
        manifest: &Manifest,
        host: &Host,
        call: &Call,
        left: Duration,
    ) -> Result<Duration, Failure> {
        let Settings { tenant, host: at_host, .. } = &self.0.settings;
        let mut asked: Vec<(What, Rate)> = Vec::new();
        asked.extend(manifest.resources.rate.map(|rate| (What::Skill(manifest.name.clone()), rate)));
        asked.extend(host.as_text().zip(*at_host).map(|(host, rate)| (What::Host(host), rate)));
        asked.extend(tenant.map(|rate| (What::Tenant, rate)));
        if asked.is_empty() {
            return Ok(left);
        }
        let taken = self.0.rates.lock().take(call.tenant(), &asked, self.0.clock.monotonic(), left);
        let wait = taken.map_err(|held| {
            self.0.counts.count(call.tenant(), |tally| tally.rate_refused += 1);
            let message = format!(
                "{}, and this call would have to wait {} for it",
                told(&held.what, &held.rate),
                shown(held.wait)
            );
            Failure::resource("skill.rate", message).unasked().after(held.wait)
        })?;
        if wait.is_zero() {
            return Ok(left);
        }
        self.0.counts.count(call.tenant(), |tally| tally.rate_waited += 1);
        call.log.note(format!("waits {} for its time: the rate of its calls is bounded", shown(wait)));
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(left.saturating_sub(wait)),
            () = call.cancelled.cancelled() => Err(Failure::cancelled()),
        }
    }

    /// Passes the breakers of a call. One whose step tries again waits, as long as it has time; another is told at once.
    ///
    /// # Errors
    /// When a breaker is open: which, since when, and when it is tried again.
    pub async fn pass(
        &self,
        manifest: &Manifest,
        host: &Host,
        call: &Call,
        patience: Option<Duration>,
    ) -> Result<(Pass, Duration), Failure> {
        let all = stands_before(manifest, host);
        let began = self.0.clock.monotonic();
        let mut has_waited = false;
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (now, wall) = (self.0.clock.monotonic(), self.0.clock.now());
            // What was not waited is not taken from the call's time, however long the asking took.
            let spent = if has_waited { now.saturating_sub(began) } else { Duration::ZERO };
            let closed = match self.ask(call.tenant(), &all, now) {
                Ok(passed) => {
                    return Ok((Pass { pools: self.clone(), tenant: call.tenant().clone(), passed }, spent));
                }
                Err(closed) => closed,
            };
            let wait = closed.until.map(|until| until.saturating_sub(now));
            let left = patience.unwrap_or_default().saturating_sub(spent);
            if left.is_zero() || wait.is_some_and(|wait| wait >= left) {
                self.0.counts.count(call.tenant(), |tally| tally.breaker_refused += 1);
                return Err(closed.failure(wait, wall));
            }
            if !has_waited {
                has_waited = true;
                self.0.counts.count(call.tenant(), |tally| tally.breaker_waited += 1);
                call.log.note(format!("waits: {}", closed.words(wait, wall)));
            }
            tokio::select! {
                () = &mut changed => {}
                () = tokio::time::sleep(wait.unwrap_or(left)) => {}
                () = call.cancelled.cancelled() => return Err(Failure::cancelled()),
            }
        }
    }

    /// Whether all of these let a call go; none is asked to let a try go unless all do.
    fn ask(&self, tenant: &TenantId, all: &[Before], now: Duration) -> Result<Vec<(Before, bool)>, Box<Closed>> {
        let mut breakers = self.0.breakers.lock();
        let key = |before: &Before| (tenant.clone(), before.clone());
        for before in all {
            let Some(breaker) = breakers.get(&key(before)) else { continue };
            if let Gate::Wait { until } = breaker.gate(now) {
                return Err(Box::new(Closed { before: before.clone(), breaker: breaker.clone(), until }));
            }
        }
        let tries = all.iter().map(|before| {
            let tries = breakers.get_mut(&key(before)).is_some_and(Breaker::enter);
            (before.clone(), tries)
        });
        Ok(tries.collect())
    }

    fn learn(&self, tenant: &TenantId, passed: Vec<(Before, bool)>, of: impl Fn(&Before) -> Learned) {
        let (now, wall) = (self.0.clock.monotonic(), self.0.clock.now());
        let rule = &self.0.settings.breaking;
        let mut has_changed = false;
        let mut breakers = self.0.breakers.lock();
        if breakers.len() > SWEPT_ABOVE {
            breakers.retain(|_, breaker| !breaker.is_old(now));
        }
        for (before, tries) in passed {
            let key = (tenant.clone(), before);
            match of(&key.1) {
                Learned::Bad(why) if rule.failures > 0 => {
                    let breaker = breakers.entry(key).or_default();
                    if breaker.failed(tries, why, (now, wall), rule) {
                        has_changed = true;
                        self.0.counts.count(tenant, |tally| tally.opened += 1);
                    }
                }
                Learned::Nothing => {
                    if tries && let Some(breaker) = breakers.get_mut(&key) {
                        breaker.left();
                        has_changed = true;
                    }
                }
                Learned::Good | Learned::Bad(_) => {
                    if breakers.get(&key).is_some_and(|breaker| breaker.closes(tries)) {
                        breakers.remove(&key);
                        has_changed |= tries;
                    }
                }
            }
        }
        drop(breakers);
        if has_changed {
            self.0.changed.notify_waiters();
        }
    }

    /// How the breakers stand through which calls of this skill go.
    pub fn seen(&self, tenant: &TenantId, manifest: &Manifest, host: &Host) -> Vec<(Before, Seen)> {
        let (now, wall) = (self.0.clock.monotonic(), self.0.clock.now());
        let breakers = self.0.breakers.lock();
        let all = stands_before(manifest, host).into_iter();
        all.map(|before| {
            let breaker = breakers.get(&(tenant.clone(), before.clone()));
            (before, breaker.map(|breaker| breaker.seen(now, wall)).unwrap_or_default())
        })
        .collect()
    }

    /// The figures of every tenant that has any.
    pub fn figures(&self) -> Vec<(TenantId, Figures)> {
        let mut all: HashMap<TenantId, Figures> = self.0.counts.all();
        for ((tenant, before), breaker) in self.0.breakers.lock().iter().filter(|(_, breaker)| breaker.is_open()) {
            let _ = breaker;
            let figures = all.entry(tenant.clone()).or_default();
            match before {
                Before::Skill(_) => figures.open_skills += 1,
                Before::Host(_) => figures.open_hosts += 1,
            }
        }
        all.into_iter().collect()
    }

    /// Forgets a tenant that is gone.
    pub fn forget(&self, tenant: &TenantId) {
        self.0.rates.lock().forget(tenant);
        self.0.breakers.lock().retain(|(of, _), _| of != tenant);
        self.0.counts.forget(tenant);
    }
}

impl Pass {
    /// Tells how the call ended; `is_whole` when it had most of its time, so that being late says something.
    pub fn ended<T>(mut self, result: Result<&T, &Failure>, is_whole: bool) {
        let learned = |before: &Before| {
            let Err(failure) = result else { return Learned::Good };
            match (failure.blame, before) {
                (Blame::Skill, _) => Learned::Good,
                (Blame::Host, _) => Learned::Bad(failure.message.clone()),
                (Blame::Late, Before::Skill(_)) if is_whole => Learned::Bad(failure.message.clone()),
                (Blame::Late | Blame::Nobody, _) => Learned::Nothing,
            }
        };
        let passed = std::mem::take(&mut self.passed);
        self.pools.learn(&self.tenant, passed, learned);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let passed = std::mem::take(&mut self.passed);
        if !passed.is_empty() {
            self.pools.learn(&self.tenant, passed, |_| Learned::Nothing);
        }
    }
}

/// What a call has told of what stands behind a breaker.
enum Learned {
    Good,
    Bad(String),
    Nothing,
}

/// A breaker that lets nobody through now.
struct Closed {
    before: Before,
    breaker: Breaker,
    /// On the monotonic clock; none while one call tries.
    until: Option<Duration>,
}

impl Closed {
    fn words(&self, wait: Option<Duration>, wall: Timestamp) -> String {
        let what = match &self.before {
            Before::Skill(skill) => format!("the breaker of `{skill}`"),
            Before::Host(host) => format!("the breaker of the host `{host}`"),
        };
        let next = match wait {
            Some(wait) => format!("it is tried again in {}", shown(wait)),
            None => "one call tries it now".to_owned(),
        };
        let since = self.breaker.since().unwrap_or(wall);
        let Breaker { failures, last, .. } = &self.breaker;
        format!("{what} is open since {since}, after {failures} failures in a row (the last: {last}); {next}")
    }

    fn failure(&self, wait: Option<Duration>, wall: Timestamp) -> Failure {
        let code = match self.before {
            Before::Skill(_) => "skill.breaker",
            Before::Host(_) => "host.breaker",
        };
        let failure = Failure::external(code, self.words(wait, wall)).unasked();
        failure.after(wait.unwrap_or(Duration::from_secs(1)))
    }
}

/// The breakers that a call of this skill passes: its own, and its host's when that is one server.
fn stands_before(manifest: &Manifest, host: &Host) -> Vec<Before> {
    let mut all = vec![Before::Skill(format!("{}@{}", manifest.name, manifest.version))];
    if let Host::Mcp(_) = host {
        all.extend(host.as_text().map(Before::Host));
    }
    all
}

fn told(what: &What, rate: &Rate) -> String {
    let often = format!("{} calls in {:?}, {} of them at once", rate.calls, rate.per, rate.burst());
    match what {
        What::Skill(skill) => format!("`{skill}` takes {often}"),
        What::Host(host) => format!("the host `{host}` takes {often}"),
        What::Tenant => format!("a tenant may make {often}"),
    }
}

/// A time in words, to the tenth of a second and never less than it is.
fn shown(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64().max(0.1))
}

#[cfg(test)]
mod tests;

//! Effect workers: bounded, fair across tenants, and the same work never twice at once.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    BoxFuture,
    entity::EffectRequest,
    envelope::{Address, Envelope, IdempotencyKey, Refusal, Retry, TenantId, TenantScope},
    ports::{Concurrency, EffectCall, Effects, Outcome},
};

/// An effect that an entity asked for.
#[derive(Debug, Clone)]
pub struct EffectTask {
    /// Who asked, and who gets the outcome.
    pub address: Address,
    /// What was asked.
    pub request: EffectRequest,
    /// The event because of which it was asked: trace, correlation, principal.
    pub cause: Arc<Envelope>,
}

/// How an outcome comes back to the entity that asked.
pub trait Outbox: Send + Sync + 'static {
    /// Sends the outcome as a command; done when the entity has recorded or refused it.
    fn tell<'a>(&'a self, task: &'a EffectTask, outcome: Outcome) -> BoxFuture<'a, Result<(), Refusal>>;
}

#[derive(Default)]
struct TenantLine {
    running: usize,
    waiting: VecDeque<(EffectTask, CancellationToken)>,
}

#[derive(Default)]
struct LineState {
    running: usize,
    tenants: HashMap<TenantId, TenantLine>,
    /// Tenants with something waiting, in turn.
    turn: VecDeque<TenantId>,
}

struct Line {
    effects: Arc<dyn Effects>,
    bounds: Concurrency,
    state: Mutex<LineState>,
}

type InFlight = HashMap<(Address, IdempotencyKey), CancellationToken>;

struct Inner {
    lines: HashMap<&'static str, Line>,
    in_flight: Mutex<InFlight>,
    outbox: OnceLock<Arc<dyn Outbox>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The effect workers of a node, a line for each performer.
///
/// INVARIANT: an effect is in flight at most once in a process, however often it is asked for.
#[derive(Clone)]
pub struct Workers(Arc<Inner>);

impl Workers {
    /// Workers for these performers. A handler name that two of them claim goes to the last one.
    pub fn new(performers: Vec<Arc<dyn Effects>>) -> Self {
        let mut lines = HashMap::new();
        for effects in performers {
            for handler in effects.handlers() {
                let line = Line { effects: effects.clone(), bounds: effects.concurrency(), state: Mutex::default() };
                lines.insert(handler, line);
            }
        }
        Self(Arc::new(Inner {
            lines,
            in_flight: Mutex::default(),
            outbox: OnceLock::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Says where outcomes go. Once, before the first effect.
    pub fn connect(&self, outbox: Arc<dyn Outbox>) {
        if self.0.outbox.set(outbox).is_err() {
            tracing::error!("the workers' outbox was set twice; the first one stays");
        }
    }

    /// Starts an effect, or queues it; nothing when it is in flight already.
    pub fn submit(&self, task: EffectTask) {
        let Some(line) = self.0.lines.get(task.request.handler) else {
            tracing::error!(handler = task.request.handler, address = %task.address, "no performer for this effect");
            return;
        };
        if self.0.stop.is_cancelled() {
            return;
        }
        let token = self.0.stop.child_token();
        let key = (task.address.clone(), task.request.key.clone());
        {
            let mut in_flight = self.0.in_flight.lock();
            if in_flight.contains_key(&key) {
                return;
            }
            in_flight.insert(key, token.clone());
        }
        {
            let mut state = line.state.lock();
            let tenant = task.address.tenant().clone();
            let lane = state.tenants.entry(tenant.clone()).or_default();
            lane.waiting.push_back((task, token));
            if lane.waiting.len() == 1 {
                state.turn.push_back(tenant);
            }
        }
        self.pump(line);
    }

    /// Tells the performer that nobody wants this effect any more.
    pub fn cancel(&self, address: &Address, key: &IdempotencyKey) {
        let token = self.0.in_flight.lock().get(&(address.clone(), key.clone())).cloned();
        if let Some(token) = token {
            token.cancel();
        }
    }

    /// Effects that are running or queued.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.lock().len()
    }

    /// Cancels everything and waits for the performers, at most this long. Outcomes that come
    /// afterwards are not told: the effects are asked for again at the next start.
    pub async fn stop(&self, at_most: Duration) {
        self.0.stop.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(at_most, self.0.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.0.tasks.len(), "effects did not end in time");
        }
    }

    fn pump(&self, line: &Line) {
        while let Some((task, token)) = next(line) {
            let workers = self.clone();
            let running = self.0.tasks.track_future(async move { workers.run(task, token).await });
            drop(crate::task::spawn("effect", running));
        }
    }

    async fn run(self, task: EffectTask, token: CancellationToken) {
        if !token.is_cancelled() {
            self.perform(&task, &token).await;
        }
        self.0.in_flight.lock().remove(&(task.address.clone(), task.request.key.clone()));
        if let Some(line) = self.0.lines.get(task.request.handler) {
            finished(line, task.address.tenant());
            self.pump(line);
        }
    }

    async fn perform(&self, task: &EffectTask, token: &CancellationToken) {
        let Some(line) = self.0.lines.get(task.request.handler) else { return };
        let call = EffectCall {
            scope: TenantScope::proven(task.address.tenant().clone()),
            request: task.request.clone(),
            cause: task.cause.clone(),
            cancelled: token.clone(),
        };
        let performed = AssertUnwindSafe(line.effects.perform(call)).catch_unwind();
        let grace = line.bounds.grace;
        let outcome = tokio::select! {
            performed = performed => performed,
            () = async { token.cancelled().await; tokio::time::sleep(grace).await } => {
                tracing::warn!(address = %task.address, key = %task.request.key, "a cancelled effect was dropped");
                return;
            }
        };
        // What a cancelled effect answers is not told: nobody wants it, or the node is stopping and
        // the effect is asked for again.
        if token.is_cancelled() {
            return;
        }
        let failed = |reason: &str| line.effects.failed(&task.request, reason);
        let outcome = match outcome {
            Ok(Some(outcome)) => Some(outcome),
            Ok(None) => failed("the performer gave no outcome"),
            Err(panic) => failed(&format!("the performer panicked: {}", panic_text(panic.as_ref()))),
        };
        let Some(outcome) = outcome else { return };
        if let Err(refusal) = self.tell(task, token, outcome).await {
            tracing::warn!(address = %task.address, key = %task.request.key, %refusal, "an outcome was refused");
        }
    }

    /// Tells the outcome until it is answered for good.
    async fn tell(&self, task: &EffectTask, token: &CancellationToken, outcome: Outcome) -> Result<(), Refusal> {
        let Some(outbox) = self.0.outbox.get() else { return Ok(()) };
        let mut backoff = Duration::from_millis(10);
        loop {
            let refusal = match outbox.tell(task, outcome.clone()).await {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal,
            };
            let delay = match refusal.retry {
                Retry::Never => return Err(refusal),
                Retry::Now => Duration::ZERO,
                Retry::After(delay) => delay,
            };
            tokio::select! {
                () = token.cancelled() => return Err(refusal),
                () = tokio::time::sleep(delay.max(backoff)) => {}
            }
            backoff = (backoff * 2).min(Duration::from_secs(5));
        }
    }
}

/// The next effect that may start: tenants in turn, each within its bound.
fn next(line: &Line) -> Option<(EffectTask, CancellationToken)> {
    let mut state = line.state.lock();
    if state.running >= line.bounds.total {
        return None;
    }
    for _ in 0..state.turn.len() {
        let tenant = state.turn.pop_front()?;
        let lane = state.tenants.get_mut(&tenant)?;
        if lane.running >= line.bounds.per_tenant {
            state.turn.push_back(tenant);
            continue;
        }
        let Some(next) = lane.waiting.pop_front() else { continue };
        lane.running += 1;
        if !lane.waiting.is_empty() {
            state.turn.push_back(tenant);
        }
        state.running += 1;
        return Some(next);
    }
    None
}

fn finished(line: &Line, tenant: &TenantId) {
    let mut state = line.state.lock();
    state.running = state.running.saturating_sub(1);
    if let Some(lane) = state.tenants.get_mut(tenant) {
        lane.running = lane.running.saturating_sub(1);
        if lane.running == 0 && lane.waiting.is_empty() {
            state.tenants.remove(tenant);
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}

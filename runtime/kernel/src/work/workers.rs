//! Effect workers: bounded, fair across tenants, and the same work never twice at once.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{EffectTask, Outbox, line::Line};
use crate::{
    entity::EffectRequest,
    envelope::{Address, Envelope, IdempotencyKey, Refusal, Retry, TenantScope},
    fair::Bounds,
    ports::{EffectCall, Effects, Outcome},
};

/// What waits for a worker in one line: more is asked for again when there is room.
const WAITING: Bounds = Bounds { items: 4096, bytes: 32 * 1024 * 1024 };

type InFlight = HashMap<(Address, IdempotencyKey), CancellationToken>;

pub(super) struct Inner {
    /// One for each performer, and each handler name's place among them.
    pub(super) lines: Vec<Mutex<Line>>,
    handlers: HashMap<&'static str, usize>,
    pub(super) in_flight: Mutex<InFlight>,
    pub(super) outbox: OnceLock<Arc<dyn Outbox>>,
    pub(super) stop: CancellationToken,
    tasks: TaskTracker,
    /// Someone may be told to ask again.
    pub(super) room: Notify,
    /// The task that tells them is there.
    pub(super) calling: AtomicBool,
}

/// The effect workers of a node, a line for each performer.
///
/// INVARIANT: an effect is in flight at most once in a process, however often it is asked for.
#[derive(Clone)]
pub struct Workers(pub(super) Arc<Inner>);

impl Workers {
    /// Workers for these performers. A handler name that two of them claim goes to the last one.
    pub fn new(performers: Vec<Arc<dyn Effects>>) -> Self {
        Self::bounded(performers, WAITING)
    }

    /// The same, with these bounds for what waits in each line.
    pub fn bounded(performers: Vec<Arc<dyn Effects>>, waiting: Bounds) -> Self {
        let (mut lines, mut handlers) = (Vec::new(), HashMap::new());
        for effects in performers {
            handlers.extend(effects.handlers().into_iter().map(|handler| (handler, lines.len())));
            lines.push(Mutex::new(Line::new(effects, waiting)));
        }
        Self(Arc::new(Inner {
            lines,
            handlers,
            in_flight: Mutex::default(),
            outbox: OnceLock::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            room: Notify::new(),
            calling: AtomicBool::new(false),
        }))
    }

    /// Says where outcomes go. Once, before the first effect.
    pub fn connect(&self, outbox: Arc<dyn Outbox>) {
        if self.0.outbox.set(outbox).is_err() {
            tracing::error!("the workers' outbox was set twice; the first one stays");
        }
    }

    /// Starts or queues what an entity wants; what is in flight already stays as it is. Answers the
    /// keys that found no room: the entity is told to ask again when there is some.
    ///
    /// To be called with every change of what an entity wants, also when that is nothing. `asked_before` when it
    /// may have wanted them already, before it was rebuilt or told to ask again.
    pub fn ask(
        &self,
        address: &Address,
        cause: &Arc<Envelope>,
        wanted: Vec<EffectRequest>,
        asked_before: bool,
    ) -> HashSet<IdempotencyKey> {
        for line in &self.0.lines {
            line.lock().has_asked(address);
        }
        let mut away = HashSet::new();
        if self.0.stop.is_cancelled() {
            return away;
        }
        for request in wanted {
            let key = request.key.clone();
            if !self.submit(EffectTask { address: address.clone(), request, cause: cause.clone(), asked_before }) {
                away.insert(key);
            }
        }
        if !away.is_empty() {
            self.call_up_later();
        }
        away
    }

    /// False when there is no room.
    fn submit(&self, task: EffectTask) -> bool {
        let Some(place) = self.line_of(task.request.handler) else {
            tracing::error!(handler = task.request.handler, address = %task.address, "no performer for this effect");
            return true;
        };
        let key = (task.address.clone(), task.request.key.clone());
        {
            let (mut in_flight, mut line) = (self.0.in_flight.lock(), place.lock());
            match in_flight.get(&key) {
                Some(token) if !token.is_cancelled() => return true,
                // Cancelled and not gone yet: the same work must not begin beside it.
                Some(_) => {
                    line.turn_away(&task.address);
                    return false;
                }
                None if !line.has_room(&task) => {
                    line.turn_away(&task.address);
                    return false;
                }
                None => {
                    let token = self.0.stop.child_token();
                    in_flight.insert(key, token.clone());
                    line.push(task, token);
                }
            }
        }
        self.pump(place);
        true
    }

    fn line_of(&self, handler: &str) -> Option<&Mutex<Line>> {
        self.0.lines.get(*self.0.handlers.get(handler)?)
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

    /// Who has something running or queued.
    pub(super) fn busy(&self) -> HashSet<Address> {
        self.0.in_flight.lock().keys().map(|(address, _)| address.clone()).collect()
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

    fn pump(&self, line: &Mutex<Line>) {
        loop {
            let Some((task, token)) = line.lock().next() else { return };
            let workers = self.clone();
            let running = self.0.tasks.track_future(async move { workers.run(task, token).await });
            drop(crate::task::spawn("effect", running));
        }
    }

    /// Starts the task that tells who was turned away to ask again, unless it is there.
    fn call_up_later(&self) {
        if !self.0.calling.swap(true, Ordering::AcqRel) {
            let calling = self.0.tasks.track_future(self.clone().call_up());
            drop(crate::task::spawn("effects again", calling));
        }
    }

    async fn run(self, task: EffectTask, token: CancellationToken) {
        let Some(line) = self.line_of(task.request.handler) else { return };
        if !token.is_cancelled() {
            self.perform(line, &task, &token).await;
        }
        self.0.in_flight.lock().remove(&(task.address.clone(), task.request.key.clone()));
        if line.lock().finished(task.address.tenant()) {
            self.0.room.notify_one();
        }
        self.pump(line);
    }

    async fn perform(&self, line: &Mutex<Line>, task: &EffectTask, token: &CancellationToken) {
        let (effects, grace) = {
            let line = line.lock();
            (line.effects.clone(), line.concurrency.grace)
        };
        let call = EffectCall {
            scope: TenantScope::proven(task.address.tenant().clone()),
            request: task.request.clone(),
            cause: task.cause.clone(),
            asked_before: task.asked_before,
            cancelled: token.clone(),
        };
        crate::failpoint::pass("effect.asked");
        let performed = AssertUnwindSafe(effects.perform(call)).catch_unwind();
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
        let failed = |reason: &str| effects.failed(&task.request, reason);
        let outcome = match outcome {
            Ok(Some(outcome)) => Some(outcome),
            Ok(None) => failed("the performer gave no outcome"),
            Err(panic) => failed(&format!("the performer panicked: {}", panic_text(panic.as_ref()))),
        };
        let Some(outcome) = outcome else { return };
        crate::failpoint::pass("effect.done");
        let told = self.tell(task, token, outcome).await;
        crate::failpoint::pass("effect.told");
        if let Err(refusal) = told {
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

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}

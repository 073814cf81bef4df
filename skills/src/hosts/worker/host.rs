//! The calls that wait for a worker, and those that one has.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use mesh_kernel::envelope::TenantId;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::sync::oneshot;

use super::session::{Seat, Told};
use crate::{
    contract::{Call, Failure},
    logs::LogWriter,
};

/// How long the calls of a worker that is lost are kept for it, and how long one that says nothing counts as
/// connected.
pub const LEASE: Duration = Duration::from_secs(30);

/// A call as a worker sees it.
#[derive(Debug)]
pub struct Asked {
    /// Given once, and never again.
    pub id: String,
    /// Whose call it is.
    pub tenant: TenantId,
    /// The skill's name.
    pub skill: String,
    /// The version of it.
    pub version: String,
    /// What it is called with.
    pub input: Value,
    /// The same key always means the same work.
    pub key: String,
    /// Counts the step's attempts, from 1.
    pub attempt: u32,
    /// The run that it belongs to.
    pub run: String,
    /// The step in the run.
    pub step: String,
    /// Which item of a for-each.
    pub item: Option<u32>,
    /// W3C trace context, when there is one.
    pub traceparent: Option<String>,
    /// The lineage key.
    pub trace: String,
}

/// A call that somebody waits for.
pub(super) struct Open {
    pub(super) asked: Arc<Asked>,
    pub(super) session: Option<u64>,
    /// Who had it when the connection was lost.
    pub(super) lost_by: Option<Lost>,
    pub(super) answer: oneshot::Sender<Result<Value, Failure>>,
    pub(super) log: LogWriter,
}

/// A session that is over, and the worker that had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) session: u64,
    pub(super) worker: String,
}

/// What is under one lock.
#[derive(Default)]
pub(super) struct State {
    pub(super) seats: HashMap<u64, Seat>,
    pub(super) calls: HashMap<String, Open>,
    /// Calls that nobody has yet, in the order of their coming.
    waiting: HashMap<TenantId, VecDeque<String>>,
    sessions: u64,
}

impl State {
    pub(super) fn next_session(&mut self) -> u64 {
        self.sessions += 1;
        self.sessions
    }

    /// Gives waiting calls to workers that have room, the least busy first.
    pub(super) fn dispatch(&mut self) {
        let Self { seats, calls, waiting, .. } = self;
        waiting.retain(|tenant, queue| {
            queue.retain(|id| {
                let Some(call) = calls.get_mut(id) else { return false };
                let skill = (call.asked.skill.clone(), call.asked.version.clone());
                let free = seats.iter_mut().filter(|(_, seat)| seat.has_room_for(tenant, &skill));
                let Some((number, seat)) = free.min_by_key(|(number, seat)| (seat.open.len(), **number)) else {
                    return true;
                };
                if !seat.tell(Told::Call(call.asked.clone())) {
                    return true;
                }
                seat.open.insert(id.clone());
                call.session = Some(*number);
                false
            });
            !queue.is_empty()
        });
    }
}

/// The host: every worker of every tenant. Cheap to clone.
#[derive(Clone)]
pub struct Workers {
    state: Arc<Mutex<State>>,
    lease: Duration,
}

impl Default for Workers {
    fn default() -> Self {
        Self::new(LEASE)
    }
}

impl Workers {
    /// A host that keeps a lost worker's calls for so long.
    pub fn new(lease: Duration) -> Self {
        Self { state: Arc::default(), lease }
    }

    /// How long a worker may say nothing.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// How often a worker shall say something.
    pub fn beat_every(&self) -> Duration {
        super::session::beats(self.lease)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// How many workers of a tenant have this version of a skill.
    pub fn having(&self, tenant: &TenantId, skill: &str, version: &str) -> usize {
        let skill = (skill.to_owned(), version.to_owned());
        let state = self.lock();
        state.seats.values().filter(|seat| seat.tenant == *tenant && seat.skills.contains(&skill)).count()
    }

    /// Has a worker do it, waiting for one as long as the caller does. Dropping the future takes the call back.
    pub(super) async fn call(&self, skill: &str, version: &str, call: Call) -> Result<Value, Failure> {
        let (answer, mut answered) = oneshot::channel();
        let cancelled = call.cancelled.clone();
        let (id, asked) = asked(skill, version, &call);
        if self.having(&asked.tenant, skill, version) == 0 {
            call.log.note(format!("waits for a worker that has {skill}@{version}"));
        }
        let open = Open { asked: Arc::new(asked), session: None, lost_by: None, answer, log: call.log };
        let _taken_back = TakenBack { workers: self, id: id.clone() };
        self.queue(open);
        tokio::select! {
            answer = &mut answered => return answer.unwrap_or_else(|_| Err(Failure::cancelled())),
            () = cancelled.cancelled() => {}
        }
        if !self.cancel(&id) {
            return Err(Failure::cancelled());
        }
        answered.await.unwrap_or_else(|_| Err(Failure::cancelled()))
    }

    /// Ends the calls of a version that is withdrawn and that no worker has yet. A retry finds another version,
    /// or hears the reason.
    pub fn withdraw(&self, tenant: &TenantId, skill: &str, version: &str, reason: &str) {
        let mut state = self.lock();
        let is_one = |call: &Open| {
            let asked = call.asked.as_ref();
            let waits = call.session.is_none() && call.lost_by.is_none();
            waits && (&asked.tenant, asked.skill.as_str(), asked.version.as_str()) == (tenant, skill, version)
        };
        let ids: Vec<String> = state.calls.iter().filter(|(_, call)| is_one(call)).map(|(id, _)| id.clone()).collect();
        for call in ids.iter().filter_map(|id| state.calls.remove(id)) {
            let message = format!("`{skill}@{version}` was withdrawn while it waited for a worker: {reason}");
            let _gone = call.answer.send(Err(Failure::external("skill.withdrawn", message).unasked()));
        }
    }

    fn queue(&self, call: Open) {
        let (id, tenant) = (call.asked.id.clone(), call.asked.tenant.clone());
        let mut state = self.lock();
        state.calls.insert(id.clone(), call);
        state.waiting.entry(tenant).or_default().push_back(id);
        state.dispatch();
    }

    /// Tells the worker that nobody wants it. False when no worker has it.
    fn cancel(&self, id: &str) -> bool {
        let state = self.lock();
        let session = state.calls.get(id).and_then(|call| call.session);
        let seat = session.and_then(|session| state.seats.get(&session));
        seat.is_some_and(|seat| seat.tell(Told::Cancel { id: id.to_owned() }))
    }

    /// Fails those of a lost worker's calls that it has not come back for when the lease is over.
    pub(super) fn give_up_after(&self, calls: Vec<String>, lost: Lost) {
        if calls.is_empty() {
            return;
        }
        let workers = self.clone();
        mesh_kernel::task::spawn("lost-worker", async move {
            tokio::time::sleep(workers.lease).await;
            let mut state = workers.lock();
            for id in calls {
                let is_lost = state.calls.get(&id).is_some_and(|call| call.lost_by.as_ref() == Some(&lost));
                if let Some(call) = is_lost.then(|| state.calls.remove(&id)).flatten() {
                    let message =
                        format!("the worker `{}` was lost while it did this, and has not come back", lost.worker);
                    let _gone = call.answer.send(Err(Failure::external("worker.lost", message).of_host()));
                }
            }
        });
    }
}

fn asked(skill: &str, version: &str, call: &Call) -> (String, Asked) {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let asked = Asked {
        id: id.clone(),
        tenant: call.tenant().clone(),
        skill: skill.to_owned(),
        version: version.to_owned(),
        input: call.input.clone(),
        key: call.key.as_str().to_owned(),
        attempt: call.attempt,
        run: call.run.clone(),
        step: call.step.clone(),
        item: call.item,
        traceparent: call.cause.headers.traceparent.clone(),
        trace: call.cause.trace_id.as_str().to_owned(),
    };
    (id, asked)
}

/// Takes a call back that nobody waits for any more.
struct TakenBack<'a> {
    workers: &'a Workers,
    id: String,
}

impl Drop for TakenBack<'_> {
    fn drop(&mut self) {
        let mut state = self.workers.lock();
        let Some(call) = state.calls.remove(&self.id) else { return };
        if let Some(seat) = call.session.and_then(|session| state.seats.get_mut(&session)) {
            seat.open.remove(&self.id);
            seat.tell(Told::Cancel { id: self.id.clone() });
        }
        state.dispatch();
    }
}

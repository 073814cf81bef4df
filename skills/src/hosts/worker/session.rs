//! One connection of a worker: what it says, and what it is told.

use std::{collections::HashSet, sync::Arc, time::Duration};

use mesh_kernel::envelope::TenantId;
use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::host::{Asked, Lost, Open, State, Workers};
use crate::contract::Failure;

/// What a worker is told.
#[derive(Debug, Clone)]
pub enum Told {
    /// Do this.
    Call(Arc<Asked>),
    /// Nobody wants the outcome of this call any more.
    Cancel {
        /// The call.
        id: String,
    },
    /// Its outcome has come; it need not be kept any longer.
    Ack {
        /// The call.
        id: String,
        /// Nobody waited for it: it was done by another, or given up.
        stale: bool,
    },
}

/// What a worker says of a call.
#[derive(Debug)]
pub enum Said {
    /// Something that people and progress views shall see.
    Progress {
        /// The call.
        id: String,
        /// What it says.
        text: String,
    },
    /// What came of it.
    Outcome {
        /// The call.
        id: String,
        /// The output, or why there is none.
        result: Result<Value, Failure>,
    },
}

/// A worker that is connected. Dropping it is the loss of the connection.
pub struct Session {
    workers: Workers,
    number: u64,
    ended: CancellationToken,
}

/// What the host knows of a session.
pub(super) struct Seat {
    pub(super) tenant: TenantId,
    pub(super) worker: String,
    /// Name and version of each skill that it has.
    pub(super) skills: HashSet<(String, String)>,
    /// Calls that it takes at once.
    pub(super) most: usize,
    pub(super) open: HashSet<String>,
    /// It takes nothing new.
    pub(super) is_draining: bool,
    /// When it has connected, and when it last said something.
    pub(super) since: Instant,
    pub(super) heard: Instant,
    tell: mpsc::Sender<Told>,
    ended: CancellationToken,
}

impl Seat {
    /// Tells it. One that does not listen is at its end: its calls are kept for when it comes back.
    pub(super) fn tell(&self, told: Told) -> bool {
        let is_told = self.tell.try_send(told).is_ok();
        if !is_told {
            self.ended.cancel();
        }
        is_told
    }

    pub(super) fn has_room_for(&self, tenant: &TenantId, skill: &(String, String)) -> bool {
        !self.is_draining && self.open.len() < self.most && self.tenant == *tenant && self.skills.contains(skill)
    }
}

impl Workers {
    /// Takes a worker in that says who it is, which versions of which skills it has, how much it takes at once, and which calls it still
    /// holds from an earlier connection. What it is told comes out of the receiver.
    pub fn welcome(
        &self,
        tenant: &TenantId,
        worker: &str,
        skills: HashSet<(String, String)>,
        most: usize,
        held: &[String],
    ) -> (Session, mpsc::Receiver<Told>) {
        // A call, its cancellation and two acknowledgements for each that it may have, and some more.
        let (tell, told) = mpsc::channel(4 * most + held.len() + 64);
        let ended = CancellationToken::new();
        let mut state = self.lock();
        let number = state.next_session();
        let mut open = HashSet::new();
        for id in held {
            if state.moves(id, tenant, worker, number) {
                open.insert(id.clone());
            } else {
                // Whatever it still does of this is in vain.
                drop(tell.try_send(Told::Ack { id: id.clone(), stale: true }));
            }
        }
        let (tenant, worker) = (tenant.clone(), worker.to_owned());
        let (now, ended_too) = (Instant::now(), ended.clone());
        let seat = Seat {
            tenant,
            worker,
            skills,
            most,
            open,
            is_draining: false,
            since: now,
            heard: now,
            tell,
            ended: ended_too,
        };
        state.seats.insert(number, seat);
        state.dispatch();
        drop(state);
        (Session { workers: self.clone(), number, ended }, told)
    }
}

impl Session {
    /// It has said something, whatever it was.
    pub fn beats(&self) {
        if let Some(seat) = self.workers.lock().seats.get_mut(&self.number) {
            seat.heard = Instant::now();
        }
    }

    /// Takes what the worker says.
    pub fn hear(&self, said: Said) {
        let mut state = self.workers.lock();
        match said {
            Said::Progress { id, text } => {
                if let Some(call) = state.held_by(self.number, &id) {
                    call.log.note(&text);
                }
            }
            Said::Outcome { id, result } => {
                let call = state.held_by(self.number, &id).is_some().then(|| state.calls.remove(&id)).flatten();
                let stale = call.is_none_or(|call| call.answer.send(result).is_err());
                let Some(seat) = state.seats.get_mut(&self.number) else { return };
                seat.open.remove(&id);
                seat.tell(Told::Ack { id, stale });
                state.dispatch();
            }
        }
    }

    /// Ready when it does not listen any more to what it is told.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// It takes nothing new and ends what it has.
    pub fn drain(&self) {
        if let Some(seat) = self.workers.lock().seats.get_mut(&self.number) {
            seat.is_draining = true;
        }
    }

    /// Calls that it has not ended.
    pub fn open(&self) -> usize {
        self.workers.lock().seats.get(&self.number).map_or(0, |seat| seat.open.len())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = self.workers.lock();
        let Some(seat) = state.seats.remove(&self.number) else { return };
        let lost = Lost { session: self.number, worker: seat.worker };
        let calls: Vec<String> = seat.open.into_iter().collect();
        for id in &calls {
            if let Some(call) = state.calls.get_mut(id) {
                (call.session, call.lost_by) = (None, Some(lost.clone()));
            }
        }
        drop(state);
        self.workers.give_up_after(calls, lost);
    }
}

impl State {
    /// Gives a call to the session with which its worker has come back. It may come back before anybody here has
    /// noticed that its connection is gone: that one is over then.
    fn moves(&mut self, id: &str, tenant: &TenantId, worker: &str, to: u64) -> bool {
        let Self { calls, seats, .. } = self;
        let Some(call) = calls.get_mut(id).filter(|call| call.asked.tenant == *tenant) else { return false };
        let before = call.session.and_then(|before| seats.get_mut(&before));
        let had = before.as_ref().map(|seat| &seat.worker).or(call.lost_by.as_ref().map(|lost| &lost.worker));
        if had.is_none_or(|had| had != worker) {
            return false;
        }
        if let Some(seat) = before {
            seat.open.remove(id);
            seat.ended.cancel();
        }
        (call.session, call.lost_by) = (Some(to), None);
        true
    }

    /// The call, when this session has it.
    fn held_by(&mut self, session: u64, id: &str) -> Option<&mut Open> {
        self.calls.get_mut(id).filter(|call| call.session == Some(session))
    }
}

/// How long a worker that says nothing counts as connected, as the gateway tells it.
pub(super) const fn beats(lease: Duration) -> Duration {
    Duration::from_millis(lease.as_millis() as u64 / 3)
}

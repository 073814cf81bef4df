//! The supervisor: one ractor actor type for node, planes and platforms.
//!
//! It does what its [`Plan`] says. It never waits inside a handler: a child's end is a message, sent
//! by whatever the child's state drops last, and a deadline is a message too.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    Cause, Restart, RestartPolicy, Strategy,
    plan::{Action, Plan},
};
use crate::{
    BoxFuture,
    ports::Clock,
    task,
    telemetry::{ActorKind, ActorState, ServiceMeter},
};

/// How long a killed child has to end before it counts as wedged.
const WEDGE_AFTER: Duration = Duration::from_secs(1);

/// Reports a child's end when it is dropped, with the cause if someone wrote one down.
pub(super) struct ChildPresence {
    cause: Arc<Mutex<Option<Cause>>>,
    report: Option<Box<dyn FnOnce(Cause) + Send + Sync>>,
}

impl ChildPresence {
    pub(super) fn new(report: impl FnOnce(Cause) + Send + Sync + 'static) -> Self {
        Self { cause: Arc::default(), report: Some(Box::new(report)) }
    }

    /// Writes down why it ends; the first one to know is believed.
    pub(super) fn note(&self, cause: Cause) {
        self.cause.lock().get_or_insert(cause);
    }
}

impl Drop for ChildPresence {
    fn drop(&mut self) {
        let cause = self.cause.lock().take().unwrap_or(Cause::Vanished);
        if let Some(report) = self.report.take() {
            report(cause);
        }
    }
}

/// How a child is asked to stop.
pub(super) enum StopBy {
    /// It watches a token.
    Token(CancellationToken),
    /// It is a supervisor: it stops its own children first.
    Order(ActorRef<SupervisorMsg>),
    /// ractor's own stop does.
    Stop,
}

/// A child that runs.
pub(super) struct Running {
    pub(super) cell: ActorCell,
    pub(super) stop_by: StopBy,
}

/// Starts one incarnation of a child.
pub(super) trait StartChild: Send + Sync {
    fn start(&self, parent: ActorCell, presence: ChildPresence) -> BoxFuture<'static, Result<Running, SpawnErr>>;
}

/// What the tree shows of a child.
#[derive(Debug, Clone)]
pub(super) struct ChildInfo {
    pub(super) state: ActorState,
    pub(super) incarnation: u64,
    pub(super) restarts: u32,
    pub(super) last_error: Option<Arc<str>>,
}

/// A child as its supervisor knows it, whether it runs or not.
#[derive(Clone)]
pub(super) struct ChildSpec {
    pub(super) name: Arc<str>,
    pub(super) kind: ActorKind,
    pub(super) restart: Restart,
    /// How long it has to stop before it is killed.
    pub(super) shutdown: Duration,
    pub(super) start: Arc<dyn StartChild>,
    pub(super) info: Arc<Mutex<ChildInfo>>,
    /// What a service counts of itself.
    pub(super) meter: Option<Arc<ServiceMeter>>,
}

impl ChildSpec {
    pub(super) fn new(
        name: Arc<str>,
        kind: ActorKind,
        restart: Restart,
        shutdown: Duration,
        start: Arc<dyn StartChild>,
    ) -> Self {
        let info = ChildInfo { state: ActorState::Waking, incarnation: 0, restarts: 0, last_error: None };
        Self { name, kind, restart, shutdown, start, info: Arc::new(Mutex::new(info)), meter: None }
    }
}

/// What belongs to a supervisor and outlives each of its incarnations.
pub(super) struct Seat {
    pub(super) name: Arc<str>,
    pub(super) strategy: Strategy,
    pub(super) policy: RestartPolicy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) children: Mutex<Vec<ChildSpec>>,
    live: Mutex<Option<ActorRef<SupervisorMsg>>>,
}

impl Seat {
    pub(super) fn new(name: Arc<str>, strategy: Strategy, policy: RestartPolicy, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { name, strategy, policy, clock, children: Mutex::default(), live: Mutex::default() })
    }

    /// Adds a child; it is started now, or with the supervisor's next incarnation.
    pub(super) fn add(&self, child: ChildSpec) {
        self.children.lock().push(child);
        if let Some(live) = &*self.live.lock() {
            let _ = live.send_message(SupervisorMsg::Look);
        }
    }

    /// Stops children, last started first, and waits until all have ended or are given up.
    pub(super) async fn stop(&self, only: Option<ActorKind>) {
        let (reply, done) = oneshot::channel();
        let live = self.live.lock().clone();
        let end = only.is_none();
        let asked =
            live.is_some_and(|live| live.send_message(SupervisorMsg::Stop { only, end, reply: Some(reply) }).is_ok());
        if asked {
            // An error means that the supervisor ended meanwhile, and with it all its children.
            let _ = done.await;
        }
    }
}

pub(super) enum SupervisorMsg {
    /// There may be new children.
    Look,
    /// A delayed start is due.
    Due(u64),
    /// A child has ended, and nothing of it is left.
    Ended { id: usize, generation: u64, cause: Cause },
    /// A child did not stop, or did not even die, in time.
    Overdue { id: usize, generation: u64, killed: bool },
    /// Stop the children of this kind, or all; then end as well, or go on without them.
    Stop { only: Option<ActorKind>, end: bool, reply: Option<oneshot::Sender<()>> },
}

pub(super) struct Supervisor;

struct Child {
    running: Running,
    generation: u64,
    started: Duration,
    /// We asked it to stop: then an end without a word is what was asked for.
    asked: bool,
}

/// INVARIANT: `presence` is the last field, so the end is reported after all else was dropped.
pub(super) struct SupervisorState {
    seat: Arc<Seat>,
    plan: Plan,
    children: Vec<Option<Child>>,
    generation: u64,
    stops: Vec<oneshot::Sender<()>>,
    end: bool,
    presence: ChildPresence,
}

pub(super) struct SupervisorArgs {
    pub(super) seat: Arc<Seat>,
    pub(super) presence: ChildPresence,
}

impl Actor for Supervisor {
    type Msg = SupervisorMsg;
    type State = SupervisorState;
    type Arguments = SupervisorArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMsg>,
        args: SupervisorArgs,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let SupervisorArgs { seat, presence } = args;
        *seat.live.lock() = Some(myself.clone());
        myself.send_message(SupervisorMsg::Look)?;
        let seed = u64::try_from(seat.clock.monotonic().as_nanos()).unwrap_or(1);
        Ok(SupervisorState {
            plan: Plan::new(seat.strategy, seat.policy, seed),
            seat,
            children: Vec::new(),
            generation: 0,
            stops: Vec::new(),
            end: false,
            presence,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMsg>,
        message: SupervisorMsg,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let actions = match message {
            SupervisorMsg::Look => state.look(),
            SupervisorMsg::Due(epoch) => {
                state.start_due(&myself, epoch).await;
                Vec::new()
            }
            SupervisorMsg::Ended { id, generation, cause } => state.ended(id, generation, cause),
            SupervisorMsg::Overdue { id, generation, killed } => state.overdue(&myself, id, generation, killed),
            SupervisorMsg::Stop { only, end, reply } => state.stop(only, end, reply),
        };
        state.perform(&myself, actions).await
    }

    /// Presences tell of ends; the event is dropped, and with it the state that it may carry.
    ///
    /// ractor's own handler would stop this supervisor whenever a child ends.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        _: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        drop(event);
        Ok(())
    }
}

impl SupervisorState {
    /// Takes in the children that were added since it looked last.
    fn look(&mut self) -> Vec<Action> {
        let specs = self.seat.children.lock();
        let mut actions = Vec::new();
        for spec in specs.iter().skip(self.plan.len()) {
            actions.extend(self.plan.add(spec.restart));
            self.children.push(None);
        }
        actions
    }

    async fn perform(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        actions: Vec<Action>,
    ) -> Result<(), ActorProcessingErr> {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Stop(id) => self.stop_child(myself, id),
                Action::Start { after, epoch } if after.is_zero() => {
                    self.start_due(myself, epoch).await;
                }
                Action::Start { after, epoch } => later(myself, after, SupervisorMsg::Due(epoch)),
                Action::Stopped => self.all_stopped(myself),
                Action::GiveUp(cause) => return Err(self.give_up(&cause)),
            }
        }
        Ok(())
    }

    fn spec(&self, id: usize) -> Option<ChildSpec> {
        self.seat.children.lock().get(id).cloned()
    }

    async fn start_due(&mut self, myself: &ActorRef<SupervisorMsg>, epoch: u64) {
        for id in self.plan.due(epoch) {
            let Some(spec) = self.spec(id) else { continue };
            self.generation += 1;
            let (generation, parent) = (self.generation, myself.clone());
            let presence = ChildPresence::new(move |cause| {
                // A supervisor that is gone needs no news: its own end is its parent's business.
                let _ = parent.send_message(SupervisorMsg::Ended { id, generation, cause });
            });
            {
                let mut info = spec.info.lock();
                info.state = ActorState::Live;
                info.incarnation += 1;
            }
            // Starting is short for every kind of child: what takes long is its first message.
            let child = match spec.start.start(myself.get_cell(), presence).await {
                Ok(running) => Child { running, generation, started: self.seat.clock.monotonic(), asked: false },
                Err(error) => {
                    // The presence was dropped with it, and has reported the end already.
                    tracing::warn!(child = %spec.name, %error, "a child could not be started");
                    continue;
                }
            };
            if let Some(place) = self.children.get_mut(id) {
                *place = Some(child);
            }
        }
    }

    fn ended(&mut self, id: usize, generation: u64, mut cause: Cause) -> Vec<Action> {
        let now = self.seat.clock.monotonic();
        let Some(place) = self.children.get_mut(id) else {
            return Vec::new();
        };
        if place.as_ref().is_some_and(|child| child.generation > generation) {
            return Vec::new();
        }
        if let Some(child) = place.take() {
            if child.asked && cause == Cause::Vanished {
                cause = Cause::Asked;
            }
            if now.saturating_sub(child.started) > self.seat.policy.intensity.within {
                self.plan.on_progress(id);
            }
        }
        let actions = self.plan.on_exit(id, &cause, now);
        if let Some(spec) = self.spec(id) {
            let mut info = spec.info.lock();
            let restarts = actions.iter().any(|action| matches!(action, Action::Start { .. }));
            info.state = if restarts { ActorState::Waking } else { ActorState::Ended };
            if restarts {
                info.restarts += 1;
            }
            if !matches!(cause, Cause::Normal | Cause::Asked | Cause::Killed) {
                info.last_error = Some(Arc::from(cause.to_string()));
                tracing::warn!(child = %spec.name, %cause, restarts, "a child has ended");
            }
        }
        actions
    }

    fn stop_child(&mut self, myself: &ActorRef<SupervisorMsg>, id: usize) {
        let spec = self.spec(id);
        let (Some(Some(child)), Some(spec)) = (self.children.get_mut(id), spec) else {
            // Its end is on the way already.
            return;
        };
        child.asked = true;
        match &child.running.stop_by {
            StopBy::Token(token) => token.cancel(),
            StopBy::Order(supervisor) => {
                let _ = supervisor.send_message(SupervisorMsg::Stop { only: None, end: true, reply: None });
            }
            StopBy::Stop => child.running.cell.stop(None),
        }
        let overdue = SupervisorMsg::Overdue { id, generation: child.generation, killed: false };
        later(myself, spec.shutdown, overdue);
    }

    fn overdue(&mut self, myself: &ActorRef<SupervisorMsg>, id: usize, generation: u64, killed: bool) -> Vec<Action> {
        let child = match self.children.get(id) {
            Some(Some(child)) if child.generation == generation => child,
            _ => return Vec::new(),
        };
        let Some(spec) = self.spec(id) else {
            return Vec::new();
        };
        if !killed {
            tracing::warn!(child = %spec.name, "a child did not stop in time and is killed");
            child.running.cell.kill();
            later(myself, WEDGE_AFTER, SupervisorMsg::Overdue { id, generation, killed: true });
            return Vec::new();
        }
        tracing::error!(child = %spec.name, "a killed child does not end");
        spec.info.lock().state = ActorState::Wedged;
        self.plan.on_wedged(id)
    }

    fn stop(&mut self, only: Option<ActorKind>, end: bool, reply: Option<oneshot::Sender<()>>) -> Vec<Action> {
        self.end |= end;
        self.stops.extend(reply);
        let chosen: Vec<bool> = {
            let specs = self.seat.children.lock();
            specs.iter().map(|spec| only.is_none_or(|kind| spec.kind == kind)).collect()
        };
        self.plan.stop(|id| chosen.get(id).copied().unwrap_or(only.is_none()))
    }

    fn all_stopped(&mut self, myself: &ActorRef<SupervisorMsg>) {
        for reply in self.stops.drain(..) {
            let _ = reply.send(());
        }
        if self.end {
            self.presence.note(Cause::Asked);
            myself.stop(None);
        }
    }

    fn give_up(&self, cause: &Cause) -> ActorProcessingErr {
        let text = format!("`{}` gave up after too many failures; the last: {cause}", self.seat.name);
        tracing::error!(supervisor = %self.seat.name, %cause, "a supervisor gives up");
        self.presence.note(Cause::Failed(Arc::from(text.as_str())));
        text.into()
    }
}

/// Sends a message after a while, to whoever then still lives.
fn later(to: &ActorRef<SupervisorMsg>, after: Duration, message: SupervisorMsg) {
    let to = to.clone();
    task::spawn("supervisor timer", async move {
        tokio::time::sleep(after).await;
        let _ = to.send_message(message);
    });
}

/// A supervisor as a child of another.
impl StartChild for Arc<Seat> {
    fn start(&self, parent: ActorCell, presence: ChildPresence) -> BoxFuture<'static, Result<Running, SpawnErr>> {
        let args = SupervisorArgs { seat: self.clone(), presence };
        Box::pin(async move {
            let (supervisor, _) = Supervisor::spawn_linked(None, Supervisor, args, parent).await?;
            Ok(Running { cell: supervisor.get_cell(), stop_by: StopBy::Order(supervisor) })
        })
    }
}

//! The host: the one ractor actor that runs behaviours.
//!
//! ractor gives it life and death; it waits for the slot's bell, and what it handles comes from the slot's
//! mailbox.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt as _;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{
    Behaviour, Cause, Slot, Spawner,
    ring::Ring,
    turn::{Habits, Turn, Went},
    verdict::{panic_text, verdict},
};

/// Reports the end of an incarnation, when it is dropped.
///
/// Every way to end drops the actor's state: return, error, panic, kill, an aborted task, a failed
/// start. So this cannot be missed, whatever ractor calls the end.
pub(super) struct Presence(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Presence {
    pub(super) fn new(report: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(report)))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(report) = self.0.take() {
            report();
        }
    }
}

pub(super) struct Host;

/// The one message that ractor carries to an incarnation: load, and live.
pub(super) struct Begin;

/// INVARIANT: `presence` is the last field, so it reports the end after everything else of this
/// incarnation was dropped.
pub(super) struct Awake {
    slot: Arc<Slot>,
    spawner: Arc<dyn Spawner>,
    behaviour: Option<Box<dyn Behaviour>>,
    deadline: Duration,
    habits: Habits,
    #[expect(dead_code, reason = "it works by being dropped last")]
    presence: Presence,
}

pub(super) struct HostArgs {
    pub(super) slot: Arc<Slot>,
    pub(super) spawner: Arc<dyn Spawner>,
    pub(super) presence: Presence,
}

impl Actor for Host {
    type Msg = Begin;
    type State = Awake;
    type Arguments = HostArgs;

    // It loads nothing here: an error in `pre_start` reaches no supervisor, and a slow one would
    // stop the supervision of all siblings.
    async fn pre_start(&self, myself: ActorRef<Begin>, args: HostArgs) -> Result<Awake, ActorProcessingErr> {
        args.slot.attach(myself.get_cell());
        myself.send_message(Begin)?;
        Ok(Awake {
            deadline: args.slot.floor.config.handle_deadline,
            slot: args.slot,
            spawner: args.spawner,
            behaviour: None,
            habits: Habits::default(),
            presence: args.presence,
        })
    }

    // What is awaited once is boxed: an actor that is awake and idle keeps room for the largest of it.
    async fn handle(&self, myself: ActorRef<Begin>, _: Begin, awake: &mut Awake) -> Result<(), ActorProcessingErr> {
        Box::pin(awake.start()).await?;
        awake.live().await?;
        myself.stop(None);
        Ok(())
    }
}

/// An end that was written into the slot already; ractor only has to hear that it is one.
fn end(slot: &Slot, cause: Cause) -> ActorProcessingErr {
    let text = cause.to_string();
    slot.note(cause);
    text.into()
}

impl Awake {
    async fn start(&mut self) -> Result<(), ActorProcessingErr> {
        let floor = self.slot.floor.clone();
        let permit = floor.starts.acquire().await;
        self.allow(floor.config.start_deadline);
        self.slot.meter.begin(self.slot.floor.now());
        // Before it asks: who wants it awake from here on is heard.
        self.slot.asked();
        let (slot, spawner) = (&self.slot, &self.spawner);
        let behaviour = &mut self.behaviour;
        let loading = async move { behaviour.insert(spawner.behaviour(slot.address(), slot)).start().await };
        let outcome = verdict(AssertUnwindSafe(loading).catch_unwind().await);
        drop(permit);
        self.slot.meter.cut(self.slot.floor.now());
        outcome.map_err(|cause| end(&self.slot, start_failed(cause)))?;
        if let Some(behaviour) = &self.behaviour {
            self.deadline = behaviour.handle_deadline().unwrap_or(self.deadline);
            self.slot.resize(behaviour.size());
        }
        self.allow(self.deadline);
        Ok(())
    }

    /// A wish that came before the entity was loaded is granted by loading.
    fn again(&mut self) -> Result<(), ActorProcessingErr> {
        self.slot.asked();
        let Some(behaviour) = &mut self.behaviour else { return Ok(()) };
        let asked = std::panic::catch_unwind(AssertUnwindSafe(|| behaviour.again()));
        asked.map_err(|panic| end(&self.slot, Cause::Panicked(panic_text(&*panic))))
    }

    fn allow(&self, deadline: Duration) {
        let nanos = usize::try_from(deadline.as_nanos()).unwrap_or(usize::MAX);
        self.slot.allowed.store(nanos, Ordering::Relaxed);
    }

    /// Handles what comes, until it may sleep. It begins with a look into the mailbox.
    async fn live(&mut self) -> Result<(), ActorProcessingErr> {
        let mut ring = Ring::BELL;
        loop {
            if ring.has(Ring::KILLED) {
                tokio::task::yield_now().await;
            }
            if ring.has(Ring::AGAIN) {
                self.again()?;
            }
            let forced = ring.has(Ring::PARK_NOW);
            if (forced || ring.has(Ring::PARK)) && Box::pin(self.park(forced)).await? {
                return Ok(());
            }
            let more = ring.has(Ring::BELL) && self.drain().await?;
            ring = match (more, self.slot.rings.look()) {
                (false, None) => self.slot.rings.heard().await,
                (false, Some(ring)) => ring,
                (true, ring) => ring.map_or(Ring::BELL, |ring| ring.and(Ring::BELL)),
            };
            if more {
                // Others of this thread have their turn, and ractor looks whether it was killed.
                tokio::task::consume_budget().await;
            }
        }
    }

    /// Handles one batch. True when more waits.
    async fn drain(&mut self) -> Result<bool, ActorProcessingErr> {
        let Some(behaviour) = &mut self.behaviour else { return Ok(false) };
        let Some(turn) = Turn::take(&self.slot, behaviour.as_mut(), &mut self.habits) else {
            self.slot.floor.ran_empty();
            return Ok(false);
        };
        let ended = match turn.run() {
            Went::Over(ended) => ended,
            Went::On(waiting) => waiting.await,
        };
        let more = ended.map_err(|cause| end(&self.slot, cause))?;
        self.slot.resize(behaviour.size());
        if !more {
            self.slot.floor.ran_empty();
        }
        Ok(more)
    }

    /// Goes to sleep, when it may. True when it does.
    async fn park(&mut self, forced: bool) -> Result<bool, ActorProcessingErr> {
        let willing = self.behaviour.as_ref().is_none_or(|behaviour| behaviour.may_park() && !behaviour.keep_awake());
        if !(forced || willing) || !self.slot.begin_park(forced) {
            return Ok(false);
        }
        if let Some(behaviour) = &mut self.behaviour {
            self.slot.meter.begin(self.slot.floor.now());
            let parking = AssertUnwindSafe(behaviour.park()).catch_unwind();
            if let Err(panic) = parking.await {
                return Err(end(&self.slot, Cause::Panicked(panic_text(&*panic))));
            }
            self.slot.meter.cut(self.slot.floor.now());
        }
        Ok(true)
    }
}

/// A failure to load is no message's fault.
fn start_failed(cause: Cause) -> Cause {
    match cause {
        Cause::Failed(why) => Cause::StartFailed(why),
        Cause::Panicked(why) => Cause::StartFailed(Arc::from(format!("panicked: {why}"))),
        other => other,
    }
}

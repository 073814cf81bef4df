//! The lives of an address: incarnations begin, sleep, end, and what comes after.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Cause, DeadReason, Item, Slot,
    restart::{End, Verdict},
    ring::{Bell, Ring},
    slot::Inner,
};
use crate::telemetry::{ActorState, SignalKind};

/// What is to happen after an incarnation ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Forget the slot.
    Retire,
    /// Keep it: the next message wakes it, or an operator.
    Rest,
    /// Start the next incarnation after this delay.
    Wake(Duration),
}

impl Slot {
    /// Whether the caller is to start the next incarnation: true once, until that has ended.
    pub(super) fn claim(&self) -> bool {
        let mut inner = self.lock();
        let first = inner.state == ActorState::Waking && !inner.claimed;
        inner.claimed |= first;
        first
    }

    /// Whether it waits to be started, and no timer will say so.
    pub(super) fn is_due(&self) -> bool {
        let now = self.floor.now();
        let inner = self.lock();
        inner.state == ActorState::Waking && !inner.claimed && inner.not_before <= now
    }

    /// A new incarnation takes the mailbox over. The bell counts as rung: it begins by itself.
    pub(super) fn attach(&self, bell: Bell) {
        self.rings.silence();
        let mut inner = self.lock();
        inner.state = ActorState::Live;
        inner.bell = Some(bell);
        inner.rung = true;
        inner.incarnation += 1;
        inner.cause = None;
        inner.progressed = false;
        inner.buried = false;
        inner.killed_at = None;
        drop(inner);
        self.resize(0);
        self.signal(SignalKind::Woken, None);
    }

    /// Writes down why the incarnation ends; the first one to know is believed.
    pub(super) fn note(&self, cause: Cause) {
        self.lock().cause.get_or_insert(cause);
    }

    /// Whether it may go to sleep now; from then on it is parking.
    pub(super) fn begin_park(&self, forced: bool) -> bool {
        if !forced && self.keep_awake.load(Ordering::Relaxed) > 0 {
            return false;
        }
        let mut inner = self.lock();
        let wanted = inner.wanted && !forced;
        let idle = inner.state == ActorState::Live && inner.mailbox.is_empty() && !wanted;
        if idle {
            inner.state = ActorState::Parking;
        }
        idle
    }

    /// Asks a live actor to sleep when it has nothing to do.
    pub(super) fn ask_to_park(&self, forced: bool) -> bool {
        let idle = {
            let inner = self.lock();
            inner.bell.is_some() && inner.state == ActorState::Live && inner.mailbox.is_empty()
        };
        if idle {
            self.rings.ring(if forced { Ring::PARK_NOW } else { Ring::PARK });
        }
        idle
    }

    /// Kills the incarnation, for this reason.
    pub(super) fn kill(&self, cause: Cause) {
        let bell = {
            let mut inner = self.lock();
            inner.cause.get_or_insert(cause);
            inner.bell.clone()
        };
        if let Some(bell) = bell {
            bell.kill();
            self.rings.ring(Ring::KILLED);
        }
    }

    /// The incarnation has ended and its state was dropped: what now?
    ///
    /// What has to go to the dead letters comes back, to be put there after all locks are free.
    pub(super) fn ended(&self) -> (Next, Vec<Item>, Option<Cause>) {
        *self.published.write() = None;
        self.rings.silence();
        self.charge_memory(0);
        let now = self.floor.now();
        // Whatever it was in the middle of, it no longer is.
        self.meter.cut(now);
        let mut inner = self.lock();
        self.tell_accepted(&mut inner);
        inner.bell = None;
        inner.rung = false;
        inner.claimed = false;
        let parked = inner.state == ActorState::Parking;
        let cause = inner.cause.take().unwrap_or(if parked { Cause::Normal } else { Cause::Vanished });
        let end = End { cause: &cause, progressed: inner.progressed, buried: inner.buried, now };
        let config = &self.floor.config;
        let verdict = {
            let mut lives = std::mem::take(&mut inner.lives);
            let mut chance = self.floor.chance.lock();
            let verdict = lives.on_end(&end, &config.entity_restart, &mut chance);
            inner.lives = lives;
            verdict
        };
        match verdict {
            Verdict::GiveUp => {
                let items = self.give_up(&mut inner, &cause);
                (Next::Rest, items, Some(cause))
            }
            Verdict::Again { after } => (self.again(&mut inner, &cause, now, after), Vec::new(), None),
        }
    }

    fn again(&self, inner: &mut Inner, cause: &Cause, now: Duration, after: Duration) -> Next {
        let failed = cause.is_failure() || matches!(cause, Cause::Retry(_));
        if failed {
            inner.last_error = Some(Arc::from(cause.to_string()));
            inner.not_before = now + after;
        }
        // One that failed may wait for effects and timers that only it can ask for again.
        let closing = self.floor.closing.load(Ordering::Relaxed);
        inner.wanted = (inner.wanted || failed || *cause == Cause::Killed) && !closing;
        let waits = inner.wanted || !inner.mailbox.is_empty();
        if waits {
            inner.state = ActorState::Waking;
            if failed {
                inner.restarts += 1;
                self.kind_meter.restarted();
                tracing::warn!(address = %self.address, %cause, ?after, "entity is started again");
                self.signal(SignalKind::Restarted, inner.last_error.clone());
            }
            return Next::Wake(after);
        }
        // Its failures must be remembered for as long as they count; then the sweep forgets it.
        let policy = &self.floor.config.entity_restart;
        if inner.mailbox.is_awaited() || !inner.lives.spotless(policy, now) {
            inner.state = ActorState::Asleep;
            return Next::Rest;
        }
        inner.state = ActorState::Retired;
        inner.mailbox.disperse();
        self.signal(SignalKind::Parked, None);
        Next::Retire
    }

    fn give_up(&self, inner: &mut Inner, cause: &Cause) -> Vec<Item> {
        let reason: Arc<str> = Arc::from(cause.to_string());
        tracing::error!(address = %self.address, %cause, "entity is quarantined");
        inner.state = ActorState::Quarantined;
        inner.last_error = Some(reason.clone());
        inner.mailbox.disperse();
        self.signal(SignalKind::Quarantined, Some(reason));
        inner.mailbox.empty()
    }

    /// Puts these messages among the dead letters.
    pub(super) fn bury_all(&self, items: Vec<Item>, reason: &DeadReason, cause: Option<&Cause>) {
        let incarnation = self.incarnation();
        for item in items {
            self.bury(item, reason.clone(), cause, incarnation);
        }
    }

    /// Lifts a quarantine.
    pub(super) fn release(&self) -> bool {
        let mut inner = self.lock();
        if inner.state != ActorState::Quarantined {
            return false;
        }
        inner.state = ActorState::Asleep;
        inner.not_before = Duration::ZERO;
        inner.lives.forgive();
        true
    }

    /// Whether the slot may be forgotten: asleep, empty, and nothing of its past counts.
    pub(super) fn retire_if_idle(&self, now: Duration) -> bool {
        let mut inner = self.lock();
        let policy = &self.floor.config.entity_restart;
        let idle = inner.state == ActorState::Asleep
            && inner.mailbox.is_empty()
            && !inner.mailbox.is_awaited()
            && inner.lives.spotless(policy, now);
        if idle {
            inner.state = ActorState::Retired;
        }
        idle
    }
}

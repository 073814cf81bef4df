//! Step 8, announce: who must know?
//!
//! The caller is answered, and workers and timers hear what the new state wants. Followers listen at the journal and are not named here.

use std::{collections::HashSet, sync::Arc};

use super::{entity::Entity, span::step};
use crate::{
    actor::{Answered, Item},
    entity::snapshot,
    envelope::{Envelope, Refusal},
};

impl Entity {
    /// Step 8.
    pub(super) fn announce(&mut self, item: &mut Item, command: &Envelope, answer: Result<Answered, Refusal>) {
        let _span = step!("announce", self.services, &command.trace_id, self.address).entered();
        let happened = answer.as_ref().is_ok_and(|answered| !answered.repeated && !answered.events.is_empty());
        item.answer(answer);
        crate::failpoint::pass("announce");
        if happened {
            self.want(false);
            self.snapshot_behind();
        }
    }

    /// Tells workers, timers and the journal what the state wants now, and perhaps wanted before.
    pub(super) fn want(&mut self, asked_before: bool) {
        let (wants, cause) = {
            let published = self.published.inner.read();
            (self.decider.wants(&published.state), published.last.clone())
        };
        let wake = wants.wake();
        if wake != self.recorded_wake && self.version > 0 {
            self.services.journal.settle(&self.address, self.version, wake);
            self.recorded_wake = wake;
        }
        self.services.timers.arm(&self.address, &wants.timers);
        let Some(cause) = cause else { return };
        let wanted: HashSet<_> = wants.effects.iter().map(|effect| effect.key.clone()).collect();
        for key in self.asked.difference(&wanted) {
            self.services.workers.cancel(&self.address, key);
        }
        let fresh = wants.effects.into_iter().filter(|effect| !self.asked.contains(&effect.key)).collect();
        let away = self.services.workers.ask(&self.address, &cause, fresh, asked_before);
        self.asked = wanted;
        self.asked.retain(|key| !away.contains(key));
    }

    /// Writes a snapshot when enough has happened since the last one; nobody waits for it.
    fn snapshot_behind(&mut self) {
        if self.since_snapshot < self.services.settings.snapshot_every {
            return;
        }
        self.since_snapshot = 0;
        let published = self.published.clone();
        let (services, address, keys) = (self.services.clone(), self.address.clone(), self.keys.clone());
        let version = self.version;
        let decider = Arc::clone(&self.decider);
        let snapshot = snapshot(decider.as_ref(), &published.inner.read().state, &keys, version);
        let Some(snapshot) = snapshot else { return };
        drop(crate::task::spawn("snapshot", async move { services.journal.snapshot_put(&address, snapshot).await }));
    }

    /// Writes a snapshot now, before sleep.
    pub(super) async fn write_snapshot(&mut self) {
        let snapshot = {
            let published = self.published.inner.read();
            snapshot(self.decider.as_ref(), &published.state, &self.keys, self.version)
        };
        if let Some(snapshot) = snapshot {
            self.services.journal.snapshot_put(&self.address, snapshot).await;
            self.since_snapshot = 0;
        }
    }
}

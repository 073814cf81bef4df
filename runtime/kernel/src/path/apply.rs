//! Step 7, apply: what is true now?
//!
//! INVARIANT: the state moves after the record and never before.

use std::sync::Arc;

use super::{entity::Entity, span::step};
use crate::{
    actor::Crash,
    entity::{AnyEvent, LoadError},
    envelope::Envelope,
    ports::{Position, Wake},
};

impl Entity {
    /// Step 7.
    pub(super) fn apply(
        &mut self,
        command: &Envelope,
        events: &[Arc<Envelope>],
        fresh: Vec<AnyEvent>,
        position: Position,
    ) -> Result<(), Crash> {
        let _span = step!("apply", self.services, &command.trace_id, self.address).entered();
        let mut published = self.published.inner.write();
        for (event, fresh) in events.iter().zip(fresh) {
            let version = self.version + 1;
            self.decider
                .evolve_fresh(&mut published.state, fresh, event, version)
                .map_err(|source| super::entity::crash(LoadError::Event { version, position, source }))?;
            self.keys.add(&event.headers, version);
            self.version = version;
            self.since_snapshot += 1;
            self.last_at = event.occurred_at;
        }
        self.slot.done(self.decider.is_done(&published.state));
        published.version = self.version;
        published.position = position;
        published.last = events.last().cloned();
        self.recorded_wake = Wake::Now;
        Ok(())
    }
}

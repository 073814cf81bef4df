//! Step 3, route: where to?
//!
//! The directory finds the entity by its address, or makes a place for it; it is woken by the
//! delivery, not here, so a sender never waits for another entity's journal read.

use std::sync::Arc;

use super::{Mesh, span::step};
use crate::{
    actor::Lane,
    entity::ErasedDecider,
    envelope::{Envelope, ErrorKind, Refusal},
};

impl Mesh {
    /// Step 3: the lane for an envelope, when its subject's kind is known.
    ///
    /// # Errors
    /// `InvalidArgument` for a kind that this node does not have.
    pub(super) fn route(&self, envelope: &Envelope) -> Result<Lane, Refusal> {
        let subject = &envelope.headers.subject;
        let _span = step!("route", self.0.services, &envelope.trace_id, subject).entered();
        let decider: Arc<dyn ErasedDecider> = self.0.services.kinds.of(subject).ok_or_else(|| {
            Refusal::new(
                "KER-0040",
                ErrorKind::InvalidArgument,
                format!("`{}/{}` is no kind of entity that this node has", subject.platform(), subject.kind()),
            )
        })?;
        Ok(if decider.is_control(&envelope.event_type) { Lane::Control } else { Lane::Work })
    }
}

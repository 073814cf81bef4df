//! Step 4, deliver: is there room?
//!
//! The mailbox takes the envelope, or pushes back on the sender with a delay. Nothing is dropped in
//! silence: what was taken is handled or becomes a dead letter, whole.

use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::Instrument;

use super::{Mesh, span::step};
use crate::{
    actor::{Answered, Item, Lane},
    envelope::{Envelope, ErrorKind, Refusal, Retry},
};

impl Mesh {
    /// Step 4: puts the envelope into the entity's mailbox and waits for the answer.
    ///
    /// **Cancel safety**: dropping the future does not take the envelope back; it is handled.
    ///
    /// # Errors
    /// What the entity refused; `ResourceExhausted` when there was no room until the deadline;
    /// `DeadlineExceeded`; `Unavailable` when the entity failed while it handled the envelope, in
    /// which case the same idempotency key may be sent again.
    pub(super) async fn deliver(&self, envelope: Arc<Envelope>, lane: Lane) -> Result<Answered, Refusal> {
        let services = &self.0.services;
        let span = step!("deliver", services, &envelope.trace_id, envelope.headers.subject);
        let now = services.clock.now();
        let left = envelope.headers.deadline.map_or(services.settings.timeout, |deadline| deadline.since(now));
        let until = tokio::time::Instant::now() + left;
        let (reply, answer) = oneshot::channel();
        let item = Item::new(envelope, Some(reply));
        self.0
            .directory
            .deliver(item, lane, until)
            .instrument(span)
            .await
            .map_err(|undelivered| undelivered.refusal)?;
        crate::failpoint::pass("deliver");
        match tokio::time::timeout_at(until, answer).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_dropped)) => Err(Refusal {
                retry: Retry::Now,
                ..Refusal::new(
                    "KER-0050",
                    ErrorKind::Unavailable,
                    "the entity failed while it handled this: repeat with the same idempotency key, or see the dead letters",
                )
            }),
            Err(_elapsed) => Err(Refusal::new(
                "KER-0051",
                ErrorKind::DeadlineExceeded,
                "no answer before the deadline; it may still be done: read, or repeat with the same idempotency key",
            )),
        }
    }
}

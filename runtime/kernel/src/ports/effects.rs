//! The effects port: what is done in the outside world because an event asked for it.

use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::{
    BoxFuture,
    entity::EffectRequest,
    envelope::{Envelope, Payload, TenantScope},
};

/// What came of an effect: the command that tells the entity.
pub type Outcome = Payload;

/// One effect as its performer sees it.
#[derive(Debug, Clone)]
pub struct EffectCall {
    /// The right to the tenant's data.
    pub scope: TenantScope,
    /// What the entity asked for; its `key` is the idempotency key.
    pub request: EffectRequest,
    /// The last event of the entity when it asked: trace, correlation, principal.
    pub cause: std::sync::Arc<Envelope>,
    /// It may have been asked for before, and begun: by an earlier life of the entity, or of the node.
    pub asked_before: bool,
    /// Fires when nobody wants the outcome any more: cancelled, timed out, shutting down.
    pub cancelled: CancellationToken,
}

/// Performs effects of one or more handlers.
///
/// It may be called again with the same key when the outcome of an earlier call was never recorded;
/// never after an outcome was.
pub trait Effects: Send + Sync + 'static {
    /// The handler names that it answers to, such as `skill`.
    fn handlers(&self) -> Vec<&'static str>;

    /// How many may run at once, and how many of one tenant.
    fn concurrency(&self) -> Concurrency {
        Concurrency::default()
    }

    /// Performs the effect and says which command tells its outcome. `None` when there is nothing
    /// to tell (the effect was cancelled).
    fn perform(&self, call: EffectCall) -> BoxFuture<'_, Option<Outcome>>;

    /// The command that tells a failure of the performer itself (a panic), so that the entity is
    /// never left waiting.
    fn failed(&self, request: &EffectRequest, reason: &str) -> Option<Outcome>;
}

/// Bounds of a performer.
#[derive(Debug, Clone, Copy)]
pub struct Concurrency {
    /// At once in the node.
    pub total: usize,
    /// At once for one tenant.
    pub per_tenant: usize,
    /// How long to wait for a performer to notice that it was cancelled.
    pub grace: Duration,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { total: 1024, per_tenant: 512, grace: Duration::from_secs(10) }
    }
}

/// An empty JSON object: the payload of a command that says everything by its name.
pub fn nothing() -> Bytes {
    Bytes::from_static(b"{}")
}

//! The contract itself: what is called, with what, and what it may use meanwhile.

use std::sync::Arc;

use mesh_kernel::{
    BoxFuture,
    envelope::{Envelope, IdempotencyKey, TenantId, TenantScope},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Failure, Manifest};
use crate::logs::LogWriter;

/// A versioned, typed capability.
///
/// It may be called again with the same key when the outcome of an earlier call was never recorded,
/// and never after one was. It ends soon after [`Call::cancelled`] fires.
pub trait Skill: Send + Sync + 'static {
    /// What it says of itself; the same on every call.
    fn manifest(&self) -> &Manifest;

    /// Does it. The input has passed the manifest's schema, the output must.
    ///
    /// # Errors
    /// A [`Failure`] whose class says whether the same call may succeed later.
    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>>;

    /// The same as [`Skill::call`] from the input alone, for a skill that is pure, answers at once and needs no
    /// permission. A run then computes its steps itself, many in one append, and logs nothing of them.
    /// `None`, the default, has every step go to a performer.
    fn compute(&self, _input: &Value) -> Option<Result<Value, Failure>> {
        None
    }
}

/// One call of a skill.
#[derive(Debug, Clone)]
pub struct Call {
    /// The right to the tenant's data.
    pub scope: TenantScope,
    /// The same key always means the same work.
    pub key: IdempotencyKey,
    /// Counts the step's attempts, from 1.
    pub attempt: u32,
    /// The run that it belongs to.
    pub run: String,
    /// The step in the run.
    pub step: String,
    /// Which item of a for-each.
    pub item: Option<u32>,
    /// What it is called with; content references are resolved.
    pub input: Value,
    /// The event that asked for it: trace, correlation, principal, time.
    pub cause: Arc<Envelope>,
    /// Where it tells people and progress views what it does.
    pub log: LogWriter,
    /// Fires when nobody wants the outcome any more.
    pub cancelled: CancellationToken,
}

impl Call {
    /// The tenant for whom it is called.
    pub fn tenant(&self) -> &TenantId {
        self.scope.tenant()
    }

    /// The input as the skill's own type.
    ///
    /// # Errors
    /// A validation failure that names the field; the schema catches nearly all of these before.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(&self.input)
            .map_err(|error| Failure::validation("skill.input", format!("the input does not fit: {error}")))
    }

    /// Runs `work` until it ends or nobody wants the outcome any more.
    ///
    /// # Errors
    /// What `work` fails with, or a failure of class cancelled; `work` is dropped then.
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.cancelled.run_until_cancelled(work).await.unwrap_or_else(|| Err(Failure::cancelled()))
    }
}

//! One call of a skill, bounded in time, with its panics caught.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use serde_json::Value;
use tokio::task::{JoinError, JoinHandle};

use crate::contract::{Call, Failure, Skill};

/// How long a skill may take to end after it was told to.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// Calls the skill in a task of its own, so that neither a panic nor a skill that never yields
/// takes anything else with it. One that says that it answers at once needs none.
pub(super) async fn call(skill: Arc<dyn Skill>, call: Call, timeout: Duration) -> Result<Value, Failure> {
    let token = call.cancelled.clone();
    let (name, is_instant) = (skill.manifest().name.clone(), skill.manifest().is_instant);
    let mut calling = Box::pin(async move { skill.call(call).await });
    if is_instant {
        match std::panic::catch_unwind(AssertUnwindSafe(|| calling.as_mut().now_or_never())) {
            Ok(Some(answer)) => return answer,
            Ok(None) => {}
            Err(panic) => return Err(Failure::panicked(panic.as_ref())),
        }
    }
    let mut task = Guarded(mesh_kernel::task::spawn("skill", calling));
    let late = tokio::select! {
        ended = &mut task.0 => return flat(ended),
        () = tokio::time::sleep(timeout) => true,
        () = token.cancelled() => false,
    };
    token.cancel();
    // An outcome that comes within the grace is one: what was done is not done again.
    match tokio::time::timeout(GRACE, &mut task.0).await {
        Ok(Ok(Ok(output))) => Ok(output),
        Ok(Ok(Err(_))) | Err(_) if late => Err(Failure::timeout(
            "skill.timeout",
            format!("`{name}` took longer than {timeout:?}; raise the step's `timeout` when it needs more"),
        )
        .late()),
        Ok(ended) => flat(ended),
        Err(_) => Err(Failure::cancelled()),
    }
}

/// The skill's task; dropping it ends the task at its next await.
struct Guarded(JoinHandle<Result<Value, Failure>>);

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn flat(ended: Result<Result<Value, Failure>, JoinError>) -> Result<Value, Failure> {
    ended.unwrap_or_else(|error| {
        if error.is_cancelled() {
            return Err(Failure::cancelled());
        }
        Err(Failure::panicked(error.into_panic().as_ref()))
    })
}

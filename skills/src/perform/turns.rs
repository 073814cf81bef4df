//! Turns: of a skill that says how many calls it bears, no more are done at once.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use mesh_kernel::envelope::TenantId;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::contract::{Call, Failure, Manifest};

/// Entries above which those that nobody uses are looked for.
const SWEPT_ABOVE: usize = 1_000;

/// A tenant, a skill, its version, and how many are done at once: a version that was registered anew may say another.
type Whose = (TenantId, String, String, u32);

/// Who may go now. Each tenant has its own turns, so none waits for another.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Whose, Weak<Semaphore>>>);

/// One of the calls that are done at once. Dropping it lets the next one go.
pub(super) type Turn = Option<OwnedSemaphorePermit>;

impl Turns {
    /// Waits for the call's turn, and tells what is left of its time.
    ///
    /// # Errors
    /// When the time is over before, or nobody wants the outcome any more.
    pub(super) async fn wait(
        &self,
        skill: &Manifest,
        call: &Call,
        timeout: Duration,
    ) -> Result<(Turn, Duration), Failure> {
        let Some(most) = skill.resources.concurrent_max else { return Ok((None, timeout)) };
        let turns = self.of((call.tenant().clone(), skill.name.clone(), skill.version.clone(), most));
        if let Ok(turn) = turns.clone().try_acquire_owned() {
            return Ok((Some(turn), timeout));
        }
        call.log.note(format!("waits for its turn: `{}` does {most} calls at once", skill.name));
        let began = Instant::now();
        let turn = tokio::select! {
            turn = turns.acquire_owned() => turn.map_err(|_| Failure::cancelled())?,
            () = call.cancelled.cancelled() => return Err(Failure::cancelled()),
            () = tokio::time::sleep(timeout) => return Err(Failure::timeout(
                "skill.turn",
                format!("`{}` does {most} calls at once, and this one did not come to its turn in {timeout:?}", skill.name),
            ).unasked()),
        };
        Ok((Some(turn), timeout.saturating_sub(began.elapsed())))
    }

    fn of(&self, whose: Whose) -> Arc<Semaphore> {
        let mut all = self.0.lock();
        if let Some(turns) = all.get(&whose).and_then(Weak::upgrade) {
            return turns;
        }
        if all.len() > SWEPT_ABOVE {
            all.retain(|_, turns| turns.strong_count() > 0);
        }
        let turns = Arc::new(Semaphore::new(whose.3 as usize));
        all.insert(whose, Arc::downgrade(&turns));
        turns
    }
}

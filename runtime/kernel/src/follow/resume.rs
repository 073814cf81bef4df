//! The start: whoever waits for work or a timer is woken, and nobody else.

use crate::{
    path::Mesh,
    ports::{JournalError, Wake},
};

/// What [`resume`] found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resumed {
    /// Entities woken because their work has no outcome yet.
    pub woken: usize,
    /// Entities that wait for a timer.
    pub timers: usize,
}

/// Wakes every entity that waits for work, and sets the timers of those that wait for one. Once, at
/// start.
///
/// **Cost**: grows with what is unfinished, not with what is finished.
///
/// # Errors
/// When the journal's index cannot be read.
pub async fn resume(mesh: &Mesh) -> Result<Resumed, JournalError> {
    let mut resumed = Resumed::default();
    for (address, wake) in mesh.journal().unfinished().await? {
        crate::failpoint::pass("resume");
        match wake {
            Wake::Idle => {}
            Wake::Now => {
                resumed.woken += 1;
                mesh.directory().wake(&address);
            }
            Wake::At(due) => {
                resumed.timers += 1;
                mesh.timers().wake_at(&address, due);
            }
        }
    }
    Ok(resumed)
}

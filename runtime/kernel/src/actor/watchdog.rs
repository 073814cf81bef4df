//! The watchdog: an operating-system thread that looks for handlers that take too long.
//!
//! It reads atomics and touches no runtime, so a runtime whose threads are all blocked does not
//! block it. It kills what is over its deadline; what does not die of that never yields, and then
//! its address is wedged: no second incarnation, for there would be two writers.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    thread,
    time::Duration,
};

use super::{Cause, Directory, Slot, floor::Floor};
use crate::{
    task,
    telemetry::{ActorState, SignalKind},
};

/// How often the runtime gives its sign of life.
const BEAT_EVERY: Duration = Duration::from_millis(500);

/// How many slots one look covers; the others have their turn at the next.
const SLOTS_PER_LOOK: usize = 8192;

/// The beat of a runtime that has ended.
const RUNTIME_GONE: u64 = u64::MAX;

/// Starts the thread and the beat. Both end with the directory, and the thread with the runtime: one that
/// has ended is not stuck, though somebody may still hold the directory.
pub(super) fn start(directory: &Arc<Directory>) {
    let (weak, every) = (directory.weak(), directory.floor.config.watch_every);
    task::spawn("runtime beat", beat(weak.clone()));
    let started = thread::Builder::new().name("mesh-watchdog".to_owned()).spawn(move || {
        let (mut from, mut silence) = (0, Silence::default());
        loop {
            thread::sleep(every);
            let Some(directory) = weak.upgrade() else {
                return;
            };
            let beat = directory.beat.load(Ordering::Relaxed);
            if beat == RUNTIME_GONE {
                return;
            }
            from = look(&directory, from);
            let silent = silence.look(beat, every);
            abort_if_stuck(&directory, silent);
        }
    });
    if let Err(error) = started {
        tracing::error!(%error, "no watchdog: stuck handlers will not be seen");
    }
}

/// Dropped with the task of the beat, so also when its runtime ends.
struct Beating(Weak<Directory>);

impl Drop for Beating {
    fn drop(&mut self) {
        if let Some(directory) = self.0.upgrade() {
            directory.beat.store(RUNTIME_GONE, Ordering::Relaxed);
        }
    }
}

async fn beat(directory: Weak<Directory>) {
    let _beating = Beating(directory.clone());
    loop {
        let Some(directory) = directory.upgrade() else {
            return;
        };
        let now = u64::try_from(directory.floor.now().as_nanos()).unwrap_or(0);
        directory.beat.store(now, Ordering::Relaxed);
        drop(directory);
        tokio::time::sleep(BEAT_EVERY).await;
    }
}

fn look(directory: &Directory, from: usize) -> usize {
    let mut seen = 0;
    for step in 0..64 {
        let shard = (from + step) % 64;
        for slot in directory.slots_of(shard) {
            seen += 1;
            look_at(&slot, &directory.floor);
        }
        if seen >= SLOTS_PER_LOOK {
            return (shard + 1) % 64;
        }
    }
    0
}

fn look_at(slot: &Slot, floor: &Floor) {
    let Some(since) = slot.meter.busy_since() else {
        return;
    };
    let allowed = Duration::from_nanos(slot.allowed.load(Ordering::Relaxed) as u64);
    let now = floor.now();
    let busy = now.saturating_sub(since);
    if allowed.is_zero() || busy < allowed {
        return;
    }
    let message = slot.in_hand.lock().clone();
    let mut inner = slot.lock();
    match inner.killed_at {
        // A bell that is gone means that it is ending already.
        None if inner.bell.is_some() && slot.meter.busy_since() == Some(since) => {
            inner.killed_at = Some(now);
            drop(inner);
            tracing::warn!(
                address = %slot.address(), ?busy, ?message,
                "a handler is over its deadline and is killed"
            );
            slot.kill(Cause::Deadline);
        }
        Some(at) if now.saturating_sub(at) > floor.config.wedge_after => {
            if inner.state == ActorState::Wedged {
                return;
            }
            inner.state = ActorState::Wedged;
            inner.mailbox.disperse();
            drop(inner);
            tracing::error!(
                address = %slot.address(), ?busy, ?message,
                "a killed handler does not end: its address is wedged"
            );
            slot.signal(SignalKind::Wedged, message);
        }
        _ => {}
    }
}

/// How long the runtime gave no sign of life, in looks of the watchdog: a process that was stopped
/// from outside, or a machine that slept, did not look either and is not stuck.
#[derive(Debug, Default)]
struct Silence {
    beat: u64,
    lasts: Duration,
}

impl Silence {
    fn look(&mut self, beat: u64, since_last: Duration) -> Duration {
        self.lasts = if beat == self.beat { self.lasts + since_last } else { Duration::ZERO };
        self.beat = beat;
        self.lasts
    }
}

fn abort_if_stuck(directory: &Directory, silent: Duration) {
    let Some(most) = directory.floor.config.abort_after else {
        return;
    };
    if silent > most {
        tracing::error!(?silent, "the runtime gives no sign of life: the process ends");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_lasts_until_the_next_sign_of_life_and_counts_looks_alone() {
        let (mut silence, every) = (Silence::default(), Duration::from_millis(100));
        let looks = [(7, 0), (7, 100), (7, 200), (8, 0), (8, 100), (9, 0)];
        for (beat, lasts) in looks {
            assert_eq!(silence.look(beat, every), Duration::from_millis(lasts), "at beat {beat}");
        }
    }
}

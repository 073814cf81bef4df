//! Who is told of a new batch: feeds that asked for what is in it, and those that have missed much.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use mesh_kernel::{envelope::peek_type, ports::Recorded};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A feed that has missed this much is told in any case, so that it finds the rest in memory.
/// **Units**: bytes.
const MISSED_MAX: u64 = 1024 * 1024;

/// How one feed is told.
#[derive(Default)]
pub(super) struct Bell {
    /// The event types that it asked for; all, when it asked for none.
    interests: OnceLock<&'static [&'static str]>,
    missed: AtomicU64,
    rung: Notify,
}

impl Bell {
    /// From now on only these event types ring it. Once.
    pub(super) fn only(&self, interests: &'static [&'static str]) {
        let _kept = self.interests.set(interests);
    }

    /// Whether it may be left unrung.
    pub(super) fn may_miss(&self) -> bool {
        self.interests.get().is_some_and(|interests| !interests.is_empty())
    }

    /// Waits until it is rung; at once when it was rung since the last time.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }

    fn hear(&self, batch: &[Recorded], len: u64) {
        let wanted = !self.may_miss() || batch.iter().any(|record| self.wants(record));
        if wanted || self.missed.fetch_add(len, Ordering::Relaxed) + len > MISSED_MAX {
            self.missed.store(0, Ordering::Relaxed);
            self.rung.notify_one();
        }
    }

    fn wants(&self, record: &Recorded) -> bool {
        let Some((interests, name)) = self.interests.get().zip(peek_type(record.event.bytes())) else { return true };
        interests.contains(&name)
    }
}

/// The bells of all feeds.
#[derive(Default)]
pub(super) struct Bells(Mutex<Vec<Arc<Bell>>>);

impl Bells {
    pub(super) fn hang(&self) -> Arc<Bell> {
        let bell = Arc::<Bell>::default();
        self.0.lock().push(bell.clone());
        bell
    }

    pub(super) fn take_down(&self, bell: &Arc<Bell>) {
        self.0.lock().retain(|other| !Arc::ptr_eq(other, bell));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Tells of a batch with these events, `len` bytes long.
    pub(super) fn ring(&self, batch: &[Recorded], len: u64) {
        self.0.lock().iter().for_each(|bell| bell.hear(batch, len));
    }

    /// Tells everybody, for instance that nothing more will come.
    pub(super) fn ring_all(&self) {
        self.0.lock().iter().for_each(|bell| bell.rung.notify_one());
    }
}

//! Who is told of a new batch: feeds that asked for what is in it, and those that have missed much.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use mesh_kernel::{
    envelope::{TenantId, peek_type},
    ports::Recorded,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{cursor::Stand, tail::Kept};

/// A feed that has missed this much is told in any case, so that it finds the rest in memory.
/// **Units**: bytes.
const MISSED_MAX: u64 = 1024 * 1024;

/// How one feed is told.
#[derive(Default)]
pub(super) struct Bell {
    /// The event types that it asked for; all, when it asked for none.
    interests: OnceLock<&'static [&'static str]>,
    missed: AtomicU64,
    /// Where the first batch lies that it was rung for since it was asked; of a tenant's bell alone.
    first: Mutex<Option<Stand>>,
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

    fn ring_for(&self, before: Stand) {
        let mut first = self.first.lock();
        if first.is_none() {
            *first = Some(before);
            self.rung.notify_one();
        }
    }
}

/// The bells of all feeds.
#[derive(Default)]
pub(super) struct Bells(Mutex<Hung>);

#[derive(Default)]
struct Hung {
    /// Of those who hear of every batch.
    all: Vec<Arc<Bell>>,
    /// Of those who hear of what holds events of their tenant.
    tenants: HashMap<TenantId, Vec<Arc<Bell>>>,
    /// Behind the last batch that was told of.
    told: Stand,
}

impl Bells {
    pub(super) fn hang(&self) -> Arc<Bell> {
        let bell = Arc::<Bell>::default();
        self.0.lock().all.push(bell.clone());
        bell
    }

    /// From now on the bell is rung for this tenant's events alone. Once.
    pub(super) fn hang_for(&self, tenant: &TenantId, bell: &Arc<Bell>) {
        let mut hung = self.0.lock();
        hung.all.retain(|other| !Arc::ptr_eq(other, bell));
        hung.tenants.entry(tenant.clone()).or_default().push(bell.clone());
    }

    pub(super) fn take_down(&self, bell: &Arc<Bell>, tenant: Option<&TenantId>) {
        let mut hung = self.0.lock();
        let Some(tenant) = tenant else { return hung.all.retain(|other| !Arc::ptr_eq(other, bell)) };
        let Some(bells) = hung.tenants.get_mut(tenant) else { return };
        bells.retain(|other| !Arc::ptr_eq(other, bell));
        if bells.is_empty() {
            hung.tenants.remove(tenant);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let hung = self.0.lock();
        hung.all.is_empty() && hung.tenants.is_empty()
    }

    /// For a tenant's bell: where the first batch lies that it was rung for since the last time, and true;
    /// or where what was told of so far ends, of which nothing is wanted, and false.
    pub(super) fn ask(&self, bell: &Bell) -> (Stand, bool) {
        let hung = self.0.lock();
        bell.first.lock().take().map_or((hung.told, false), |first| (first, true))
    }

    /// Tells of a batch that can be read now.
    pub(super) fn ring(&self, batch: &Kept) {
        let mut hung = self.0.lock();
        hung.all.iter().for_each(|bell| bell.hear(&batch.events, batch.len as u64));
        let before = batch.before(hung.told.position);
        if !hung.tenants.is_empty() {
            let mut last = None;
            for tenant in batch.events.iter().map(|record| record.address.tenant()) {
                if last.replace(tenant) != Some(tenant) {
                    hung.tenants.get(tenant).into_iter().flatten().for_each(|bell| bell.ring_for(before));
                }
            }
        }
        hung.told = batch.behind(hung.told.position);
    }

    /// Tells everybody, for instance that nothing more will come.
    pub(super) fn ring_all(&self) {
        let hung = self.0.lock();
        hung.all.iter().chain(hung.tenants.values().flatten()).for_each(|bell| bell.rung.notify_one());
    }
}

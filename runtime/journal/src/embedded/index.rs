//! The index: where each entity stands. It is rebuilt from the log, and never the truth.
//!
//! Entities are known by a digest of their address that is seeded with the store's id: 128 bits do
//! not collide by chance, nor on purpose for whoever does not have the store. So an entity takes a
//! few words and no text; whoever needs the address reads it from the entity's last record.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasherDefault, Hasher},
};

use mesh_kernel::{
    envelope::Timestamp,
    ports::{Position, Wake},
};
use sha2::{Digest as _, Sha256};

use super::{
    log::{Place, numbers::u64_at, segment::StoreId},
    tombstone::Tombstone,
};

/// A digest of an address, or of a tenant's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64, u64);

impl Key {
    pub(super) fn from_bytes(first: u64, second: u64) -> Self {
        Self(first, second)
    }

    pub(super) fn bytes(self) -> [u8; 16] {
        ((u128::from(self.1) << 64) | u128::from(self.0)).to_le_bytes()
    }
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Keys are digests already.
#[derive(Default)]
pub(super) struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// A map of keys.
pub(super) type ByKey<T> = HashMap<Key, T, BuildHasherDefault<Plain>>;

/// Makes keys.
#[derive(Clone)]
pub(super) struct Keys {
    seeded: Sha256,
}

impl Keys {
    pub(super) fn new(store: &StoreId) -> Self {
        // A whole block, so that it is digested once and not for each key.
        let mut block = [0_u8; 64];
        for (to, from) in block.iter_mut().zip(store) {
            *to = *from;
        }
        Self { seeded: Sha256::new_with_prefix(block) }
    }

    /// The key of an address, or of a tenant's name: which one it is, its slashes tell.
    ///
    /// **Cost**: one or two blocks of SHA-256.
    pub(super) fn of(&self, text: &str) -> Key {
        let digest = self.seeded.clone().chain_update(text.as_bytes()).finalize();
        Key(u64_at(&digest, 0).unwrap_or_default(), u64_at(&digest, 8).unwrap_or_default())
    }

    /// The key of the tenant in an address.
    pub(super) fn tenant_of(&self, address: &str) -> Key {
        self.of(tenant(address))
    }
}

/// The tenant in an address.
pub(super) fn tenant(address: &str) -> &str {
    address.split('/').next().unwrap_or_default()
}

const IDLE: i64 = i64::MIN;
const NOW: i64 = i64::MIN + 1;

/// Where an entity stands.
///
/// **Cost**: 40 bytes with its key, and what a hash map wastes: 47 to 94.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: u32,
    /// Whose it is, see [`Index::tenant`].
    pub(super) tenant: u32,
    /// Where its last event lies; the records before it are chained from there.
    pub(super) last: Position,
    wake: i64,
}

impl Entry {
    pub(super) fn new(version: u64, tenant: u32, last: Position, wake: Wake) -> Self {
        let version = u32::try_from(version).unwrap_or(u32::MAX);
        Self { version, tenant, last, wake: 0 }.waiting_for(wake)
    }

    pub(super) fn version(&self) -> u64 {
        u64::from(self.version)
    }

    /// What it waits for.
    pub(super) fn wake(&self) -> Wake {
        match self.wake {
            IDLE => Wake::Idle,
            NOW => Wake::Now,
            at => Wake::At(Timestamp::from_unix_nanos(at)),
        }
    }

    pub(super) fn waiting_for(self, wake: Wake) -> Self {
        let wake = match wake {
            Wake::Idle => IDLE,
            Wake::Now => NOW,
            Wake::At(at) => at.unix_nanos().max(NOW + 1),
        };
        Self { wake, ..self }
    }
}

/// What lies in a segment. **Units**: bytes of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Of events, dead ones included.
    pub(super) events: u64,
    /// Of events of retired entities.
    pub(super) dead: u64,
    /// Of tombstones.
    pub(super) tombstones: u64,
    /// Nothing is left in it of tenants that were erased up to here.
    pub(super) cleaned: Position,
    /// Nothing is left in it of entities that were retired up to here.
    pub(super) applied: Position,
}

/// Every entity that has events, and those that have none any more.
#[derive(Default, Clone)]
pub(super) struct Index {
    pub(super) entries: ByKey<Entry>,
    /// Who was retired, and where the tombstone lies.
    pub(super) retired: ByKey<Position>,
    /// Which tenants were erased, and where that is written. Kept for good.
    pub(super) erased: ByKey<Position>,
    pub(super) tallies: BTreeMap<u64, Tally>,
    tenants: ByKey<u32>,
}

impl Index {
    /// The number of a tenant in this index; it gets one when it has none.
    pub(super) fn tenant(&mut self, key: Key) -> u32 {
        let next = self.tenants.len() as u32;
        *self.tenants.entry(key).or_insert(next)
    }

    /// The number of a tenant, when it has one.
    pub(super) fn known_tenant(&self, key: Key) -> Option<u32> {
        self.tenants.get(&key).copied()
    }

    /// Gives a tenant the number that it had.
    pub(super) fn tenant_is(&mut self, key: Key, number: u32) {
        self.tenants.insert(key, number);
    }

    /// All tenants and their numbers.
    pub(super) fn tenants(&self) -> &ByKey<u32> {
        &self.tenants
    }

    /// Whether nothing is to be written to this address any more.
    pub(super) fn is_over(&self, address: Key, tenant: Key) -> bool {
        self.retired.contains_key(&address) || self.erased.contains_key(&tenant)
    }

    pub(super) fn add_events(&mut self, segment: u64, bytes: u64) {
        self.tallies.entry(segment).or_default().events += bytes;
    }

    /// Takes a tombstone in.
    pub(super) fn retire(&mut self, stone: &Tombstone, at: Position, len: u64) {
        self.entries.remove(&stone.key);
        self.retired.insert(stone.key, at);
        for (segment, dead) in &stone.parts {
            if let Some(tally) = self.tallies.get_mut(segment).filter(|tally| tally.applied < at) {
                tally.dead = (tally.dead + u64::from(*dead)).min(tally.events);
            }
        }
        self.tallies.entry(Place::from(at).segment).or_default().tombstones += len;
    }

    /// Takes the end of a tenant in.
    pub(super) fn erase(&mut self, tenant: Key, at: Position) {
        if let Some(number) = self.known_tenant(tenant) {
            self.entries.retain(|_, entry| entry.tenant != number);
        }
        self.erased.insert(tenant, at);
    }

    /// Who waits, and where its last record lies.
    pub(super) fn unfinished(&self) -> Vec<(Key, Entry)> {
        let waiting = self.entries.iter().filter(|(_, entry)| entry.wake != IDLE);
        waiting.map(|(key, entry)| (*key, *entry)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_takes_40_bytes_with_its_key() {
        assert_eq!(size_of::<(Key, Entry)>(), 40);
        assert_eq!(size_of::<(Key, Position)>(), 24);
    }

    #[test]
    fn what_an_entity_waits_for_is_read_as_it_was_kept() {
        for wake in [Wake::Idle, Wake::Now, Wake::At(Timestamp::from_unix_nanos(-5)), Wake::At(Timestamp::default())] {
            assert_eq!(Entry::new(7, 0, Position(3), wake).wake(), wake);
        }
    }

    #[test]
    fn the_keys_of_two_stores_differ() {
        let (one, two) = (Keys::new(&[1; 16]), Keys::new(&[2; 16]));
        assert_eq!(one.of("acme/a/b/c"), one.of("acme/a/b/c"));
        assert_ne!(one.of("acme/a/b/c"), two.of("acme/a/b/c"));
        assert_eq!(one.tenant_of("acme/a/b/c"), one.of("acme"));
    }
}

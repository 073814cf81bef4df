//! How much waits where: sums over the awake entities, for whoever measures.

use std::{collections::BTreeMap, time::Duration};

use super::Directory;
use crate::telemetry::{ActorInfo, ActorState};

/// What the entities of one kind have in hand, as of now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Entities in memory.
    pub entities: usize,
    /// Those that refuse messages because they failed too often or cannot be decoded.
    pub quarantined: usize,
    /// Those whose handler was killed and does not end.
    pub wedged: usize,
    /// Messages that wait or are in hand.
    pub depth: usize,
    /// Bytes that they are charged for.
    pub bytes: usize,
    /// Age of the oldest message that waits; zero when none does.
    pub oldest_age: Duration,
}

impl Directory {
    /// The supervisors and services, each after its parent; no entities.
    pub fn services(&self) -> Vec<ActorInfo> {
        self.tree.lines()
    }

    /// The load by platform and kind.
    ///
    /// **Cost**: one short lock per awake entity, no memory for any of them.
    pub fn load(&self) -> BTreeMap<(String, String), Load> {
        let now = self.floor.now();
        let mut sums: BTreeMap<(String, String), Load> = BTreeMap::new();
        for map in &self.maps {
            for slot in map.lock().values() {
                let address = slot.address();
                let (state, items, bytes, oldest) = slot.burden();
                // Two short texts for each entity would be most of the cost.
                let known = sums
                    .iter_mut()
                    .find(|((platform, kind), _)| platform == address.platform() && kind == address.kind());
                let load = match known {
                    Some((_, load)) => load,
                    None => sums.entry((address.platform().to_owned(), address.kind().to_owned())).or_default(),
                };
                load.entities += 1;
                load.quarantined += usize::from(state == ActorState::Quarantined);
                load.wedged += usize::from(state == ActorState::Wedged);
                load.depth += items;
                load.bytes += bytes;
                let age = oldest.map(|since| now.saturating_sub(since)).unwrap_or_default();
                load.oldest_age = load.oldest_age.max(age);
            }
        }
        sums
    }
}

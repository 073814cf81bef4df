//! Rebuilding an entity from snapshot and journal: the same for waking it and for reading it asleep.

use std::sync::Arc;

use super::Services;
use crate::{
    entity::{AnyState, ErasedDecider, KeyWindow, LoadError, restore},
    envelope::{Address, Envelope, Timestamp},
    ports::Position,
};

/// An entity as the journal tells it.
pub(super) struct Loaded {
    pub(super) state: AnyState,
    pub(super) version: u64,
    pub(super) position: Position,
    pub(super) keys: KeyWindow,
    /// The last event: the cause of whatever the entity still wants.
    pub(super) last: Option<Arc<Envelope>>,
    pub(super) last_at: Timestamp,
    /// Events that were replayed, for deciding when the next snapshot is due.
    pub(super) replayed: u64,
}

/// Rebuilds an entity.
///
/// **Cost**: a snapshot read, and a decode for each event after it.
pub(super) async fn load(
    services: &Services,
    decider: &dyn ErasedDecider,
    address: &Address,
) -> Result<Loaded, LoadError> {
    let kept = services.journal.snapshot_get(address).await;
    let restored = kept.and_then(|kept| Some((restore(decider, &kept)?, kept.version)));
    let ((state, keys), version) = restored.unwrap_or_else(|| ((decider.initial(address), KeyWindow::default()), 0));
    let mut loaded = Loaded {
        state,
        version,
        position: Position::default(),
        keys,
        last: None,
        last_at: Timestamp::default(),
        replayed: 0,
    };
    // From the snapshot's own version on: its event is not applied again but is the last cause.
    let records = services.journal.read(address, loaded.version.max(1)).await?;
    for record in records {
        let (version, position) = (record.version, record.position);
        let envelope = record.event.envelope().map_err(|source| LoadError::Wire { version, position, source })?;
        let expected = loaded.version + 1;
        if version > expected || version < loaded.version {
            return Err(LoadError::Gap { expected, found: version, position });
        }
        if version == expected {
            decider.evolve(&mut loaded.state, &envelope, version).map_err(|source| LoadError::Event {
                version,
                position,
                source,
            })?;
            loaded.keys.add(&envelope.headers, version);
            loaded.version = version;
            loaded.replayed += 1;
        }
        loaded.position = position;
        loaded.last_at = envelope.occurred_at;
        loaded.last = Some(envelope);
    }
    Ok(loaded)
}

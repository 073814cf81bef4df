//! Rebuilding an entity from snapshot and journal: the same for waking it and for reading it asleep.

use std::sync::Arc;

use bytes::Bytes;

use super::Services;
use crate::{
    entity::{AnyState, CodecError, ErasedDecider, KeyWindow},
    envelope::{Address, Envelope, Timestamp, WireError, decode},
    ports::{JournalError, Position, Snapshot},
};

/// Why an entity could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record is no envelope.
    #[error("event {version} at position {position} is no envelope")]
    Wire {
        version: u64,
        position: Position,
        #[source]
        source: WireError,
    },
    /// The decider does not know the event.
    #[error("event {version} at position {position} cannot be decoded: {source}")]
    Event {
        version: u64,
        position: Position,
        #[source]
        source: CodecError,
    },
    /// A version is missing: the journal lost something.
    #[error("event {expected} is missing: the journal answers {found} in its place, at position {position}")]
    Gap { expected: u64, found: u64, position: Position },
}

impl LoadError {
    /// The version of the event that is the matter; 0 when it is not one event's.
    pub(crate) fn version(&self) -> u64 {
        match self {
            Self::Journal(_) => 0,
            Self::Wire { version, .. } | Self::Event { version, .. } => *version,
            Self::Gap { expected, .. } => *expected,
        }
    }
}

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
    let mut loaded = match services.journal.snapshot_get(address).await.and_then(|s| restore(decider, &s)) {
        Some(loaded) => loaded,
        None => Loaded {
            state: decider.initial(address),
            version: 0,
            position: Position::default(),
            keys: KeyWindow::default(),
            last: None,
            last_at: Timestamp::default(),
            replayed: 0,
        },
    };
    // From the snapshot's own version on: its event is not applied again but is the last cause.
    let records = services.journal.read(address, loaded.version.max(1)).await?;
    for record in records {
        let (version, position) = (record.version, record.position);
        let envelope = decode(&record.bytes).map_err(|source| LoadError::Wire { version, position, source })?;
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
            if let Some(key) = &envelope.headers.idempotency_key {
                loaded.keys.add(key, version);
            }
            loaded.version = version;
            loaded.replayed += 1;
        }
        loaded.position = position;
        loaded.last_at = envelope.occurred_at;
        loaded.last = Some(Arc::new(envelope));
    }
    Ok(loaded)
}

/// The snapshot's form: length of the keys (u32, little endian), keys as JSON, state.
pub(super) fn snapshot(
    decider: &dyn ErasedDecider,
    state: &AnyState,
    keys: &KeyWindow,
    version: u64,
) -> Option<Snapshot> {
    let state = decider.snapshot(state)?;
    let keys = serde_json::to_vec(keys).ok()?;
    let mut bytes = Vec::with_capacity(4 + keys.len() + state.len());
    bytes.extend_from_slice(&u32::try_from(keys.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(&keys);
    bytes.extend_from_slice(&state);
    Some(Snapshot { version, bytes: Bytes::from(bytes) })
}

fn restore(decider: &dyn ErasedDecider, snapshot: &Snapshot) -> Option<Loaded> {
    let (len, rest) = snapshot.bytes.split_first_chunk::<4>()?;
    let (keys, state) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    Some(Loaded {
        state: decider.restore(state)?,
        version: snapshot.version,
        position: Position::default(),
        keys: serde_json::from_slice(keys).ok()?,
        last: None,
        last_at: Timestamp::default(),
        replayed: 0,
    })
}

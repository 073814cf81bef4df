//! The journal port: the ordered, durable record of events.
//!
//! Absent on purpose: transactions over entities, a global total order, deletion of single events,
//! reading what is not yet durable, "flush now", file names. What ends is a whole entity
//! ([`Journal::retire`]) or a whole tenant ([`Journal::erase`]); [`Journal::reclaim`] then frees the
//! room. The embedded log and JetStream pass one conformance suite for this port.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    BoxFuture,
    envelope::{Address, Envelope, IdempotencyKey, Shard, TenantId, TenantScope, Timestamp, WireError, decode, encode},
};

/// Where a record lies. Ordered within a shard only; opaque outside the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How far a follower has come. Opaque: only the engine that made it can read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor(pub Bytes);

/// The generation of whoever may append; grows with each start or lease, never shrinks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// What an entity waits for after an append, so that a restart knows whom to wake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wake {
    /// Nothing of its own: the next command wakes it.
    #[default]
    Idle,
    /// Work was asked for and has no outcome yet: wake it when the node starts.
    Now,
    /// A timer: wake it at this instant.
    At(Timestamp),
}

/// An event as the journal holds it: an envelope's bytes, decoded at most once by all who share it.
///
/// The engine looks at the bytes alone.
#[derive(Clone)]
pub struct Event {
    bytes: Bytes,
    decoded: Arc<OnceLock<Arc<Envelope>>>,
}

impl Event {
    /// The event of this envelope.
    pub fn of(envelope: &Arc<Envelope>) -> Self {
        Self { bytes: encode(envelope), decoded: Arc::new(OnceLock::from(envelope.clone())) }
    }

    /// The envelope in wire form.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The envelope.
    ///
    /// **Cost**: a decode for the first who asks, nothing for whoever recorded it or asks later.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are none.
    pub fn envelope(&self) -> Result<Arc<Envelope>, WireError> {
        if let Some(envelope) = self.decoded.get() {
            return Ok(envelope.clone());
        }
        let envelope = Arc::new(decode(&self.bytes)?);
        Ok(self.decoded.get_or_init(|| envelope).clone())
    }
}

impl From<Bytes> for Event {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, decoded: Arc::default() }
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Event {}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.fmt(f)
    }
}

/// Events of one entity, to be recorded all or none.
#[derive(Debug, Clone)]
pub struct Append {
    /// Whose events they are.
    pub address: Address,
    /// The version of its last event; 0 when there is none yet.
    pub expected_version: u64,
    /// The epoch of the lease under which the sender works.
    pub epoch: Epoch,
    /// Oldest first; never empty.
    pub events: Vec<Event>,
    /// The key of the command that caused them, for telling a repeat from a conflict.
    pub key: Option<IdempotencyKey>,
    /// What the entity waits for afterwards.
    pub wake: Wake,
}

/// The answer to an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Durable. `version` is that of the last event appended.
    Appended {
        /// Version of the last event appended.
        version: u64,
        /// Where it lies.
        position: Position,
    },
    /// Someone else appended first; nothing was written.
    WrongVersion {
        /// The version of the entity's last event.
        actual: u64,
    },
    /// The same key was appended at this version already; nothing was written.
    Duplicate {
        /// The version of the last event of the first append.
        version: u64,
    },
    /// No room, or the append is too large; nothing was written and reads go on.
    Full {
        /// Bytes that are free on the disk.
        free_bytes: u64,
        /// What to tell the caller: which bound, and how to mend it.
        reason: String,
    },
    /// The entity was retired, or its tenant erased: the address is not used again. Nothing was
    /// written.
    Retired,
    /// The epoch is an old one; nothing was written.
    Fenced {
        /// The epoch that may append now.
        current: Epoch,
    },
    /// It may be recorded or not: read back before deciding again.
    Unknown {
        /// What happened.
        reason: String,
    },
}

/// The end of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retire {
    /// Who ends.
    pub address: Address,
    /// The version of its last event; 0 for an address that is never to be used.
    pub expected_version: u64,
    /// The epoch of the lease under which the sender works.
    pub epoch: Epoch,
}

/// What [`Journal::reclaim`] may free. Both marks only ever grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reclaim {
    /// All followers have seen the events up to here ([`Followed::position`], the lowest of them):
    /// the events of retired entities may be freed only before it.
    pub seen: Position,
    /// Tombstones that were recorded before this may be forgotten. Whoever repeats a create later
    /// than that creates anew, so it lies at least as far back as the promise of idempotency. A
    /// follower that begins at the beginning may find events of the old life before the new one.
    pub tombstones_before: Position,
}

/// What was freed, and what is left to be freed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Bytes that the disk has back.
    pub bytes: u64,
    /// Tombstones that were forgotten.
    pub tombstones: u64,
    /// Parts of the journal that may still hold bytes of an erased tenant: when it is 0, they are
    /// gone.
    pub erasing: u64,
}

/// One recorded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Whose event it is.
    pub address: Address,
    /// 1 for an entity's first event, without gaps.
    pub version: u64,
    /// Where it lies.
    pub position: Position,
    /// The event itself.
    pub event: Event,
}

/// A batch of records for a follower, and the cursor that stands behind them.
#[derive(Debug, Clone, Default)]
pub struct Followed {
    /// In order within each shard.
    pub records: Vec<Recorded>,
    /// To be stored with whatever was made of the records.
    pub cursor: Cursor,
    /// The position that the cursor stands at, for "this list reflects position n".
    pub position: Position,
}

/// A follower's feed. Dropping it ends it.
pub trait Feed: Send {
    /// From now on only events of these types are awaited. A hint, given once and before the first
    /// answer: others are still among the records, but may come late.
    fn only(&mut self, _types: &'static [&'static str]) {}

    /// From now on only events of this tenant are answered, and what holds none of them costs nothing. Given
    /// once and before the first answer.
    fn of(&mut self, tenant: &TenantId);

    /// The next records: at least one, waiting for them when there is none.
    ///
    /// **Cancel safety**: a dropped future loses nothing; the next call answers the same records.
    ///
    /// # Errors
    /// [`JournalError`] when a record cannot be read; the follower stands where it stood.
    fn next(&mut self) -> BoxFuture<'_, Result<Followed, JournalError>>;

    /// What is there now, without waiting: empty when the follower has caught up.
    ///
    /// # Errors
    /// As [`Feed::next`].
    fn poll(&mut self) -> BoxFuture<'_, Result<Followed, JournalError>>;
}

/// A snapshot of an entity's state: a cache, never the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The version of the last event in it.
    pub version: u64,
    /// The state, in the kind's own form.
    pub bytes: Bytes,
}

/// How the engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Bytes free where it writes.
    pub free_bytes: u64,
    /// Everything up to here is durable.
    pub durable: Position,
    /// Why it refuses new work, when it does.
    pub read_only: Option<String>,
    /// Bytes that the journal takes.
    pub used_bytes: u64,
    /// Entities in the index.
    pub entities: u64,
    /// Addresses that were retired and are remembered.
    pub tombstones: u64,
    /// Duration of the last flush.
    pub last_flush: Duration,
}

/// Why the journal could not answer a read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// A record is damaged. Nothing is skipped in silence.
    #[error("the journal is damaged in `{file}` at byte {offset}: {what}; restore a backup, or see `mesh doctor`")]
    Damaged {
        /// The file, relative to the data folder.
        file: String,
        /// Where in the file.
        offset: u64,
        /// What was expected there.
        what: String,
    },
    /// The operating system refused.
    #[error("the journal cannot read `{file}`: {source}")]
    Io {
        /// The file, relative to the data folder.
        file: String,
        /// What the system said.
        #[source]
        source: std::sync::Arc<std::io::Error>,
    },
    /// A cursor of another store or of a later version.
    #[error("the cursor is not one of this journal: begin again without a cursor")]
    BadCursor,
    /// Events behind this cursor were freed before its follower saw them.
    #[error(
        "events behind this cursor were retired and freed before they were seen: begin again without a \
         cursor, from what is left"
    )]
    Freed,
    /// The engine has stopped.
    #[error("the journal is closed")]
    Closed,
}

/// The ordered, durable record of events; the only source of truth.
pub trait Journal: Send + Sync + 'static {
    /// Records events of one entity, all or none, durable before it answers.
    ///
    /// **Cancel safety**: dropping the future does not undo an append that is under way.
    fn append(&self, append: Append) -> BoxFuture<'_, AppendOutcome>;

    /// An entity's events with versions `from_version` and later, at least up to every append that
    /// was acknowledged before the call.
    ///
    /// # Errors
    /// [`JournalError`] when a record cannot be read.
    fn read<'a>(
        &'a self,
        address: &'a Address,
        from_version: u64,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, JournalError>>;

    /// The version of an entity's last event; 0 when there is none, and when it was retired.
    fn version<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<u64, JournalError>>;

    /// Follows one shard, or all, from a cursor (`None`: from the beginning), then live.
    ///
    /// A follower that begins at the beginning sees every entity that was not retired, whole and in
    /// order; of a retired one it sees all, some or nothing. One that goes on from a cursor sees
    /// everything behind it, or is told that it cannot.
    ///
    /// # Errors
    /// [`JournalError::BadCursor`], and [`JournalError::Freed`], here or from the feed.
    fn follow(&self, shard: Option<Shard>, from: Option<Cursor>) -> Result<Box<dyn Feed>, JournalError>;

    /// Corrects what the journal knows of an entity's waiting, without a flush of its own.
    ///
    /// An append is recorded before the state moves, so it can only guess [`Append::wake`]. Once the
    /// state has moved the entity knows, and says so here when the guess was wrong. A hint, not a
    /// fact: it rides along with the next flush (or one after a short idle time, or at close), never
    /// blocks, and when it is lost in a crash the entity is woken once in vain and says it again.
    /// Ignored when `version` is not the entity's last one.
    fn settle(&self, address: &Address, version: u64, wake: Wake);

    /// The position up to which everything is durable now.
    fn durable(&self) -> Position;

    /// Stores a snapshot. Best effort: a failure costs only time at the next wake.
    fn snapshot_put<'a>(&'a self, address: &'a Address, snapshot: Snapshot) -> BoxFuture<'a, ()>;

    /// The newest snapshot that can be read.
    fn snapshot_get<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Option<Snapshot>>;

    /// The entities whose last append says that they wait for work or for a timer.
    fn unfinished(&self) -> BoxFuture<'_, Result<Vec<(Address, Wake)>, JournalError>>;

    /// The entities of one tenant that have events, in no order. For checks, not for lists.
    fn addresses<'a>(&'a self, scope: &'a TenantScope) -> BoxFuture<'a, Result<Vec<Address>, JournalError>>;

    /// Ends an entity: a tombstone is recorded, durable before it answers `Appended` with the
    /// entity's last version. From then on the entity has no events and no snapshot, an append to
    /// its address is answered [`AppendOutcome::Retired`] for as long as the tombstone is kept, and
    /// so is a second `retire`. Feeds carry no word of it.
    ///
    /// **Cost**: one flush, shared; and a read of the entity.
    fn retire(&self, retire: Retire) -> BoxFuture<'_, AppendOutcome>;

    /// Ends all entities of a tenant at once, and its name with them: later appends to any address
    /// of it are answered [`AppendOutcome::Retired`], for good. Its events are in no read and in no
    /// feed from now on; their bytes are gone once [`Journal::reclaim`] answers that it is through.
    /// May be repeated.
    ///
    /// Whoever calls it has seen to it that the tenant's entities are asleep.
    fn erase<'a>(&'a self, scope: &'a TenantScope) -> BoxFuture<'a, AppendOutcome>;

    /// Frees what retired entities and erased tenants have left, within the marks. To be called
    /// from time to time; a call without work costs nothing. One call works at a time, leaves the
    /// disk to others for half of its time, and may be dropped: what it did is done, and what it
    /// is about to do is done or left.
    ///
    /// # Errors
    /// [`JournalError`] when something cannot be read or written; nothing is lost then, and the
    /// next call tries again.
    fn reclaim(&self, marks: Reclaim) -> BoxFuture<'_, Result<Reclaimed, JournalError>>;

    /// The epoch under which this node may append to a shard.
    fn epoch(&self, shard: Shard) -> Epoch;

    /// How the engine is.
    fn health(&self) -> Health;

    /// Flushes what waits and stops; appends afterwards answer [`AppendOutcome::Unknown`].
    fn close(&self) -> BoxFuture<'_, ()>;
}

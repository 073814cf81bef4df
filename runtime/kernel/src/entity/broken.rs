//! What keeps an entity from being rebuilt.

use super::CodecError;
use crate::{
    envelope::WireError,
    ports::{JournalError, Position},
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

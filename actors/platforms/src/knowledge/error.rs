//! What Knowledge refuses: codes `KNO-0001` and up.

use std::time::Duration;

use mesh_kernel::envelope::{ErrorKind, Refuse, Retry};

/// What a collection refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A name that no source or document can have.
    #[error("`{name}` is no {what}: {want}")]
    Name {
        /// What was given, cut to a readable length.
        name: String,
        /// What it should name.
        what: &'static str,
        /// What is wanted.
        want: &'static str,
    },
    /// There is no room.
    #[error("a collection has at most {max} {what}: forget some, or use another collection")]
    Full {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The index has not come so far.
    #[error("{pending} documents wait for the index, which is as many as may wait: try again in a moment")]
    Busy {
        /// How many wait.
        pending: usize,
    },
    /// There is no such source.
    #[error("the collection has no source `{source_name}`")]
    NoSource {
        /// Its name.
        source_name: String,
    },
    /// There is no such document.
    #[error("the source `{source_name}` has no document `{path}`; nothing was forgotten")]
    NoDocument {
        /// The source.
        source_name: String,
        /// The document.
        path: String,
    },
}

impl Refuse for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => "KNO-0001",
            Self::Full { .. } => "KNO-0002",
            Self::Busy { .. } => "KNO-0003",
            Self::NoSource { .. } => "KNO-0004",
            Self::NoDocument { .. } => "KNO-0005",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Name { .. } => ErrorKind::InvalidArgument,
            Self::Full { .. } => ErrorKind::FailedPrecondition,
            Self::Busy { .. } => ErrorKind::ResourceExhausted,
            Self::NoSource { .. } | Self::NoDocument { .. } => ErrorKind::NotFound,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Busy { .. } => Retry::After(Duration::from_millis(500)),
            _ => Retry::Never,
        }
    }
}

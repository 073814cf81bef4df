//! What DevOps refuses: codes `DEV-0001` and up.

use mesh_kernel::envelope::{ErrorKind, Refuse};

/// What a repository refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A text that names no commit.
    #[error("`{text}` is no commit id: 7 to 64 hexadecimal digits are expected")]
    NoCommit {
        /// What was given, cut to a readable length.
        text: String,
    },
    /// A fact about a commit that was never recorded.
    #[error("the commit `{commit}` is not known in `{repository}`: record it first")]
    UnknownCommit {
        /// The commit.
        commit: String,
        /// The repository.
        repository: String,
    },
}

impl Refuse for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::NoCommit { .. } => "DEV-0001",
            Self::UnknownCommit { .. } => "DEV-0002",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoCommit { .. } => ErrorKind::InvalidArgument,
            Self::UnknownCommit { .. } => ErrorKind::FailedPrecondition,
        }
    }
}

//! What a task refuses.

use mesh_kernel::envelope::{ErrorKind, Refuse};

/// What a task refuses, each with its code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was assigned under this id.
    #[error("there is no task `{task}`")]
    Absent {
        /// The id.
        task: String,
    },
    /// The same id with another assignment.
    #[error("task `{task}` was assigned with another agent or input")]
    Other {
        /// The id.
        task: String,
    },
    /// The state does not allow it.
    #[error("task `{task}` is {phase}: {why}")]
    State {
        /// The id.
        task: String,
        /// Its state.
        phase: &'static str,
        /// Why it cannot be done, and what can.
        why: &'static str,
    },
    /// An outcome that nobody waits for.
    #[error("{what} is not waited for: it came too late, or twice")]
    Late {
        /// Which.
        what: String,
    },
    /// What a person gave is not what the agent must give.
    #[error("the output does not fit the agent's schema: {mistakes}")]
    Output {
        /// What is wrong.
        mistakes: String,
    },
    /// A note that is empty, or too long for a conversation.
    #[error("the note has {bytes} bytes; 1 to {max} are taken")]
    Note {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// A note that holds what looks like a key.
    #[error("the note holds what looks like a key; no model is told one: a skill that needs it reads it by its name")]
    Secret,
    /// What is too large for the journal.
    #[error("{what} has {bytes} bytes, at most {max} are taken; store the body and pass its reference")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        max: usize,
    },
}

impl Refuse for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "TSK-0001",
            Self::Other { .. } => "TSK-0002",
            Self::State { .. } => "TSK-0003",
            Self::Late { .. } => "TSK-0004",
            Self::Output { .. } => "TSK-0005",
            Self::Note { .. } => "TSK-0006",
            Self::TooLarge { .. } => "TSK-0007",
            Self::Secret => "TSK-0008",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent { .. } => ErrorKind::NotFound,
            Self::Other { .. } => ErrorKind::AlreadyExists,
            Self::State { .. } | Self::Late { .. } => ErrorKind::FailedPrecondition,
            Self::Output { .. } | Self::Note { .. } | Self::Secret | Self::TooLarge { .. } => {
                ErrorKind::InvalidArgument
            }
        }
    }
}

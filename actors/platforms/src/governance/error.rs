//! What Governance refuses: codes `GOV-0001` and up.

use mesh_kernel::envelope::{ErrorKind, FieldViolation, Refuse, Role};

/// What an approval refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such approval.
    #[error("there is no approval `{approval}`: `approvals list` shows the open ones")]
    Unknown {
        /// The id.
        approval: String,
    },
    /// Another digest is asked for now.
    #[error("what you saw (`{seen}`) is not what is asked now (`{asked}`): look at it again, then decide")]
    DigestChanged {
        /// The digest in the command.
        seen: String,
        /// The one that is asked.
        asked: String,
    },
    /// It is decided, expired or cancelled.
    #[error("the approval is {state} already: nothing is left to decide")]
    Closed {
        /// How it stands.
        state: &'static str,
    },
    /// The role does not allow it.
    #[error("`{who}` may not decide this: it needs the role {}", names(.roles))]
    Role {
        /// Who tried.
        who: String,
        /// The roles that may.
        roles: Vec<Role>,
    },
    /// Whoever asks or made it does not decide.
    #[error("`{who}` asked for this or made it, so somebody else must decide")]
    SelfApproval {
        /// Who tried.
        who: String,
    },
    /// One person has one voice.
    #[error("`{who}` has said yes already: {missing} more must decide")]
    VotedAlready {
        /// Who tried.
        who: String,
        /// How many voices are missing.
        missing: u32,
    },
    /// The same request id stands for another command.
    #[error("this request id was used for another `{command}`: repeat that one as it was, or choose a new id")]
    OtherCommand {
        /// The command that waits.
        command: String,
    },
    /// No command of it waits to be sent.
    #[error("the approval is {state}: no command of it waits to be sent")]
    NothingHeld {
        /// How it stands.
        state: &'static str,
    },
    /// The request cannot be decided by anybody.
    #[error("the approval of step `{step}` cannot be asked for: {reason}")]
    Request {
        /// The step.
        step: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
}

impl Refuse for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "GOV-0001",
            Self::DigestChanged { .. } => "GOV-0002",
            Self::Closed { .. } => "GOV-0003",
            Self::Role { .. } => "GOV-0004",
            Self::SelfApproval { .. } => "GOV-0005",
            Self::VotedAlready { .. } => "GOV-0006",
            Self::Request { .. } => "GOV-0007",
            Self::OtherCommand { .. } => "GOV-0008",
            Self::NothingHeld { .. } => "GOV-0009",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::DigestChanged { .. } => ErrorKind::Aborted,
            Self::OtherCommand { .. } => ErrorKind::AlreadyExists,
            Self::Closed { .. } | Self::VotedAlready { .. } | Self::NothingHeld { .. } => ErrorKind::FailedPrecondition,
            Self::Role { .. } | Self::SelfApproval { .. } => ErrorKind::PermissionDenied,
            Self::Request { .. } => ErrorKind::InvalidArgument,
        }
    }

    fn fields(&self) -> Vec<FieldViolation> {
        match self {
            Self::DigestChanged { .. } => {
                vec![FieldViolation { field: "digest".to_owned(), description: self.to_string() }]
            }
            Self::OtherCommand { .. } => {
                vec![FieldViolation {
                    field: "request_id".to_owned(),
                    description: "choose one that was never used".to_owned(),
                }]
            }
            _ => Vec::new(),
        }
    }
}

fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ")
}

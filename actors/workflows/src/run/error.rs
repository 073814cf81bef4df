//! What a run refuses.

use mesh_kernel::envelope::{ErrorKind, FieldViolation, Refuse};

use crate::plan::Fault;

/// What a run refuses, each with its code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was submitted under this id.
    #[error("there is no run `{run}`")]
    Absent {
        /// The id.
        run: String,
    },
    /// The same request id with another body.
    #[error("run `{run}` was submitted with another definition or input; use a new request id")]
    OtherBody {
        /// The id.
        run: String,
    },
    /// The definition has faults.
    #[error("the definition cannot run: {}", list(faults))]
    Definition {
        /// What is wrong.
        faults: Vec<Fault>,
    },
    /// The input does not fit the definition's schema.
    #[error("the input does not fit the definition: {}", list(faults))]
    Input {
        /// What is wrong.
        faults: Vec<Fault>,
    },
    /// The input or a signal is too large to be kept in the journal.
    #[error("{what} has {bytes} bytes, at most {max} are taken; store the body and pass its reference")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        max: usize,
    },
    /// Runs within runs within runs.
    #[error("the run stands {depth} runs deep; at most {max} are allowed: does a definition call itself?")]
    TooDeep {
        /// How deep.
        depth: u32,
        /// How deep it may be.
        max: u32,
    },
    /// The state does not allow it.
    #[error("run `{run}` is {state}: {why}")]
    State {
        /// The id.
        run: String,
        /// Its state.
        state: &'static str,
        /// Why it cannot be done, and what can.
        why: &'static str,
    },
    /// An outcome that nobody waits for any more.
    #[error("nobody waits for {what}: it is late, or was decided already")]
    Late {
        /// Which outcome.
        what: String,
    },
    /// No such step.
    #[error("run `{run}` has no step `{step}`{}", near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    NoStep {
        /// The run.
        run: String,
        /// What was asked for.
        step: String,
        /// What may be meant.
        near: Option<String>,
    },
    /// Too many signals that nobody takes.
    #[error("{count} signals wait to be taken already; at most {max} are kept")]
    SignalsFull {
        /// How many wait.
        count: usize,
        /// How many are kept.
        max: usize,
    },
    /// This version of mesh cannot compile the definition that the run began with.
    #[error("the definition of run `{run}` cannot be read by this version: {}", list(faults))]
    Unreadable {
        /// The run.
        run: String,
        /// What is wrong.
        faults: Vec<Fault>,
    },
}

fn list(faults: &[Fault]) -> String {
    let shown: Vec<String> = faults
        .iter()
        .take(5)
        .map(|fault| match fault.pointer.as_str() {
            "" => fault.message.clone(),
            pointer => format!("`{pointer}`: {}", fault.message),
        })
        .collect();
    let more = faults.len().saturating_sub(shown.len());
    let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{tail}", shown.join("; "))
}

impl Refuse for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "RUN-0001",
            Self::OtherBody { .. } => "RUN-0002",
            Self::Definition { .. } => "RUN-0003",
            Self::Input { .. } => "RUN-0004",
            Self::TooLarge { .. } => "RUN-0005",
            Self::TooDeep { .. } => "RUN-0006",
            Self::State { .. } => "RUN-0007",
            Self::Late { .. } => "RUN-0008",
            Self::NoStep { .. } => "RUN-0009",
            Self::SignalsFull { .. } => "RUN-0010",
            Self::Unreadable { .. } => "RUN-0011",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent { .. } => ErrorKind::NotFound,
            Self::OtherBody { .. } => ErrorKind::AlreadyExists,
            Self::Definition { .. }
            | Self::Input { .. }
            | Self::TooLarge { .. }
            | Self::TooDeep { .. }
            | Self::NoStep { .. } => ErrorKind::InvalidArgument,
            Self::State { .. } | Self::Late { .. } => ErrorKind::FailedPrecondition,
            Self::SignalsFull { .. } => ErrorKind::ResourceExhausted,
            Self::Unreadable { .. } => ErrorKind::Internal,
        }
    }

    fn fields(&self) -> Vec<FieldViolation> {
        let (faults, definition) = match self {
            Self::Definition { faults } | Self::Unreadable { faults, .. } => (faults, true),
            Self::Input { faults } => (faults, false),
            _ => return Vec::new(),
        };
        faults
            .iter()
            .map(|fault| FieldViolation {
                field: match definition {
                    true => fault.field_path(),
                    false => format!("input{}", fault.pointer.replace('/', ".")),
                },
                description: match &fault.help {
                    Some(help) => format!("{} ({help})", fault.message),
                    None => fault.message.clone(),
                },
            })
            .collect()
    }
}

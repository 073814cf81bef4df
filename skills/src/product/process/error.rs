//! Why a process is not running, and what that means for a step that wanted it.

use std::time::Duration;

use crate::contract::Failure;

/// Why a process is not running.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program could not be started at all.
    #[error("`{program}` cannot be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It ended before it said that it was ready.
    #[error("`{program}` ended before it was ready ({how}); its last words: {tail}")]
    Ended {
        /// The program.
        program: String,
        /// Exit code or signal.
        how: String,
        /// The end of its standard error.
        tail: String,
    },
    /// It did not say that it was ready.
    #[error("`{program}` did not say that it was ready within {within:?} and was stopped; its last words: {tail}")]
    NotReady {
        /// The program.
        program: String,
        /// How long was waited.
        within: Duration,
        /// The end of its standard error.
        tail: String,
    },
    /// One runs already.
    #[error("process {0} runs already: adopt it or stop it first")]
    Running(u32),
    /// Another process holds the workload's lock and cannot be found.
    #[error("something that cannot be found holds the lock of `{0}`: stop it, or remove the folder")]
    Held(String),
    /// It was killed and did not go.
    #[error("process {0} does not end, not even when killed")]
    Unkillable(u32),
    /// The operating system refused.
    #[error("`{path}` cannot be used: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        let text = error.to_string();
        match error {
            ProcessError::Start { .. } | ProcessError::Ended { .. } => Self::external("process.ended", text),
            ProcessError::NotReady { .. } => Self::timeout("process.not-ready", text),
            ProcessError::Running(_) | ProcessError::Held(_) | ProcessError::Unkillable(_) => {
                Self::external("process.held", text)
            }
            ProcessError::Io { .. } => Self::external("process.io", text),
        }
    }
}

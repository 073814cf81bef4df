//! What Runtime & Cloud refuses: codes `RTC-0001` and up.

use mesh_kernel::envelope::{ErrorKind, Refuse};

/// What a workload refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing ever ran here.
    #[error("nothing ever ran as `{product}`: start it first, by applying its blueprint")]
    NeverStarted {
        /// The product.
        product: String,
    },
    /// An outcome of a start that is over.
    #[error("the outcome of start {incarnation} of `{product}` comes too late: it is at start {current}")]
    Late {
        /// The product.
        product: String,
        /// The start that it is of.
        incarnation: u32,
        /// The start that counts.
        current: u32,
    },
}

impl Refuse for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::NeverStarted { .. } => "RTC-0001",
            Self::Late { .. } => "RTC-0002",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::FailedPrecondition
    }
}

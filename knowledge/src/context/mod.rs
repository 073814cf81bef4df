//! Context packages: cited pieces for one task, allowed by policy, within a hard budget of tokens.
//!
//! The order of work: policy looks at what a piece is before anybody looks at its text; what is redacted is
//! redacted before it is counted; then the best are taken as long as they fit. What is left out is told with
//! its reason and without its text. The best piece stands first and the second best last, for models read the
//! middle of a long context least.
//!
//! Never here: I/O, a clock, an index. The same candidates give the same package.

mod pack;
mod text;

pub use pack::pack;

use crate::{shelf::Candidate, tokens::Counter};

/// Sources of a package at most.
pub const SOURCES_MAX: usize = 40;

/// What policy says of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be read as it is.
    Allow,
    /// It may be read without what looks like a secret.
    Redact,
    /// It may not be read; why.
    Deny(String),
}

/// The bounds of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Tokens of the whole text at most.
    pub tokens: u64,
    /// Sources at most; never more than [`SOURCES_MAX`].
    pub sources: usize,
    /// How tokens are counted.
    pub counter: Counter,
}

/// A package.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// What is in it, best first and the second best last.
    pub sources: Vec<Source>,
    /// What was found and is not in it.
    pub left_out: Vec<LeftOut>,
    /// The whole as a model reads it; empty when nothing is in it.
    pub text: String,
    /// Tokens of the text.
    pub tokens_used: u64,
}

/// A piece of a package.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// What a model cites: `S1` is the best.
    pub handle: String,
    /// The piece. Its text is as the package has it.
    pub candidate: Candidate,
    /// Tokens that it takes, with what is around it.
    pub tokens: u64,
    /// Something in it was redacted.
    pub redacted: bool,
}

/// A piece that was left out, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The chunk.
    pub chunk: crate::id::ChunkId,
    /// Its document; empty when policy denies even that.
    pub path: String,
    /// Why.
    pub reason: Reason,
    /// More, for people.
    pub detail: String,
}

/// Why a piece was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It may not be read.
    Policy,
    /// It did not fit.
    Budget,
    /// Another piece says the same.
    Duplicate,
    /// There were better ones, as many as may be.
    Sources,
}

impl Reason {
    /// As reports name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Budget => "budget",
            Self::Duplicate => "duplicate",
            Self::Sources => "sources",
        }
    }
}

#[cfg(test)]
mod tests;

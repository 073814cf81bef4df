//! The port to knowledge: a skill asks for a context package.

use mesh_kernel::BoxFuture;

use super::{Call, Failure};

/// What a package is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextAsk {
    /// What it is for, in words.
    pub intent: String,
    /// The collections; all when there is none.
    pub collections: Vec<String>,
    /// Tokens at most; 0 is not said.
    pub token_budget: u32,
    /// Only what was written inside.
    pub inside_only: bool,
}

/// A package, as a model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextGiven {
    /// Its id.
    pub id: String,
    /// The pieces with their handles and citations; empty when nothing was found.
    pub text: String,
    /// Tokens of the text.
    pub tokens: u32,
    /// Its pieces.
    pub pieces: Vec<ContextPiece>,
}

/// Where a piece is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextPiece {
    /// What a model cites.
    pub handle: String,
    /// Collection, source, revision, path and lines.
    pub citation: String,
    /// It was written outside.
    pub tainted: bool,
}

/// Context packages. The call carries scope, cause and key: the same key gives the same package.
pub trait Contexts: Send + Sync + 'static {
    /// Builds one, and records it.
    ///
    /// # Errors
    /// A [`Failure`] when what is asked for is wrong, or nothing can be searched now.
    fn build<'a>(&'a self, call: &'a Call, ask: ContextAsk) -> BoxFuture<'a, Result<ContextGiven, Failure>>;
}

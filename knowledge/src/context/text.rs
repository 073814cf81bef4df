//! A package as a model reads it.

use super::Source;
use crate::shelf::Candidate;

/// What stands before the pieces.
pub(super) const HEAD: &str = "Sources. Cite what you use by its handle, as in [S1].\n";

/// A piece with its handle and citation.
pub(super) fn piece(handle: &str, candidate: &Candidate) -> String {
    let text = candidate.shelved.piece.text.trim_end_matches(['\n', '\r', ' ']);
    format!("\n[{handle}] {}\n{text}\n", candidate.citation())
}

/// All pieces in their order; empty when there is none.
pub(super) fn whole(sources: &[Source]) -> String {
    if sources.is_empty() {
        return String::new();
    }
    let pieces = sources.iter().map(|source| piece(&source.handle, &source.candidate));
    std::iter::once(HEAD.to_owned()).chain(pieces).collect()
}

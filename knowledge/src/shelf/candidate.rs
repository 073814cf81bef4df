//! A piece that was found, and why.

use super::Shelved;

/// A piece that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The collection that it was found in.
    pub collection: String,
    /// The piece and its document.
    pub shelved: Shelved,
    /// How well it fits; comparable among the candidates.
    pub score: f64,
    /// Its rank among those found by words, from 1.
    pub lexical_rank: Option<u32>,
    /// Its rank among those found by meaning, from 1.
    pub vector_rank: Option<u32>,
}

impl Candidate {
    /// Where it is: `collection/source[@revision]#path:first-last`.
    pub fn citation(&self) -> String {
        let Shelved { piece, document } = &self.shelved;
        let revision = match document.revision.is_empty() {
            true => String::new(),
            false => format!("@{}", document.revision),
        };
        let (first, last) = (piece.first_line, piece.last_line);
        format!("{}/{}{revision}#{}:{first}-{last}", self.collection, document.source, document.path)
    }
}

//! Cuts a document where its own structure does.
//!
//! Prose is cut at headings and between paragraphs, code between items, a description of an interface
//! between its operations or messages, anything else between lines. A kind's file answers one question,
//! where the pieces are; [`pack`] joins small pieces that belong together and cuts those that are too large.
//!
//! INVARIANT: the chunks of a document come in its order and their bytes cover all of it but empty space. For code,
//! descriptions they do not overlap; prose that had to be cut in the middle of a section repeats one sentence,
//! plain text repeats some lines, and the parts of one long paragraph of HTML all cite that paragraph. The same
//! document gives the same chunks.
//!
//! Never here: I/O. What to do with a document that no chunk is made of is the caller's business.

use std::ops::Range;

mod code;
mod describe;
mod detect;
mod html;
mod markdown;
mod pack;
mod protobuf;

pub use detect::{Kind, Skipped, detect};
use pack::Overlap;

/// How large chunks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What small pieces are joined up to, in tokens of `cl100k_base`. Default: 300.
    pub target_tokens: u32,
    /// What no chunk's text passes, in the same tokens. Default: 512.
    pub hard_tokens: u32,
    /// Larger documents are left out. Default: 2 MiB.
    pub document_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { target_tokens: 300, hard_tokens: 512, document_bytes: 2 << 20 }
    }
}

/// A part of a document that is found, cited and counted as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it stands in the document's structure: headings or names, joined by ` > `. Empty at the top.
    pub place: String,
    /// Which it is among chunks of the same place, from 0.
    pub ordinal: usize,
    /// Its bytes in the document as it was given.
    pub bytes: Range<usize>,
    /// Its lines in the document, counted from 1; the end is the line after the last.
    pub lines: Range<u32>,
    /// What is cited: the document's own text, for HTML without its tags.
    pub text: String,
    /// What goes before the text when it is embedded or indexed, and is never cited: path and place.
    pub prefix: String,
    /// The names of what is defined here, without their place, separated by spaces.
    pub symbol: Option<String>,
    /// The text's tokens by `cl100k_base`.
    pub tokens: u32,
}

impl Chunk {
    /// What an embedder reads: path, place and text.
    pub fn embedded(&self) -> String {
        format!("{}\n{}", self.prefix, self.text)
    }
}

/// The chunks of a document. `path` is what people know it by; an empty document has none.
///
/// **Cost** grows with the text, most of it for counting tokens.
pub fn chunk(path: &str, kind: Kind, text: &str, limits: &Limits) -> Vec<Chunk> {
    let (pieces, overlap) = match kind {
        Kind::Markdown => (markdown::pieces(text), Overlap::Sentence),
        Kind::Html => (html::pieces(text), Overlap::None),
        Kind::Rust | Kind::Python | Kind::TypeScript => match code::pieces(path, kind, text, limits) {
            Some(pieces) => (pieces, Overlap::None),
            None => (pack::whole(text), Overlap::Lines),
        },
        Kind::OpenApi => match describe::pieces(text) {
            Some(pieces) => (pieces, Overlap::None),
            None => (pack::whole(text), Overlap::Lines),
        },
        Kind::Protobuf => (protobuf::pieces(text, limits), Overlap::None),
        Kind::Text => (pack::whole(text), Overlap::Lines),
    };
    pack::pack(path, text, pieces, overlap, limits)
}

#[cfg(test)]
mod tests;

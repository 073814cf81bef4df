//! Joins pieces into chunks near the target, and cuts pieces that are too large.

use std::{collections::BTreeMap, ops::Range};

use super::{Chunk, Limits};
use crate::tokens::Vocabulary;

/// Lines of plain text in a chunk, and how many of them the next one repeats.
const LINES: usize = 60;
const LINES_REPEATED: usize = 10;
/// What two pieces may be more together than one by one: words at the seam are cut differently.
const SEAM_TOKENS: u32 = 8;
/// More space than this at once belongs to no chunk: nobody reads it, and it would count.
const BLANK_BYTES_MAX: usize = 200;
/// A sentence that is longer is not repeated.
const SENTENCE_BYTES_MAX: usize = 240;

/// A part of a document that its kind's reader found: never cut unless it is too large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its bytes; pieces follow each other without a gap.
    pub bytes: Range<usize>,
    /// Headings or names above it and its own.
    pub place: Vec<String>,
    /// What it defines.
    pub symbol: Option<String>,
    /// What is read of it, if that is not the document's own text.
    pub text: Option<String>,
    /// Stands for itself: is joined with nothing before it.
    pub alone: bool,
    /// Nothing but a heading: goes with what follows, whatever its place.
    pub leads: bool,
}

impl Piece {
    pub(super) fn new(bytes: Range<usize>, place: &[String]) -> Self {
        Self { bytes, place: place.to_vec(), symbol: None, text: None, alone: false, leads: false }
    }
}

/// What a chunk repeats of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlap {
    None,
    Sentence,
    Lines,
}

/// The document as one piece.
pub(super) fn whole(text: &str) -> Vec<Piece> {
    vec![Piece::new(0..text.len(), &[])]
}

/// Tokens of `cl100k_base`, in a chunk's width.
pub(super) fn tokens(text: &str) -> u32 {
    u32::try_from(Vocabulary::Cl100k.count(text)).unwrap_or(u32::MAX)
}

/// A chunk that still grows.
struct Growing {
    piece: Piece,
    symbols: Vec<String>,
    tokens: u32,
    /// Nothing but space so far.
    blank: bool,
}

pub(super) fn pack(path: &str, text: &str, pieces: Vec<Piece>, overlap: Overlap, limits: &Limits) -> Vec<Chunk> {
    let mut grown: Vec<Growing> = Vec::new();
    for piece in pieces.into_iter().filter(|piece| !piece.bytes.is_empty()) {
        for part in cut(text, piece, overlap, limits) {
            let said = read(text, &part);
            let blank = said.trim().is_empty();
            if blank && said.len() > BLANK_BYTES_MAX {
                continue;
            }
            let counted = tokens(said);
            let symbols: Vec<String> = part.symbol.clone().into_iter().collect();
            let next = Growing { piece: part, symbols, tokens: counted, blank };
            match grown.last_mut().filter(|last| joins(last, &next, limits, overlap)) {
                Some(last) => join(text, last, next),
                None => grown.push(next),
            }
        }
    }
    finish(path, text, grown, overlap)
}

/// What is read of a piece.
fn read<'a>(text: &'a str, piece: &'a Piece) -> &'a str {
    piece.text.as_deref().unwrap_or_else(|| text.get(piece.bytes.clone()).unwrap_or_default())
}

fn joins(last: &Growing, next: &Growing, limits: &Limits, overlap: Overlap) -> bool {
    let blank = last.blank || next.blank;
    let most = if last.piece.leads || blank { limits.hard_tokens } else { limits.target_tokens };
    let belong = last.piece.place == next.piece.place && overlap != Overlap::Lines;
    let fits = last.tokens.saturating_add(next.tokens).saturating_add(SEAM_TOKENS) <= most;
    fits && (blank || last.piece.leads || belong && !next.piece.alone && !last.piece.alone)
}

fn join(text: &str, last: &mut Growing, next: Growing) {
    let Growing { piece, symbols, blank, .. } = next;
    if (last.piece.leads || last.blank) && !blank {
        // A heading alone takes the place of what it leads to.
        last.piece.place.clone_from(&piece.place);
        last.piece.alone = piece.alone;
        last.piece.leads = piece.leads;
    }
    last.blank &= blank;
    if let Some(added) = &piece.text {
        let so_far = last.piece.text.get_or_insert_default();
        if !so_far.is_empty() && !added.is_empty() {
            so_far.push_str("\n\n");
        }
        so_far.push_str(added);
    }
    last.piece.bytes.end = piece.bytes.end;
    for symbol in symbols {
        if !last.symbols.contains(&symbol) {
            last.symbols.push(symbol);
        }
    }
    last.tokens = tokens(read(text, &last.piece));
}

/// A piece as it is, or in parts that each keep the hard limit.
fn cut(text: &str, piece: Piece, overlap: Overlap, limits: &Limits) -> Vec<Piece> {
    let body = read(text, &piece);
    let large = tokens(body) > limits.hard_tokens;
    if !large && (overlap != Overlap::Lines || body.lines().count() <= LINES) {
        return vec![piece];
    }
    let ranges = by_lines(body, overlap, limits);
    match &piece.text {
        // The parts of a rewritten text cannot be told apart in the source: each cites all of it.
        Some(rewritten) => ranges
            .into_iter()
            .map(|range| Piece { text: rewritten.get(range).map(|part| part.trim().to_owned()), ..piece.clone() })
            .collect(),
        None => ranges
            .into_iter()
            .map(|range| Piece {
                bytes: piece.bytes.start + range.start..piece.bytes.start + range.end,
                ..piece.clone()
            })
            .collect(),
    }
}

/// Ranges of whole lines that keep the limits; a line that alone is too long is cut between words.
fn by_lines(body: &str, overlap: Overlap, limits: &Limits) -> Vec<Range<usize>> {
    let target = limits.target_tokens;
    let mut lines: Vec<(Range<usize>, u32)> = Vec::new();
    let mut start = 0;
    for line in body.split_inclusive('\n') {
        by_words(body, start..start + line.len(), limits, &mut lines);
        start += line.len();
    }
    let mut ranges = Vec::new();
    let (mut first, mut count) = (0, 0u32);
    for (index, (_, counted)) in lines.iter().enumerate() {
        let full = count.saturating_add(*counted) > target || overlap == Overlap::Lines && index - first >= LINES;
        if full && index > first {
            ranges.push(span(&lines, first..index));
            first = if overlap == Overlap::Lines { again(&lines, first, index, *counted, target) } else { index };
            count = lines.get(first..index).unwrap_or_default().iter().map(|(_, counted)| counted).sum();
        }
        count = count.saturating_add(*counted);
    }
    if first < lines.len() {
        ranges.push(span(&lines, first..lines.len()));
    }
    ranges
}

/// The line that the next chunk begins with: at most ten back, and never so many that it could not grow.
fn again(lines: &[(Range<usize>, u32)], first: usize, end: usize, next: u32, target: u32) -> usize {
    let mut room = (target / 5).min(target.saturating_sub(next));
    let mut from = end;
    while from > first + 1 && end - from < LINES_REPEATED {
        let counted = lines.get(from - 1).map_or(u32::MAX, |(_, counted)| *counted);
        if counted > room {
            break;
        }
        room -= counted;
        from -= 1;
    }
    from
}

fn span(lines: &[(Range<usize>, u32)], which: Range<usize>) -> Range<usize> {
    let start = lines.get(which.start).map_or(0, |(range, _)| range.start);
    let end = which.end.checked_sub(1).and_then(|last| lines.get(last)).map_or(start, |(range, _)| range.end);
    start..end
}

/// A line as it is, or halved between words until each part keeps the target.
fn by_words(body: &str, range: Range<usize>, limits: &Limits, into: &mut Vec<(Range<usize>, u32)>) {
    let line = body.get(range.clone()).unwrap_or_default();
    let counted = if line.len() / 16 > limits.target_tokens as usize { u32::MAX } else { tokens(line) };
    if counted <= limits.target_tokens || line.chars().nth(1).is_none() {
        into.push((range, counted));
        return;
    }
    let middle = line.len() / 2;
    let at = line.char_indices().map(|(at, _)| at).find(|at| *at >= middle).unwrap_or(middle);
    // A space near the middle is the better place.
    let (before, after) = line.split_at_checked(at).unwrap_or((line, ""));
    let space = before.rfind(char::is_whitespace).filter(|space| at - space < 200);
    let at = space.and_then(|space| before.get(space..)?.chars().next().map(|c| space + c.len_utf8())).unwrap_or(at);
    let at = if at == 0 || at >= line.len() { line.len() - after.len() } else { at };
    by_words(body, range.start..range.start + at, limits, into);
    by_words(body, range.start + at..range.end, limits, into);
}

fn finish(path: &str, text: &str, grown: Vec<Growing>, overlap: Overlap) -> Vec<Chunk> {
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let line = |at: usize| starts.partition_point(|start| *start <= at) as u32;
    let mut ordinals: BTreeMap<String, usize> = BTreeMap::new();
    let mut chunks: Vec<Chunk> = Vec::new();
    for Growing { piece, symbols, .. } in grown {
        let place = piece.place.join(" > ");
        let cut_before = overlap == Overlap::Sentence && chunks.last().is_some_and(|last| last.place == place);
        let start = if cut_before { sentence_before(text, piece.bytes.start) } else { piece.bytes.start };
        let bytes = start..piece.bytes.end;
        let said = piece.text.unwrap_or_else(|| text.get(bytes.clone()).unwrap_or_default().to_owned());
        let ordinal = ordinals.entry(place.clone()).or_default();
        chunks.push(Chunk {
            prefix: prefix(path, &piece.place, &symbols),
            ordinal: *ordinal,
            lines: line(bytes.start)..line(bytes.end.saturating_sub(1).max(bytes.start)) + 1,
            tokens: tokens(&said),
            symbol: (!symbols.is_empty()).then(|| symbols.join(" ")),
            bytes,
            text: said,
            place,
        });
        *ordinal += 1;
    }
    chunks.retain(|chunk| !chunk.text.trim().is_empty());
    chunks
}

/// Path, place and what is defined, once each.
fn prefix(path: &str, place: &[String], symbols: &[String]) -> String {
    let mut prefix = path.to_owned();
    let own = symbols.iter().filter(|symbol| place.last() != Some(*symbol)).cloned().collect::<Vec<_>>().join(", ");
    for part in place.iter().map(String::as_str).chain(Some(own.as_str()).filter(|own| !own.is_empty())) {
        prefix.push_str(" > ");
        prefix.push_str(part);
    }
    prefix
}

/// Where the sentence before `at` begins, if it is short and of the same paragraph.
fn sentence_before(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    let body = before.trim_end();
    let paragraph = body.rfind("\n\n").map_or(0, |at| at + 2).max(body.rfind("\n#").map_or(0, |at| at + 1));
    let inside = body.get(paragraph..).unwrap_or_default();
    let ends = inside.char_indices().rev().skip(1).find(|(index, c)| {
        matches!(c, '.' | '!' | '?')
            && inside.get(index + c.len_utf8()..).is_some_and(|rest| rest.starts_with(char::is_whitespace))
    });
    let from = paragraph + ends.map_or(0, |(index, c)| index + c.len_utf8());
    let sentence = text.get(from..at).unwrap_or_default();
    let from = from + (sentence.len() - sentence.trim_start().len());
    let is_prose = sentence.trim_start().starts_with(|c: char| c.is_alphabetic());
    if is_prose && at - from <= SENTENCE_BYTES_MAX { from } else { at }
}

//! Where an OpenAPI description may be cut: between its operations, its schemas and its other parts.

use saphyr_parser::{Event, Parser};

use super::pack::Piece;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Values deeper than this are no description of an interface.
const DEPTH_MAX: usize = 128;

/// A mapping or a list that is being read.
struct Level {
    /// The key whose value is read now; lists have none.
    key: Option<String>,
    is_mapping: bool,
}

struct Mark {
    at: usize,
    path: Vec<String>,
    symbol: Option<String>,
}

/// The pieces, if the text is YAML or JSON.
pub(super) fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut levels: Vec<Level> = Vec::new();
    let mut offsets = Offsets { chars: text.char_indices().enumerate().peekable(), length: text.len() };
    for read in Parser::new_from_str(text) {
        let (event, span) = read.ok()?;
        match event {
            Event::MappingStart(..) => levels.push(Level { key: None, is_mapping: true }),
            Event::SequenceStart(..) => levels.push(Level { key: None, is_mapping: false }),
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                value_ended(&mut levels);
            }
            Event::Alias(_) => value_ended(&mut levels),
            Event::Scalar(value, ..) => match levels.last_mut().filter(|level| level.is_mapping && level.key.is_none())
            {
                Some(level) => {
                    level.key = Some(value.into_owned());
                    let path: Option<Vec<String>> = levels.iter().map(|level| level.key.clone()).collect();
                    if let Some(path) = path.filter(|path| begins(path)) {
                        let at = line_start(text, offsets.byte(span.start.index()));
                        marks.push(Mark { at, path, symbol: None });
                    }
                }
                None => {
                    if let (Some(mark), true) = (marks.last_mut(), names_operation(&levels)) {
                        mark.symbol = Some(value.into_owned());
                    }
                    value_ended(&mut levels);
                }
            },
            _ => {}
        }
        if levels.len() > DEPTH_MAX {
            return None;
        }
    }
    (!marks.is_empty()).then(|| between(text, marks))
}

fn value_ended(levels: &mut [Level]) {
    if let Some(level) = levels.last_mut() {
        level.key = None;
    }
}

/// Whether a piece begins at this key.
fn begins(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        [_] | ["paths" | "components" | "definitions" | "webhooks", _] | ["components", _, _] => true,
        ["paths" | "webhooks", _, method] => METHODS.contains(method),
        _ => false,
    }
}

fn names_operation(levels: &[Level]) -> bool {
    levels.len() == 4 && levels.last().and_then(|level| level.key.as_deref()) == Some("operationId")
}

fn between(text: &str, marks: Vec<Mark>) -> Vec<Piece> {
    let ends: Vec<usize> = marks.iter().skip(1).map(|mark| mark.at).chain([text.len()]).collect();
    let opens: Vec<bool> = marks
        .iter()
        .zip(marks.iter().skip(1).map(Some).chain([None]))
        .map(|(mark, next)| {
            next.is_some_and(|next| next.path.len() > mark.path.len() && next.path.starts_with(&mark.path))
        })
        .collect();
    let mut pieces = Vec::new();
    for (index, ((mark, end), opens)) in marks.into_iter().zip(ends).zip(opens).enumerate() {
        let mut place = mark.path;
        if let Some(method) = place.get_mut(2).filter(|method| METHODS.contains(&method.as_str())) {
            method.make_ascii_uppercase();
        }
        let schema = place.get(2).filter(|_| place.first().is_some_and(|top| top == "components")).cloned();
        // Short parts at the top, such as title and servers, share a chunk.
        let place = if place.len() == 1 && !opens { Vec::new() } else { place };
        let start = if index == 0 { 0 } else { mark.at };
        pieces.push(Piece { symbol: mark.symbol.or(schema), leads: opens, ..Piece::new(start..end, &place) });
    }
    pieces
}

fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    let bare = before.strip_suffix('"').unwrap_or(before);
    let trimmed = bare.trim_end_matches([' ', '\t']);
    if trimmed.is_empty() || trimmed.ends_with('\n') { trimmed.len() } else { bare.len() }
}

/// Bytes of places that are counted in characters and only go forward.
struct Offsets<I: Iterator<Item = (usize, (usize, char))>> {
    chars: std::iter::Peekable<I>,
    length: usize,
}

impl<I: Iterator<Item = (usize, (usize, char))>> Offsets<I> {
    fn byte(&mut self, character: usize) -> usize {
        while self.chars.next_if(|(count, _)| *count < character).is_some() {}
        self.chars.peek().map_or(self.length, |(_, (byte, _))| *byte)
    }
}

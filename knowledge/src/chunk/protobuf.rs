//! Where protocol buffers may be cut: between messages, enumerations, services and their methods, with their
//! comments.

use std::ops::Range;

use super::{Limits, pack::Piece, pack::tokens};

/// Deeper nesting is cut by lines.
const DEPTH_MAX: usize = 16;

pub(super) fn pieces(text: &str, limits: &Limits) -> Vec<Piece> {
    let mut pieces = Vec::new();
    split(text, 0..text.len(), &[], limits, &mut pieces);
    pieces
}

/// A statement with its comments, and what is between its braces.
struct Statement {
    bytes: Range<usize>,
    name: Option<String>,
    body: Option<Range<usize>>,
}

fn split(text: &str, range: Range<usize>, place: &[String], limits: &Limits, into: &mut Vec<Piece>) {
    for Statement { bytes, name, body } in statements(text, range) {
        let counted = tokens(text.get(bytes.clone()).unwrap_or_default());
        let Some(name) = name else {
            into.push(Piece::new(bytes, place));
            continue;
        };
        let own: Vec<String> = place.iter().cloned().chain([name.clone()]).collect();
        let symbol = Some(name);
        match body.filter(|_| counted > limits.target_tokens && place.len() < DEPTH_MAX) {
            Some(body) => {
                into.push(Piece { symbol, ..Piece::new(bytes.start..body.start, &own) });
                split(text, body.start..bytes.end, &own, limits, into);
            }
            None => into.push(Piece { symbol, ..Piece::new(bytes, &own) }),
        }
    }
}

/// The statements of a range, one behind the other without a gap.
fn statements(text: &str, range: Range<usize>) -> Vec<Statement> {
    let mut found: Vec<Statement> = Vec::new();
    let mut start = range.start;
    let mut scan = Scan { text, at: range.start, end: range.end };
    while let Some(statement) = scan.statement() {
        let end = scan.at;
        found.push(Statement { bytes: start..end, ..statement });
        start = end;
    }
    match found.last_mut() {
        Some(last) => last.bytes.end = range.end,
        None => found.push(Statement { bytes: range, name: None, body: None }),
    }
    found
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
    end: usize,
}

impl Scan<'_> {
    /// Goes behind the next statement. What follows it in its line is its own.
    fn statement(&mut self) -> Option<Statement> {
        let mut words: Vec<String> = Vec::new();
        let (mut depth, mut body) = (0usize, None);
        while let Some(rest) = self.text.get(self.at..self.end).filter(|rest| !rest.is_empty()) {
            let c = rest.chars().next()?;
            let step = match c {
                '/' if rest.starts_with("//") => rest.find('\n').map_or(rest.len(), |at| at + 1),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
                '"' | '\'' => quoted(rest, c),
                c if c.is_alphabetic() || c == '_' => {
                    let length =
                        rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.')).unwrap_or(rest.len());
                    if words.len() < 2 && depth == 0 {
                        words.push(rest.get(..length).unwrap_or_default().to_owned());
                    }
                    length
                }
                c => c.len_utf8(),
            };
            self.at += step;
            match c {
                '{' => {
                    body.get_or_insert(self.at..self.at);
                    depth += 1;
                }
                '}' if depth <= 1 => {
                    return (depth == 1).then(|| self.ended(&words, body));
                }
                '}' => depth -= 1,
                ';' if depth == 0 => return Some(self.ended(&words, body)),
                _ => {}
            }
        }
        None
    }

    fn ended(&mut self, words: &[String], body: Option<Range<usize>>) -> Statement {
        let body = body.map(|body| body.start..self.at.saturating_sub(1));
        let rest = self.text.get(self.at..self.end).unwrap_or_default();
        let line = rest.find('\n').map_or(rest, |at| rest.get(..=at).unwrap_or_default());
        if line.trim().is_empty() || line.trim_start().starts_with("//") {
            self.at += line.len();
        }
        let name = match words {
            [keyword, name] if matches!(keyword.as_str(), "message" | "enum" | "service" | "rpc" | "extend") => {
                Some(name.clone())
            }
            _ => None,
        };
        Statement { bytes: 0..0, name, body }
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote || c == '\n' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

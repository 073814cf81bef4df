//! Reads what was written, and says what must not stand in it.
//!
//! It is read as tokens and not as a tree: whatever reads a tree calls itself for each level, and a text of eight
//! kibibytes may have as many levels. What is no Rust beyond that the compiler says, in a process of its own.

use std::ops::Range;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use serde::{Deserialize, Serialize};

use super::words::{self, Place};
use crate::render::turns;

/// Longest source of the function and its helpers. **Units**: bytes.
pub const FUNCTION_BYTES_MAX: usize = 8 * 1024;
/// Longest source of the tests. **Units**: bytes.
pub const TEST_BYTES_MAX: usize = 8 * 1024;
/// Most tests.
pub const TESTS_MAX: usize = 8;

/// Deepest brackets. **Units**: levels.
const DEPTH_MAX: usize = 48;

/// The name of the function.
const FUNCTION: &str = "holds";

/// What an agent writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The function, and what it needs beside it.
    pub function: String,
    /// The tests.
    pub test: String,
}

/// A source that may be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The names of its tests.
    pub tests: Vec<String>,
    /// Where in the function's source its body stands, without the brackets.
    body: Range<usize>,
}

impl Checked {
    /// The same function with a body that gives this for everything.
    pub fn always(&self, source: &Source, gives: bool) -> String {
        let text = &source.function;
        let before = text.get(..self.body.start).unwrap_or_default();
        let after = text.get(self.body.end..).unwrap_or_default();
        format!("{before} {gives} {after}")
    }
}

/// A function or a constant.
struct Item {
    name: String,
    is_test: bool,
    /// Where the body of a function stands, without the brackets.
    body: Option<Range<usize>>,
}

/// Reads a source: `function` is one function with exactly this head, with helpers and constants beside it;
/// `test` is tests and helpers.
///
/// # Errors
/// Everything that must be different, in words for whoever wrote it.
pub fn check(source: &Source, signature: &str) -> Result<Checked, Vec<String>> {
    let mut mistakes = Vec::new();
    let function = tokens("function", &source.function, FUNCTION_BYTES_MAX, &mut mistakes);
    let test = tokens("test", &source.test, TEST_BYTES_MAX, &mut mistakes);
    let mut body = None;
    if let Some(function) = function {
        body = whole(&function, signature, &mut mistakes);
        words::check(Place::Function, &function, &mut mistakes);
    }
    let mut tests = Vec::new();
    if let Some(test) = test {
        tests = names(&test, &mut mistakes);
        words::check(Place::Test, &test, &mut mistakes);
    }
    mistakes.dedup();
    match body.filter(|_| mistakes.is_empty()) {
        Some(body) => Ok(Checked { tests, body }),
        None => Err(mistakes),
    }
}

/// The tokens of a source, when it can be read.
fn tokens(what: &str, text: &str, bytes_max: usize, mistakes: &mut Vec<String>) -> Option<TokenStream> {
    if text.len() > bytes_max {
        mistakes.push(format!("`{what}` has {} bytes; {bytes_max} are taken", text.len()));
        return None;
    }
    if text.chars().any(|letter| turns(letter) || (letter.is_control() && !matches!(letter, '\n' | '\t'))) {
        mistakes.push(format!("`{what}` holds letters that cannot be seen: write plain text"));
        return None;
    }
    if depth(text) > DEPTH_MAX {
        mistakes.push(format!("the brackets in `{what}` are deeper than {DEPTH_MAX} levels: write smaller functions"));
        return None;
    }
    match text.parse::<TokenStream>() {
        Ok(tokens) => Some(tokens),
        Err(error) => {
            let at = error.span().start();
            mistakes.push(format!("`{what}` is no Rust: line {}, column {}: {error}", at.line, at.column + 1));
            None
        }
    }
}

/// How deep brackets are, at most; those in texts and comments count too.
fn depth(text: &str) -> usize {
    let (mut now, mut deepest) = (0_usize, 0_usize);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => now += 1,
            b')' | b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(now);
    }
    deepest
}

/// The functions and constants of a source; anything else is told.
fn items(what: &str, stream: &TokenStream, mistakes: &mut Vec<String>) -> Vec<Item> {
    let mut tokens = stream.clone().into_iter().peekable();
    let (mut items, mut is_test) = (Vec::new(), false);
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Punct(point) if point.as_char() == '#' => {}
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                is_test |= group.stream().to_string() == "test";
            }
            TokenTree::Ident(word) if word == "pub" => {
                tokens.next_if(|next| matches!(next, TokenTree::Group(_)));
            }
            TokenTree::Ident(word) if word == "const" && tokens.peek().is_some_and(is_fn) => {}
            TokenTree::Ident(word) if word == "const" || word == "fn" => {
                let name = tokens.next().map(|name| name.to_string()).unwrap_or_default();
                let end = tokens.by_ref().find(|next| ends(next, word == "fn"));
                let body = match end {
                    Some(TokenTree::Group(body)) => {
                        Some(body.span_open().byte_range().end..body.span_close().byte_range().start)
                    }
                    _ => None,
                };
                items.push(Item { name, is_test: std::mem::take(&mut is_test), body });
            }
            _ => {
                mistakes.push(format!("`{what}` holds more than functions and constants: leave the rest out"));
                return items;
            }
        }
    }
    items
}

fn is_fn(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(word) if word == "fn")
}

/// Whether a function, or a constant, ends here.
fn ends(token: &TokenTree, is_function: bool) -> bool {
    match token {
        TokenTree::Group(group) => is_function && group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(point) => point.as_char() == ';',
        _ => false,
    }
}

/// Where the body of the one function stands.
fn whole(function: &TokenStream, signature: &str, mistakes: &mut Vec<String>) -> Option<Range<usize>> {
    let items = items("function", function, mistakes);
    let found: Vec<&Range<usize>> =
        items.iter().filter(|item| item.name == FUNCTION).filter_map(|item| item.body.as_ref()).collect();
    let [body] = found.as_slice() else {
        mistakes.push(format!("`function` has no function `{FUNCTION}`, or several: write one with `{signature}`"));
        return None;
    };
    let expected = signature.parse::<TokenStream>().unwrap_or_default().to_string();
    // What a function does not need begins with `_`, or the compiler warns.
    let given = function.to_string().replace("_now :", "now :");
    if !given.contains(&format!("{expected} {{")) {
        mistakes.push(format!("the head of `{FUNCTION}` is another one: write exactly `{signature}`"));
    }
    Some((*body).clone())
}

/// The names of the tests.
fn names(test: &TokenStream, mistakes: &mut Vec<String>) -> Vec<String> {
    let items = items("test", test, mistakes);
    let names: Vec<String> = items.into_iter().filter(|item| item.is_test).map(|item| item.name).collect();
    match names.len() {
        0 => mistakes.push("`test` has no function with `#[test]`".to_owned()),
        many if many > TESTS_MAX => mistakes.push(format!("`test` has {many} tests; {TESTS_MAX} are taken")),
        _ => {}
    }
    names
}

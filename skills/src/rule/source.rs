//! Reads what was written, and says what must not stand in it.
//!
//! The one door to `syn`: its items say of what a source consists, its tokens what it names.

use std::ops::Range;

use proc_macro2::TokenStream;
use serde::{Deserialize, Serialize};
use syn::{File, Item, ItemFn};

use super::words::{self, Place};
use crate::render::turns;

/// Longest source of the function and its helpers. **Units**: bytes.
pub const FUNCTION_BYTES_MAX: usize = 8 * 1024;
/// Longest source of the tests. **Units**: bytes.
pub const TEST_BYTES_MAX: usize = 8 * 1024;
/// Most tests.
pub const TESTS_MAX: usize = 8;

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

/// Reads a source: `function` is one function with exactly this head, with helpers and constants beside it;
/// `test` is tests and helpers.
///
/// # Errors
/// Everything that must be different, in words for whoever wrote it.
pub fn check(source: &Source, signature: &str) -> Result<Checked, Vec<String>> {
    let mut mistakes = Vec::new();
    let function = items("function", &source.function, FUNCTION_BYTES_MAX, &mut mistakes);
    let test = items("test", &source.test, TEST_BYTES_MAX, &mut mistakes);
    let body = function.and_then(|function| whole(&function, signature, &source.function, &mut mistakes));
    let tests = test.map(|test| tests(&test, &mut mistakes)).unwrap_or_default();
    words::check(Place::Function, &tokens(&source.function), &mut mistakes);
    words::check(Place::Test, &tokens(&source.test), &mut mistakes);
    mistakes.dedup();
    match body.filter(|_| mistakes.is_empty()) {
        Some(body) => Ok(Checked { tests, body }),
        None => Err(mistakes),
    }
}

fn tokens(text: &str) -> TokenStream {
    // What cannot be read was told already.
    text.parse().unwrap_or_default()
}

/// The items of a source, when it can be read.
fn items(what: &str, text: &str, bytes_max: usize, mistakes: &mut Vec<String>) -> Option<File> {
    if text.len() > bytes_max {
        mistakes.push(format!("`{what}` has {} bytes; {bytes_max} are taken", text.len()));
        return None;
    }
    if text.chars().any(|letter| turns(letter) || (letter.is_control() && !matches!(letter, '\n' | '\t'))) {
        mistakes.push(format!("`{what}` holds letters that cannot be seen: write plain text"));
        return None;
    }
    match syn::parse_str::<File>(text) {
        Ok(file) => {
            if file.shebang.is_some() || !file.attrs.is_empty() {
                mistakes.push(format!("`{what}` begins with an attribute of the whole file: leave it out"));
            }
            Some(file)
        }
        Err(error) => {
            let at = error.span().start();
            mistakes.push(format!("`{what}` is no Rust: line {}, column {}: {error}", at.line, at.column + 1));
            None
        }
    }
}

/// Where the body of the one function stands.
fn whole(file: &File, signature: &str, text: &str, mistakes: &mut Vec<String>) -> Option<Range<usize>> {
    let mut found: Vec<&ItemFn> = Vec::new();
    for item in &file.items {
        match item {
            Item::Fn(function) if function.sig.ident == FUNCTION => found.push(function),
            Item::Fn(_) | Item::Const(_) => {}
            _ => mistakes.push("`function` holds more than functions and constants: leave the rest out".to_owned()),
        }
    }
    let expected = tokens(signature).to_string();
    // What a function does not need begins with `_`, or the compiler warns.
    let given = tokens(text).to_string().replace("_now :", "now :");
    let [function] = found.as_slice() else {
        mistakes.push(format!("`function` has no function `{FUNCTION}`, or several: write one with `{signature}`"));
        return None;
    };
    if !given.contains(&format!("{expected} {{")) {
        mistakes.push(format!("the head of `{FUNCTION}` is another one: write exactly `{signature}`"));
    }
    let brackets = function.block.brace_token.span;
    Some(brackets.open().byte_range().end..brackets.close().byte_range().start)
}

/// The names of the tests.
fn tests(file: &File, mistakes: &mut Vec<String>) -> Vec<String> {
    let mut names = Vec::new();
    for item in &file.items {
        match item {
            Item::Fn(function) => {
                if function.attrs.iter().any(|attribute| attribute.path().is_ident("test")) {
                    names.push(function.sig.ident.to_string());
                }
            }
            Item::Const(_) => {}
            _ => mistakes.push("`test` holds more than functions and constants: leave the rest out".to_owned()),
        }
    }
    match names.len() {
        0 => mistakes.push("`test` has no function with `#[test]`".to_owned()),
        many if many > TESTS_MAX => mistakes.push(format!("`test` has {many} tests; {TESTS_MAX} are taken")),
        _ => {}
    }
    names
}

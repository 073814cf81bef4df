//! What a written source may name: itself, the record, and the parts of the standard library that reach nothing.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Where a source will stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the product.
    Function,
    /// Among its tests.
    Test,
}

/// Parts of the standard library that reach nothing outside.
const PARTS: &[&str] = &[
    "ascii",
    "borrow",
    "char",
    "cmp",
    "collections",
    "convert",
    "iter",
    "num",
    "ops",
    "option",
    "result",
    "slice",
    "str",
    "string",
    "vec",
];

/// Names that a path may begin with beside types: those of primitive types.
const PRIMITIVES: &[&str] = &[
    "bool", "char", "f32", "f64", "i128", "i16", "i32", "i64", "i8", "isize", "str", "u128", "u16", "u32", "u64", "u8",
    "usize",
];

/// Words that do more than a pure function needs.
const REFUSED: &[&str] = &[
    "async",
    "crate",
    "extern",
    "impl",
    "include",
    "macro_rules",
    "mod",
    "self",
    "static",
    "super",
    "trait",
    "unsafe",
    "use",
];

/// What would end a product's request with a panic.
const PANICS: &[&str] = &["unwrap", "expect", "unwrap_err", "expect_err"];

/// Macros that reach nothing.
const MACROS: &[&str] = &["format", "matches", "vec"];
/// Macros of tests.
const TEST_MACROS: &[&str] = &["assert", "assert_eq", "assert_ne"];

/// Words before which brackets or a `!` mean something else than after a name.
const KEYWORDS: &[&str] = &["break", "else", "if", "in", "let", "match", "move", "mut", "ref", "return", "while"];

/// Says of everything that must not stand there why.
pub(super) fn check(place: Place, stream: &TokenStream, mistakes: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = stream.clone().into_iter().collect();
    let where_ = if place == Place::Function { "function" } else { "test" };
    let mut say = |what: String| mistakes.push(format!("`{where_}`: {what}"));
    for (at, token) in tokens.iter().enumerate() {
        let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at));
        let after = |on: usize| tokens.get(at + on);
        match token {
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                if let Some(why) = refused(place, name.trim_start_matches("r#")) {
                    say(why);
                }
                if is_macro(&name, after(1), after(2)) && !macros(place).contains(&name.as_str()) {
                    say(format!("the macro `{name}!` is not taken; those are: {}", macros(place).join(", ")));
                }
                let is_root = !(is(before(1), ':') && is(before(2), ':'));
                let is_path = is(after(1), ':') && is(after(2), ':') && !is(after(3), '<');
                if is_root
                    && is_path
                    && let Some(why) = root(&name, after(3))
                {
                    say(why);
                }
            }
            TokenTree::Punct(point) if point.as_char() == ':' && is(after(1), ':') && !is(before(1), ':') => {
                let named = matches!(before(1), Some(TokenTree::Ident(ident)) if !KEYWORDS.contains(&ident.to_string().as_str()));
                if !named && !is(before(1), '>') {
                    say("a path begins with `::`: name what is given, or `std`".to_owned());
                }
            }
            TokenTree::Punct(point) if point.as_char() == '#' => {
                if let Some(why) = attribute(place, after(1)) {
                    say(why);
                }
            }
            TokenTree::Group(group) if place == Place::Function && indexes(group.delimiter(), before(1)) => {
                say("`[…]` after a value panics when there is nothing: use `.get(…)` or an iterator".to_owned());
            }
            _ => {}
        }
    }
    for (at, token) in tokens.iter().enumerate() {
        // `pub(super)` stands in the head that was given.
        let is_visibility = |before: &TokenTree| matches!(before, TokenTree::Ident(ident) if ident == "pub");
        if let TokenTree::Group(group) = token
            && !at.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(is_visibility)
        {
            check(place, &group.stream(), mistakes);
        }
    }
}

fn is(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(point)) if point.as_char() == sign)
}

fn refused(place: Place, name: &str) -> Option<String> {
    if REFUSED.contains(&name) {
        return Some(format!("`{name}` is not taken: write plain functions that need no more than what is given"));
    }
    (place == Place::Function && PANICS.contains(&name))
        .then(|| format!("`{name}` may panic: decide what the rule says of such a record"))
}

fn macros(place: Place) -> Vec<&'static str> {
    let own: &[&str] = if place == Place::Test { TEST_MACROS } else { &[] };
    [MACROS, own].concat()
}

fn is_macro(name: &str, next: Option<&TokenTree>, then: Option<&TokenTree>) -> bool {
    is(next, '!') && matches!(then, Some(TokenTree::Group(_))) && !KEYWORDS.contains(&name)
}

/// Why a path may not begin so.
fn root(name: &str, next: Option<&TokenTree>) -> Option<String> {
    if matches!(name, "std" | "core") {
        let part = match next {
            Some(TokenTree::Ident(part)) => part.to_string(),
            _ => String::new(),
        };
        return (!PARTS.contains(&part.as_str())).then(|| {
            format!("`{name}::{part}` is not taken: a rule reaches nothing outside; taken are: {}", PARTS.join(", "))
        });
    }
    let is_type = name.starts_with(|first: char| first.is_ascii_uppercase());
    (!is_type && !PRIMITIVES.contains(&name)).then(|| format!("`{name}::…` is not taken: name what is given, or `std`"))
}

/// Why an attribute is not taken.
fn attribute(place: Place, next: Option<&TokenTree>) -> Option<String> {
    let Some(TokenTree::Group(group)) = next else {
        return Some("an attribute of the whole file is not taken: leave it out".to_owned());
    };
    let text = group.stream().to_string();
    let is_taken = text.starts_with("doc =") || (place == Place::Test && text == "test");
    (!is_taken).then(|| format!("the attribute `#[{text}]` is not taken: leave it out"))
}

/// Whether brackets after this take a part of a value.
fn indexes(delimiter: Delimiter, before: Option<&TokenTree>) -> bool {
    delimiter == Delimiter::Bracket
        && match before {
            Some(TokenTree::Ident(ident)) => !KEYWORDS.contains(&ident.to_string().as_str()),
            Some(TokenTree::Group(group)) => group.delimiter() != Delimiter::Brace,
            _ => false,
        }
}

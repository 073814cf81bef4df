//! What a written rule may hold, and what is told of one that may not.

use super::{Source, check, failed_tests, unbuilt};
use crate::product::cargo::{Broken, Tests};

const SIGNATURE: &str = "pub(super) fn holds(book: &Book, now: &str) -> bool";

const FUNCTION: &str = "const LEAST: usize = 3;

/// Long enough.
pub(super) fn holds(book: &Book, now: &str) -> bool {
    if !(now.is_empty()) && matches!(book.state, State::Lent | State::Lost) {
        return letters(&book.title).len() >= LEAST;
    }
    book.title.chars().map(u32::from).sum::<u32>() > 0 && std::cmp::max(1, 2) == 2
}

fn letters(text: &str) -> Vec<char> {
    let [first, second] = ['a', 'b'];
    text.chars().filter(|letter| *letter != first && *letter != second).collect::<Vec<_>>()
}";

const TEST: &str = "const NOW: &str = \"2026-01-31T14:00\";

#[test]
fn short_titles_are_refused() {
    let mut book = plain();
    book.title = \"x\".to_owned();
    assert!(!holds(&book, NOW), \"{}\", [1, 2][0]);
}

#[test]
fn long_titles_are_taken() {
    assert_eq!(holds(&plain(), NOW), true);
}";

fn source(function: &str, test: &str) -> Source {
    Source { function: function.to_owned(), test: test.to_owned() }
}

#[test]
fn a_pure_function_with_helpers_and_tests_is_taken() {
    let source = source(FUNCTION, TEST);
    let checked = check(&source, SIGNATURE).unwrap_or_else(|mistakes| panic!("{}", mistakes.join("\n")));
    assert_eq!(checked.tests, ["short_titles_are_refused", "long_titles_are_taken"]);
    let always = checked.always(&source, true);
    assert!(always.contains("-> bool { true }\n\nfn letters"), "{always}");
    assert_eq!(check(&Source { function: always, ..source }, SIGNATURE).unwrap().tests, checked.tests);
}

#[test]
fn what_must_not_stand_in_a_function_is_told() {
    let body = |body: &str| format!("pub(super) fn holds(book: &Book, now: &str) -> bool {{ {body} }}");
    for (function, part) in [
        (body("true)"), "`function` is no Rust: line 1"),
        (body("unsafe { true }"), "`unsafe` is not taken"),
        (body("std::fs::read(\"x\").is_ok()"), "`std::fs` is not taken"),
        (body("std::{fs::read}; true"), "`std::` is not taken"),
        (body("use std::net as n; true"), "`use` is not taken"),
        (body("::std::fs::read(\"x\").is_ok()"), "begins with `::`"),
        (body("getrandom::fill(&mut []).is_ok()"), "`getrandom::…` is not taken"),
        (body("crate::PRODUCT.name.is_empty()"), "`crate` is not taken"),
        (body("include_str!(\"x\").is_empty()"), "the macro `include_str!` is not taken"),
        (body("env!(\"HOME\").is_empty()"), "the macro `env!` is not taken"),
        (body("(|| { option_env!(\"HOME\").is_some() })()"), "the macro `option_env!` is not taken"),
        (body("println!() == ()"), "the macro `println!` is not taken"),
        (body("extern \"C\" { fn x(); } true"), "`extern` is not taken"),
        (body("book.title.chars().next().unwrap() == 'x'"), "`unwrap` may panic"),
        (body("book.title.as_bytes()[0] == 1"), "use `.get(…)`"),
        (body("#[cfg(test)] return true; false"), "the attribute `#[cfg (test)]` is not taken"),
        ("#![allow(warnings)] fn x() {}".to_owned(), "attribute of the whole file"),
        ("mod x { pub fn y() {} }".to_owned(), "more than functions and constants"),
        (body(&format!("{}true{}", "(".repeat(50), ")".repeat(50))), "deeper than 48 levels"),
        ("struct X;".to_owned(), "more than functions and constants"),
        ("fn other() {}".to_owned(), "has no function `holds`"),
        ("fn holds(book: &Book) -> bool { true }".to_owned(), "the head of `holds` is another one"),
        (body(&"x".repeat(9_000)), "8192 are taken"),
        (body("\"\u{202e}\".is_empty()"), "cannot be seen"),
    ] {
        let told = check(&source(&function, TEST), SIGNATURE).unwrap_err();
        assert!(told.iter().any(|one| one.contains(part)), "{function}: {told:#?}");
    }
}

/// Whoever reads such a text as a tree calls itself for each sign.
#[test]
fn a_text_that_is_deep_without_brackets_ends_nothing() {
    let body = format!("pub(super) fn holds(book: &Book, now: &str) -> bool {{ {}true }}", "!".repeat(8_000));
    assert!(check(&source(&body, TEST), SIGNATURE).is_ok(), "the compiler says what it thinks of it");
}

#[test]
fn a_test_that_is_switched_off_or_missing_is_told() {
    for (test, part) in [
        ("fn nothing() {}", "no function with `#[test]`"),
        ("#[test] #[ignore] fn x() { assert!(true) }", "the attribute `#[ignore]` is not taken"),
        ("#[test] #[should_panic] fn x() { assert!(false) }", "`#[should_panic]` is not taken"),
        ("#[cfg(unix)] #[test] fn x() {}", "`#[cfg (unix)]` is not taken"),
        ("#[test] fn x() { std::process::exit(0) }", "`std::process` is not taken"),
        ("#[test] fn x() { panic!() }", "the macro `panic!` is not taken"),
    ] {
        let told = check(&source(FUNCTION, test), SIGNATURE).unwrap_err();
        assert!(told.iter().any(|one| one.contains(part)), "{test}: {told:#?}");
    }
}

#[test]
fn the_same_failure_is_told_in_the_same_words_everywhere() {
    let said = "\nthread 'book::rules::x::tests::y' (4711) panicked at app/src/book/rules/x.rs:9:5:\nassertion failed: \
                holds(&book, NOW)\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
    let mut tests = Tests::default();
    tests.broken = vec![Broken { name: "book::rules::x::tests::y".to_owned(), said: said.to_owned() }];
    assert_eq!(failed_tests(&tests), "the test `y` fails: assertion failed: holds(&book, NOW)");
    let errors = "error[E0308]: mismatched types\n --> app/src/x.rs:1:2\nerror: could not compile `app` (lib test)";
    assert_eq!(unbuilt(errors), "it does not compile:\nerror[E0308]: mismatched types\n --> app/src/x.rs:1:2");
}

//! What cargo said of a written rule, as its author needs it.
//!
//! The same failure is told in the same words on every machine, as far as that lies with us: what is told becomes
//! part of the next request, and a cassette is found by it.

use crate::product::cargo::Tests;

/// Longest text of a compiler's errors. **Units**: bytes.
const ERRORS_BYTES_MAX: usize = 6 * 1024;

/// What the tests that failed said.
pub fn failed_tests(tests: &Tests) -> String {
    let mut broken: Vec<_> = tests.broken.iter().collect();
    broken.sort_by(|left, right| left.name.cmp(&right.name));
    let told: Vec<String> = broken
        .iter()
        .map(|broken| {
            let name = broken.name.rsplit("::").next().unwrap_or_default();
            let said = broken.said.lines().take_while(|line| *line != "stack backtrace:");
            let said: Vec<&str> = said.filter(|line| !is_noise(line)).collect();
            format!("the test `{name}` fails: {}", said.join(" "))
        })
        .collect();
    told.join("\n")
}

/// Threads have numbers, and the note says how to see more of them.
fn is_noise(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with("thread '") || line.starts_with("note: run with `RUST_BACKTRACE")
}

/// What the compiler said.
pub fn unbuilt(errors: &str) -> String {
    let useful =
        |line: &&str| !line.starts_with("error: could not compile") && !line.starts_with("For more information");
    let lines: Vec<&str> = errors.lines().filter(useful).collect();
    let mut text = lines.join("\n");
    text.truncate(text.floor_char_boundary(ERRORS_BYTES_MAX));
    format!("it does not compile:\n{}", text.trim_end())
}

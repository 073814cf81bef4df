//! What `cargo test` prints, read: which tests passed, which did not, and what those said.

use serde::{Deserialize, Serialize};

/// What a broken test said is kept up to here. **Units**: bytes.
const SAID_BYTES_MAX: usize = 1024;

/// Broken tests whose words are kept.
const BROKEN_MAX: usize = 10;

/// Names of passed tests that are kept.
const NAMES_MAX: usize = 200;

/// The tests of one run of cargo, over all its binaries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tests {
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Left out by their authors.
    pub ignored: u64,
    /// Names of those that passed, at most 200.
    pub names: Vec<String>,
    /// Those that failed, at most 10.
    pub broken: Vec<Broken>,
    /// The test whose words are being read.
    #[serde(skip)]
    speaking: Option<usize>,
}

/// A test that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Broken {
    /// Its name.
    pub name: String,
    /// What it said.
    pub said: String,
}

impl Tests {
    /// Reads a line of standard output.
    pub(super) fn line(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.speaking = self.broken.iter().position(|broken| broken.name == name);
        } else if line == "failures:" || line.starts_with("test result:") {
            self.speaking = None;
        } else if let Some((name, outcome)) = outcome(line) {
            self.count(name, outcome);
        } else if let Some(broken) = self.speaking.and_then(|index| self.broken.get_mut(index))
            && broken.said.len() + line.len() < SAID_BYTES_MAX
        {
            broken.said.push_str(line);
            broken.said.push('\n');
        }
    }

    fn count(&mut self, name: &str, outcome: Outcome) {
        match outcome {
            Outcome::Passed => {
                self.passed += 1;
                if self.names.len() < NAMES_MAX {
                    self.names.push(name.to_owned());
                }
            }
            Outcome::Ignored => self.ignored += 1,
            Outcome::Failed => {
                self.failed += 1;
                if self.broken.len() < BROKEN_MAX {
                    self.broken.push(Broken { name: name.to_owned(), said: String::new() });
                }
            }
        }
    }
}

enum Outcome {
    Passed,
    Failed,
    Ignored,
}

/// `test a::b ... ok`; a name may hold spaces (doc tests: `src/lib.rs - a (line 3)`).
fn outcome(line: &str) -> Option<(&str, Outcome)> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let outcome = match outcome.split([',', ' ']).next()? {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed,
        "ignored" => Outcome::Ignored,
        _ => return None,
    };
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    Some((name, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libtest_prints_is_counted_over_all_binaries() {
        let printed = "
running 3 tests
test rules::a_ticket_needs_an_owner ... ok
test walk ... FAILED
test slow ... ignored, takes long

failures:

---- walk stdout ----

thread 'walk' panicked at app/src/walk.rs:7:5:
tenant B saw it
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

failures:
    walk

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 1 test
test src/lib.rs - add (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let mut tests = Tests::default();
        printed.lines().for_each(|line| tests.line(line));
        assert_eq!((tests.passed, tests.failed, tests.ignored), (2, 1, 1));
        assert_eq!(tests.names, ["rules::a_ticket_needs_an_owner", "src/lib.rs - add (line 3)"]);
        assert_eq!(tests.broken.len(), 1);
        assert!(tests.broken[0].said.contains("tenant B saw it"), "{:?}", tests.broken);
        assert!(!tests.broken[0].said.contains("test result"));
    }
}

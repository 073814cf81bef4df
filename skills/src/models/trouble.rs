//! What went wrong on the way to an answer, before it becomes a failure that others see.

use std::time::Duration;

use serde_json::Value;

use super::{Fault, chat::Usage};
use crate::contract::Failure;

/// What went wrong, and what had been received by then.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trouble {
    pub(super) fault: Fault,
    pub(super) message: String,
    pub(super) after: Option<Duration>,
    pub(super) lost: Option<Usage>,
    pub(super) details: Value,
}

impl Trouble {
    pub(super) fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), after: None, lost: None, details: Value::Null }
    }

    /// The same, after this much had been received that is paid for.
    pub(super) fn losing(mut self, usage: Usage) -> Self {
        self.lost = Some(usage);
        self
    }

    /// The failure that the entity is told; `key` is struck out of what the other side said.
    pub(super) fn failure(&self, key: &str) -> Failure {
        let failure = self.fault.failure(strike(&self.message, key)).with(self.details.clone());
        match self.after {
            Some(delay) => failure.after(delay),
            None => failure,
        }
    }
}

/// What must never leave: some endpoints repeat the key that they refuse.
fn strike(message: &str, key: &str) -> String {
    let struck = if key.is_empty() { message.to_owned() } else { message.replace(key, "…") };
    if struck.contains("sk-") || struck.contains("Bearer ") { words_struck(&struck) } else { struck }
}

fn words_struck(message: &str) -> String {
    let is_key = |word: &str| word.contains("sk-") && word.len() > 8;
    let mut after_bearer = false;
    let words = message.split(' ').map(|word| {
        let hide = is_key(word) || after_bearer;
        after_bearer = word.ends_with("Bearer");
        if hide { "…" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_the_other_side_repeats_goes_no_further() {
        let said = "incorrect key `very-secret`, sent as Bearer other-secret or \"sk-abcdefghij\"";
        let failure = Trouble::new(Fault::Unauthorized, said).failure("very-secret");
        for part in ["very-secret", "other-secret", "abcdefghij"] {
            assert!(!failure.to_string().contains(part), "{failure}");
        }
        assert!(failure.message.starts_with("incorrect key `…`"), "{failure}");
    }
}

//! `rule.check`: whether what an agent wrote of a rule may be built at all.

use std::sync::Arc;

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    sentences::{Rendering, checked},
    workshop::Workshop,
};
use crate::{
    contract::{Call, Failure, FailureClass, Manifest, Permission, Skill},
    rule::{FUNCTION_BYTES_MAX, Source, TEST_BYTES_MAX},
};

/// What a check is given: what the agent gives, and what it was given.
#[derive(Deserialize)]
pub(super) struct Input {
    pub(super) output: Source,
    pub(super) input: Asked,
}

/// The rule that the agent was asked for.
#[derive(Deserialize)]
pub(super) struct Asked {
    pub(super) product: String,
    pub(super) rule: String,
}

/// The schema of [`Source`].
pub(super) fn source() -> Value {
    json!({
        "type": "object",
        "required": ["function", "test"],
        "additionalProperties": false,
        "properties": {
            "function": {"type": "string", "minLength": 1, "maxLength": FUNCTION_BYTES_MAX},
            "test": {"type": "string", "minLength": 1, "maxLength": TEST_BYTES_MAX},
        },
    })
}

/// The schema of [`Input`].
pub(super) fn input() -> Value {
    json!({
        "type": "object",
        "required": ["output", "input"],
        "properties": {
            "output": source(),
            "input": {
                "type": "object",
                "required": ["product", "rule"],
                "properties": {"product": {"type": "string"}, "rule": {"type": "string"}},
            },
        },
    })
}

/// An input for examples.
pub(super) fn example() -> Value {
    json!({
        "output": {
            "function": "pub(super) fn holds(book: &Book, now: &str) -> bool {\n    book.pages > 0\n}",
            "test": "#[test]\nfn a_book_without_pages_is_refused() {\n    …\n}",
        },
        "input": {"product": "library", "rule": "a_book_has_pages"},
    })
}

pub(super) struct RuleCheck {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl RuleCheck {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "rule.check",
            "Reads a rule that an agent wrote in Rust: a pure function with the head that the template gives, helpers, \
             and tests. What reaches outside, may panic or switches a test off is refused.",
        )
        .takes(input())
        .gives(json!({
            "type": "object",
            "required": ["tests"],
            "properties": {"tests": {"type": "array", "items": {"type": "string"}}},
        }))
        .fails(&[FailureClass::Validation, FailureClass::External])
        .needs(&[Permission::Files])
        .example_in_a_run(
            "a rule with one test",
            example(),
            json!({"tests": ["a_book_without_pages_is_refused"]}),
        );
        Self { manifest, workshop }
    }

    fn work(&self, call: &Call) -> Result<Value, Failure> {
        let input: Input = call.input()?;
        let layout = self.workshop.layout(call, &input.input.product)?;
        let rendering = Rendering::latest(&layout)?;
        let checked = checked(&input.output, rendering.sentence(&input.input.rule)?)?;
        Ok(json!({"tests": checked.tests}))
    }
}

impl Skill for RuleCheck {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move { self.work(&call) })
    }
}

//! What a skill says of itself.

use std::time::Duration;

use mesh_proto::{
    json::to_value,
    v1::{self, SkillEffect, SkillExample, skill_example::Gives},
};
use serde_json::Value;

/// What a skill says of itself; it is registered under its name and version, and a version never changes.
#[derive(Debug, Clone)]
pub struct Skill(pub(crate) v1::Skill);

impl Skill {
    /// A skill that changes nothing outside: the same input gives the same output.
    pub fn pure(name: &str, version: &str, description: &str) -> Self {
        Self::new(name, version, description, SkillEffect::Pure)
    }

    /// A skill whose second call with the same key changes nothing more than the first.
    pub fn idempotent(name: &str, version: &str, description: &str) -> Self {
        Self::new(name, version, description, SkillEffect::Idempotent)
    }

    /// A skill of which each call may change something outside.
    pub fn at_least_once(name: &str, version: &str, description: &str) -> Self {
        Self::new(name, version, description, SkillEffect::AtLeastOnce)
    }

    fn new(name: &str, version: &str, description: &str, effect: SkillEffect) -> Self {
        Self(v1::Skill {
            name: name.to_owned(),
            version: version.to_owned(),
            description: description.to_owned(),
            effect: effect.into(),
            ..v1::Skill::default()
        })
    }

    /// The JSON Schema of the input; anything is taken without one.
    #[must_use]
    pub fn takes(mut self, schema: Value) -> Self {
        self.0.input_schema = Some(to_value(&schema));
        self
    }

    /// The JSON Schema of the output; anything is taken without one.
    #[must_use]
    pub fn gives(mut self, schema: Value) -> Self {
        self.0.output_schema = Some(to_value(&schema));
        self
    }

    /// How long a call may take when the step does not say, with the wait for a worker; a minute without it.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout.try_into().ok();
        self
    }

    /// How it may fail: `validation`, `external`, `timeout`, `resource`.
    #[must_use]
    pub fn fails(mut self, classes: &[&str]) -> Self {
        self.0.failure_classes = classes.iter().map(|class| (*class).to_owned()).collect();
        self
    }

    /// A call that shows it, and runs as a test by `mesh skills test`: the output has at least these fields.
    #[must_use]
    pub fn example(mut self, title: &str, input: Value, output: Value) -> Self {
        self.0.examples.push(SkillExample {
            title: title.to_owned(),
            input: Some(to_value(&input)),
            gives: Some(Gives::Output(to_value(&output))),
            alone: true,
        });
        self
    }
}

//! What a skill says of itself.

use std::time::Duration;

use mesh_proto::{
    json::to_value,
    v1::{self, Classification, SkillEffect, SkillExample, skill_example::Gives},
};
use serde_json::Value;

/// How narrow content may be that a skill is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceiling {
    /// What anyone may see.
    Public,
    /// What anyone in the tenant may see.
    Internal,
    /// What named roles may see.
    Confidential,
    /// What named persons may see.
    Restricted,
}

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

    /// A failure that callers can count on by its code, such as `shop.no-stock`; its class counts as declared.
    #[must_use]
    pub fn fails_with(mut self, code: &str, class: &str, description: &str) -> Self {
        let [code, failure_class, description] = [code, class, description].map(str::to_owned);
        self.0.failures.push(v1::SkillFailure { code, failure_class, description });
        self
    }

    /// What it is about; the first part of its name without it.
    #[must_use]
    pub fn category(mut self, category: &str) -> Self {
        category.clone_into(&mut self.0.category);
        self
    }

    /// What it must be allowed to do: `files`, `processes`, `loopback`, `network`.
    #[must_use]
    pub fn needs(mut self, permissions: &[&str]) -> Self {
        self.0.permissions = permissions.iter().map(|permission| (*permission).to_owned()).collect();
        self
    }

    /// Servers that it may reach: `api.example.com`, `*.example.com`. Declared; the node does not hold it to it yet.
    #[must_use]
    pub fn reaches(mut self, hosts: &[&str]) -> Self {
        self.0.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        self
    }

    /// Files that it reads, below its working folder. Declared; the node does not hold it to it yet.
    #[must_use]
    pub fn reads(self, path: &str) -> Self {
        self.touches(path, false)
    }

    /// Files that it writes, below its working folder. Declared; the node does not hold it to it yet.
    #[must_use]
    pub fn writes(self, path: &str) -> Self {
        self.touches(path, true)
    }

    fn touches(mut self, path: &str, write: bool) -> Self {
        self.0.files.push(v1::SkillFileScope { path: path.to_owned(), write });
        self
    }

    /// The narrowest content that it may be given; [`Ceiling::Internal`] without it.
    #[must_use]
    pub fn ceiling(mut self, ceiling: Ceiling) -> Self {
        self.0.ceiling = match ceiling {
            Ceiling::Public => Classification::Public,
            Ceiling::Internal => Classification::Internal,
            Ceiling::Confidential => Classification::Confidential,
            Ceiling::Restricted => Classification::Restricted,
        }
        .into();
        self
    }

    /// Its effects may be set off by what came in from outside; without it only by what is trusted.
    #[must_use]
    pub fn accepts_tainted(mut self) -> Self {
        self.0.accepts = v1::SkillAccepts::Tainted.into();
        self
    }

    /// What it gives may have been written outside: whoever has read it is tainted.
    #[must_use]
    pub fn returns_tainted(mut self) -> Self {
        self.0.returns = v1::SkillReturns::Tainted.into();
        self
    }

    /// Nobody outside has written what it gives, although it may talk to servers anywhere.
    #[must_use]
    pub fn returns_trusted(mut self) -> Self {
        self.0.returns = v1::SkillReturns::Trusted.into();
        self
    }

    /// Most calls of the tenant that a node has done at once, over all workers; others wait for their turn.
    #[must_use]
    pub fn at_most(mut self, calls: u32) -> Self {
        self.0.resources.get_or_insert_default().concurrent_max = calls;
        self
    }

    /// Most calls of the tenant in a time, of which `burst` may come at once; others wait for their time.
    #[must_use]
    pub fn at_rate(mut self, calls: u32, per: Duration, burst: u32) -> Self {
        let per = per.try_into().ok();
        self.0.resources.get_or_insert_default().rate = Some(v1::SkillRate { calls, per, burst });
        self
    }

    /// Most memory of a call, in bytes. Declared; the node does not hold it to it yet.
    #[must_use]
    pub fn memory_max(mut self, bytes: u64) -> Self {
        self.0.resources.get_or_insert_default().memory_max = bytes;
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

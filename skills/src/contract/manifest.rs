//! What a skill says of itself before anyone calls it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Accepts, Ceiling, FailureClass, FailureCode, FileScope, Instructions, McpTool, Rate, Resources, Returns,
    rate::milliseconds,
};

/// What calling a skill twice with the same key does to the outside world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing outside changes; the same input gives the same output.
    Pure,
    /// The second call with the same key changes nothing more than the first.
    Idempotent,
    /// Each call may change something: the receiver tells repeats by the key.
    AtLeastOnce,
}

/// What a skill must be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// Reads and writes files in the tenant's own part of the data folder.
    Files,
    /// Starts processes.
    Processes,
    /// Talks to servers on this machine.
    Loopback,
    /// Talks to servers anywhere.
    Network,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 4] = [Self::Files, Self::Processes, Self::Loopback, Self::Network];

    /// The permission as manifests spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Processes => "processes",
            Self::Loopback => "loopback",
            Self::Network => "network",
        }
    }
}

/// A call that shows what the skill does. Those that need nothing around them run as tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// What it shows, in a few words.
    pub title: String,
    /// What the skill is called with.
    pub input: Value,
    /// What comes of it.
    pub gives: Gives,
    /// Whether it can be run with nothing around it; a product's steps need those before them.
    pub alone: bool,
}

/// What comes of an example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Gives {
    /// An output that has at least these fields with these values.
    Output(Value),
    /// A failure of this class.
    Failure(FailureClass),
}

impl Gives {
    /// Whether this came of it: an output that has at least what is said, or a failure of the class.
    pub fn fits(&self, came: Result<&Value, FailureClass>) -> bool {
        match (self, came) {
            (Self::Output(part), Ok(whole)) => holds(whole, part),
            (Self::Failure(class), Err(came)) => *class == came,
            _ => false,
        }
    }
}

/// Whether `whole` has at least what `part` has.
pub fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|found| holds(found, value)))
        }
        _ => whole == part,
    }
}

/// What a skill says of itself: name, schemas, what it needs and how it may fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// `area.verb`, unique in the node: `repository.commit`.
    pub name: String,
    /// Semantic version: raised when the meaning of input or output changes.
    pub version: String,
    /// What it does, in a sentence.
    pub description: String,
    /// JSON Schema of the input.
    pub input: Value,
    /// JSON Schema of the output.
    pub output: Value,
    /// What a second call with the same key does.
    pub effect: Effect,
    /// How long it may take when the step does not say.
    #[serde(rename = "timeoutMs", with = "milliseconds")]
    pub timeout: Duration,
    /// It answers at once and waits for nothing: it is called without a task and a clock of its own.
    pub is_instant: bool,
    /// How it may fail, beside cancelled and internal, which every skill may.
    pub failures: Vec<FailureClass>,
    /// What it must be allowed to do.
    pub permissions: Vec<Permission>,
    /// Calls that show it.
    pub examples: Vec<Example>,
    /// What it is about; the first part of its name when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Servers that it may reach: `api.example.com`, `*.example.com`, with a port when it is one. Declared for
    /// people and policies; nothing holds a skill to it yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Files that it may touch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileScope>,
    /// The narrowest content that it may be given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ceiling: Ceiling,
    /// What may set off its effects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub accepts: Accepts,
    /// Who has written what it gives; see [`Manifest::brings_taint`] for when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Returns>,
    /// Failures that callers can count on by their codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_codes: Vec<FailureCode>,
    /// What it takes of machines.
    #[serde(default, skip_serializing_if = "Resources::is_default")]
    pub resources: Resources,
    /// It is read and not called: this is what it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<Instructions>,
    /// It is a tool of an MCP server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<Box<McpTool>>,
}

/// INVARIANT: what is not said is not written, so that a manifest of before has the digest that it had.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Manifest {
    /// A pure skill without schemas that takes at most a minute; the rest is said with the methods
    /// below.
    pub fn new(name: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            description: description.to_owned(),
            input: Value::Bool(true),
            output: Value::Bool(true),
            effect: Effect::Pure,
            timeout: Duration::from_secs(60),
            is_instant: false,
            failures: Vec::new(),
            permissions: Vec::new(),
            examples: Vec::new(),
            category: None,
            hosts: Vec::new(),
            files: Vec::new(),
            ceiling: Ceiling::default(),
            accepts: Accepts::default(),
            returns: None,
            failure_codes: Vec::new(),
            resources: Resources::default(),
            instructions: None,
            mcp: None,
        }
    }

    /// The JSON Schema of the input.
    #[must_use]
    pub fn takes(mut self, schema: Value) -> Self {
        self.input = schema;
        self
    }

    /// The JSON Schema of the output.
    #[must_use]
    pub fn gives(mut self, schema: Value) -> Self {
        self.output = schema;
        self
    }

    /// What a second call with the same key does.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// How long it may take when the step does not say.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// It answers at once: it must never wait, nor compute for longer than a few microseconds.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.is_instant = true;
        self
    }

    /// Whether what it gives may have been written outside: as it says; when it does not, if it talks to servers
    /// anywhere. A tool of an MCP server always may: nobody here has seen what runs there.
    pub fn brings_taint(&self) -> bool {
        self.mcp.is_some()
            || self.returns.map_or_else(|| self.permissions.contains(&Permission::Network), |of| of == Returns::Tainted)
    }

    /// Whether nothing that was written outside may set off its effects.
    pub fn is_careful(&self) -> bool {
        self.effect != Effect::Pure && self.accepts == Accepts::Trusted
    }

    /// What it is about: what it says, or the first part of its name.
    pub fn category(&self) -> &str {
        self.category.as_deref().unwrap_or_else(|| self.name.split('.').next().unwrap_or_default())
    }

    /// Whether its outcome may be computed from its input alone, by whoever asks for it.
    pub fn is_computable(&self) -> bool {
        let is_bounded = self.resources.concurrent_max.is_some() || self.resources.rate.is_some();
        self.is_instant && self.effect == Effect::Pure && self.permissions.is_empty() && !is_bounded
    }

    /// How it may fail.
    #[must_use]
    pub fn fails(mut self, classes: &[FailureClass]) -> Self {
        self.failures = classes.to_vec();
        self
    }

    /// Who may have written what it gives.
    #[must_use]
    pub fn returns(mut self, who: Returns) -> Self {
        self.returns = Some(who);
        self
    }

    /// What it must be allowed to do.
    #[must_use]
    pub fn needs(mut self, permissions: &[Permission]) -> Self {
        self.permissions = permissions.to_vec();
        self
    }

    /// A failure that callers can count on by its code; it may then fail in this class.
    #[must_use]
    pub fn fails_with(mut self, code: &str, class: FailureClass, description: &str) -> Self {
        let (code, description) = (code.to_owned(), description.to_owned());
        self.failure_codes.push(FailureCode { code, class, description });
        if class != FailureClass::Internal && !self.failures.contains(&class) {
            self.failures.push(class);
        }
        self
    }

    /// It gives these instructions, to whoever asks with nothing.
    #[must_use]
    pub fn instructs(self, instructions: Instructions) -> Self {
        let gives = json!({
            "type": "object",
            "required": ["text"],
            "properties": {
                "text": { "type": "string", "description": "the instructions, as Markdown" },
                "license": { "type": "string" },
                "compatibility": { "type": "string" },
                "allowedTools": { "type": "string" },
                "metadata": { "type": "object", "additionalProperties": { "type": "string" } },
            },
        });
        let said = Self { effect: Effect::Pure, instructions: Some(instructions), ..self };
        said.takes(json!({ "type": "object", "additionalProperties": false })).gives(gives).at_once()
    }

    /// Most calls of one tenant that a node does at once.
    #[must_use]
    pub fn at_most(mut self, concurrent: u32) -> Self {
        self.resources.concurrent_max = Some(concurrent);
        self
    }

    /// Most calls of one tenant in a time; the others wait, within their timeout.
    #[must_use]
    pub fn at_rate(mut self, rate: Rate) -> Self {
        self.resources.rate = Some(rate);
        self
    }

    /// An example that runs as a test.
    #[must_use]
    pub fn example(self, title: &str, input: Value, gives: Gives) -> Self {
        self.with_example(title, input, gives, true)
    }

    /// An example that needs the steps before it; only its schemas are checked.
    #[must_use]
    pub fn example_in_a_run(self, title: &str, input: Value, output: Value) -> Self {
        self.with_example(title, input, Gives::Output(output), false)
    }

    fn with_example(mut self, title: &str, input: Value, gives: Gives, alone: bool) -> Self {
        self.examples.push(Example { title: title.to_owned(), input, gives, alone });
        self
    }
}

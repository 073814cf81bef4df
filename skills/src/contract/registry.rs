//! Which skills there are, by name, with their schemas compiled once.

use std::{collections::BTreeMap, fmt, panic::AssertUnwindSafe, sync::Arc};

use jsonschema::Validator;
use serde_json::Value;

use super::{Failure, Manifest, Skill, check::contradiction};

/// Mistakes told in one failure; the rest is counted.
const MISTAKES_MAX: usize = 20;

/// Why a skill cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Two skills claim one name.
    #[error("two skills are named `{0}`: rename one")]
    Twice(String),
    /// A name that a definition could not write.
    #[error("`{0}` is no skill name: `area.verb` of lower-case letters, digits, `-` and `.` is expected")]
    Name(String),
    /// A version that no range can be compared with.
    #[error("`{skill}` has the version `{version}`, which is no semantic version: write it as in `1.0.0`")]
    Version {
        /// The skill.
        skill: String,
        /// What it says.
        version: String,
    },
    /// A schema that is none.
    #[error("the {part} schema of `{skill}` is no JSON Schema: {reason}")]
    Schema {
        /// The skill.
        skill: String,
        /// `input` or `output`.
        part: &'static str,
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// What it says of its reach contradicts itself.
    #[error("what `{skill}` says of itself cannot be: {what}")]
    Contradiction {
        /// The skill.
        skill: String,
        /// The field that says it.
        field: &'static str,
        /// What cannot be.
        what: String,
    },
}

/// A skill with its compiled schemas.
pub struct Registered {
    skill: Arc<dyn Skill>,
    input: Validator,
    output: Validator,
}

/// Checks what a skill says of itself, and compiles its schemas: of the input, and of the output.
fn compiled(manifest: &Manifest) -> Result<(Validator, Validator), RegistryError> {
    if !is_name(&manifest.name) {
        return Err(RegistryError::Name(manifest.name.clone()));
    }
    if semver::Version::parse(&manifest.version).is_err() {
        return Err(RegistryError::Version { skill: manifest.name.clone(), version: manifest.version.clone() });
    }
    if let Some((field, what)) = contradiction(manifest) {
        return Err(RegistryError::Contradiction { skill: manifest.name.clone(), field, what });
    }
    let compile = |part, schema| {
        jsonschema::validator_for(schema).map_err(|error| RegistryError::Schema {
            skill: manifest.name.clone(),
            part,
            reason: error.to_string().into(),
        })
    };
    Ok((compile("input", &manifest.input)?, compile("output", &manifest.output)?))
}

/// Whether a skill that says this of itself can be registered.
///
/// # Errors
/// [`RegistryError`] when its name, its version or a schema is none.
pub fn check_manifest(manifest: &Manifest) -> Result<(), RegistryError> {
    compiled(manifest).map(drop)
}

impl Registered {
    /// A skill, ready to be called.
    ///
    /// # Errors
    /// As [`check_manifest`].
    pub fn new(skill: Arc<dyn Skill>) -> Result<Self, RegistryError> {
        let (input, output) = compiled(skill.manifest())?;
        Ok(Self { skill, input, output })
    }

    /// The skill.
    pub fn skill(&self) -> &Arc<dyn Skill> {
        &self.skill
    }

    /// What the skill says of itself.
    pub fn manifest(&self) -> &Manifest {
        self.skill.manifest()
    }

    /// What it gives for this input, when that can be computed; see [`Skill::compute`].
    fn compute(&self, input: &Value) -> Option<Result<Value, Failure>> {
        if !self.manifest().is_computable() {
            return None;
        }
        if let Err(failure) = self.check_input(input) {
            return Some(Err(failure));
        }
        let computed = std::panic::catch_unwind(AssertUnwindSafe(|| self.skill.compute(input)));
        let computed = computed.unwrap_or_else(|panic| Some(Err(Failure::panicked(panic.as_ref()))))?;
        Some(computed.and_then(|output| self.check_output(&output).map(|()| output)))
    }

    /// Checks an input.
    ///
    /// # Errors
    /// A validation failure that lists every mistake with its path.
    pub fn check_input(&self, input: &Value) -> Result<(), Failure> {
        mistakes(&self.input, input).map_or(Ok(()), |text| {
            Err(Failure::validation(
                "skill.input",
                format!("the input of `{}` does not fit its schema: {text}", self.manifest().name),
            ))
        })
    }

    /// Checks an output.
    ///
    /// # Errors
    /// An internal failure: the skill broke its own promise.
    pub fn check_output(&self, output: &Value) -> Result<(), Failure> {
        mistakes(&self.output, output).map_or(Ok(()), |text| {
            Err(Failure::internal(
                "skill.output",
                format!("the output of `{}` does not fit its schema: {text}", self.manifest().name),
            ))
        })
    }
}

/// Everything in which a value does not fit a schema, each with its path; values of the schema's own are named, and
/// those that were given are not.
fn mistakes(validator: &Validator, value: &Value) -> Option<String> {
    let mut told = Vec::new();
    let mut more = 0_usize;
    for error in validator.iter_errors(value) {
        if told.len() == MISTAKES_MAX {
            more += 1;
            continue;
        }
        let path = error.instance_path().to_string();
        let place = if path.is_empty() { "/" } else { &path };
        told.push(format!("`{place}`: {}", short(&error.masked().to_string())));
    }
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 80 && name.contains('.') && name.split('.').all(part)
}

/// The skills of a node, by name. Cheap to clone; never changes once made.
#[derive(Clone, Default)]
pub struct Registry {
    skills: Arc<BTreeMap<String, Arc<Registered>>>,
}

impl Registry {
    /// A registry of these skills.
    ///
    /// # Errors
    /// [`RegistryError`] when two share a name, or a name or a schema is none.
    pub fn new(skills: impl IntoIterator<Item = Arc<dyn Skill>>) -> Result<Self, RegistryError> {
        let mut map = BTreeMap::new();
        for skill in skills {
            let registered = Arc::new(Registered::new(skill)?);
            let name = registered.manifest().name.clone();
            if map.insert(name.clone(), registered).is_some() {
                return Err(RegistryError::Twice(name));
            }
        }
        Ok(Self { skills: Arc::new(map) })
    }

    /// The skill with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Registered>> {
        self.skills.get(name)
    }

    /// The skill with this name, or what to tell whoever asked for it.
    ///
    /// # Errors
    /// A validation failure that suggests the nearest name.
    pub fn require(&self, name: &str) -> Result<&Arc<Registered>, Failure> {
        self.get(name).ok_or_else(|| unknown(name, self.names()))
    }

    /// What a skill gives that can be computed without a performer; `None` when it must be called, or there
    /// is none of this name. Schemas and panics are minded as they are in a call.
    pub fn compute(&self, name: &str, input: &Value) -> Option<Result<Value, Failure>> {
        self.get(name)?.compute(input)
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.skills.keys().map(String::as_str)
    }

    /// Every manifest, sorted by name.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.skills.values().map(|registered| registered.manifest())
    }
}

/// What to tell whoever asks for a skill that is none of these.
pub fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Failure {
    let hint = crate::yaml::suggest(name, names)
        .map_or_else(|| "`mesh skills list` shows the known ones".to_owned(), |near| format!("did you mean `{near}`?"));
    Failure::validation("skill.unknown", format!("there is no skill `{name}`: {hint}"))
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use mesh_kernel::BoxFuture;
    use serde_json::json;

    use super::*;
    use crate::contract::{Call, FailureClass};

    struct Fake(Manifest);

    impl Skill for Fake {
        fn manifest(&self) -> &Manifest {
            &self.0
        }

        fn call<'a>(&'a self, _: Call) -> BoxFuture<'a, Result<Value, Failure>> {
            Box::pin(async { Ok(Value::Null) })
        }
    }

    fn fake(name: &str, input: Value) -> Arc<dyn Skill> {
        Arc::new(Fake(Manifest::new(name, "x").takes(input).gives(json!({"type": "null"}))))
    }

    #[test]
    fn two_skills_never_share_a_name_and_a_bad_schema_is_told() {
        let twice = Registry::new([fake("a.b", json!(true)), fake("a.b", json!(true))]).unwrap_err();
        assert!(twice.to_string().contains("`a.b`"), "{twice}");
        let bad = Registry::new([fake("a.b", json!({"type": "strnig"}))]).unwrap_err();
        assert!(matches!(bad, RegistryError::Schema { part: "input", .. }), "{bad}");
        for version in ["", "1", "1.0", "v1.0.0"] {
            let versioned = Manifest { version: version.to_owned(), ..Manifest::new("a.b", "x") };
            assert!(Registry::new([Arc::new(Fake(versioned)) as Arc<dyn Skill>]).is_err(), "`{version}` was taken");
        }
        for name in ["", "a", "A.b", "a..b", "a.b c", ".b"] {
            assert!(Registry::new([fake(name, json!(true))]).is_err(), "`{name}` was taken");
        }
    }

    #[test]
    fn every_mistake_of_an_input_is_told_with_its_path() {
        let schema = json!({"type": "object", "required": ["n"], "additionalProperties": false,
            "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}});
        let registry = Registry::new([fake("a.b", schema)]).unwrap();
        let entry = registry.get("a.b").unwrap();
        entry.check_input(&json!({"n": 1})).unwrap();
        let failure = entry.check_input(&json!({"s": 5, "x": 1})).unwrap_err();
        assert_eq!(failure.class, FailureClass::Validation);
        for part in ["`/s`", "\"n\"", "'x'"] {
            assert!(failure.message.contains(part), "{part} is missing in: {failure}");
        }
        assert_eq!(entry.check_output(&json!(1)).unwrap_err().class, FailureClass::Internal);
    }

    #[test]
    fn an_unknown_skill_is_told_with_the_nearest_name() {
        let registry = Registry::new([fake("text.echo", json!(true))]).unwrap();
        let failure = registry.require("text.ecko").map(|_| ()).unwrap_err();
        assert!(failure.message.contains("did you mean `text.echo`?"), "{failure}");
    }
}

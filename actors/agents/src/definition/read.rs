//! From text to a checked definition, every mistake with its place.

use std::{collections::BTreeMap, sync::OnceLock};

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use mesh_skills::yaml::{self, Mistake, Node, suggest};
use serde_json::Value;

use super::{Agent, DEFINITION_BYTES_MAX, tool_name};

const SCHEMA: &str = include_str!("agent.schema.json");

/// The JSON Schema of definitions, for editors and checks.
pub fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap_or_default()
}

fn validator() -> Option<&'static Validator> {
    static COMPILED: OnceLock<Option<Validator>> = OnceLock::new();
    COMPILED.get_or_init(|| jsonschema::validator_for(&schema()).ok()).as_ref()
}

/// Reads and checks a definition written in YAML or JSON.
///
/// # Errors
/// Every mistake at once, in the order of the text, each with its place.
pub fn parse(source: &str, file: Option<&str>) -> Result<Agent, Vec<Mistake>> {
    let in_file = |mistake: Mistake| match file {
        Some(file) => mistake.in_file(file),
        None => mistake,
    };
    read(source).map_err(|mistakes| {
        let mut mistakes: Vec<Mistake> = mistakes.into_iter().map(in_file).collect();
        mistakes.sort();
        mistakes.dedup();
        mistakes
    })
}

fn read(source: &str) -> Result<Agent, Vec<Mistake>> {
    let tree = yaml::parse(source).map_err(|mistake| vec![mistake])?;
    let value = tree.to_json();
    let whole = |message: String| vec![Mistake::new(tree.span, message)];
    let validator = validator().ok_or_else(|| whole("the schema of definitions cannot be read".to_owned()))?;
    let mistakes: Vec<Mistake> = validator.iter_errors(&value).flat_map(|error| told(&tree, &error)).collect();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let agent: Agent = serde_json::from_value(value).map_err(|error| whole(error.to_string()))?;
    let mistakes = meant(&tree, &agent);
    if mistakes.is_empty() { Ok(agent) } else { Err(mistakes) }
}

/// What the schema says, with places and hints.
fn told(tree: &Node, error: &ValidationError<'_>) -> Vec<Mistake> {
    let pointer = error.instance_path().to_string();
    let node = tree.nearest(&pointer);
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        let known = known_at(&pointer);
        return unexpected
            .iter()
            .map(|name| {
                let span = node.entry(name).map_or(node.span, |(key, _)| key.span);
                let help = suggest(name, &known).map_or_else(
                    || format!("known are `{}`", known.join("`, `")),
                    |near| format!("did you mean `{near}`?"),
                );
                Mistake::new(span, format!("`{name}` is not known here")).with_help(help)
            })
            .collect();
    }
    let at =
        if pointer.is_empty() { "the definition".to_owned() } else { format!("`{}`", pointer.trim_start_matches('/')) };
    vec![Mistake::new(node.span, format!("{at}: {}", error.masked()))]
}

/// The keys that an object at this place may have.
fn known_at(pointer: &str) -> Vec<String> {
    let schema = schema();
    let place = match pointer.split('/').nth(1) {
        None => "/properties".to_owned(),
        Some("model") => "/properties/model/anyOf/1/properties".to_owned(),
        Some("skills") => "/properties/skills/items/anyOf/1/properties".to_owned(),
        Some("agents") => "/properties/agents/items/anyOf/1/properties".to_owned(),
        Some("checks") => "/properties/checks/items/properties".to_owned(),
        Some(name) => format!("/properties/{name}/properties"),
    };
    let known = schema.pointer(&place).and_then(Value::as_object);
    known.map(|known| known.keys().cloned().collect()).unwrap_or_default()
}

/// Mistakes told at once; the rest is counted.
const MISTAKES_MAX: usize = 20;

/// Everything in which a value does not fit a schema, with the values: whoever gave them is told.
///
/// The contract of skills tells no values, for what a skill was given may be read by others.
pub fn mistakes(schema: &Value, value: &Value) -> Option<String> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => return Some(format!("the schema cannot be read: {error}")),
    };
    let mut told = Vec::new();
    let mut more = 0_usize;
    for error in validator.iter_errors(value) {
        if told.len() == MISTAKES_MAX {
            more += 1;
            continue;
        }
        let path = error.instance_path().to_string();
        let text: String = error.to_string().chars().take(300).collect();
        told.push(if path.is_empty() { text } else { format!("`{path}`: {text}") });
    }
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

/// Why a value is no JSON Schema; none when it is one.
pub fn no_schema(schema: &Value) -> Option<String> {
    jsonschema::validator_for(schema).err().map(|error| error.to_string())
}

/// What a schema cannot say.
fn meant(tree: &Node, agent: &Agent) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut wrong = |pointer: &str, message: String, help: &str| {
        mistakes.push(Mistake::new(tree.nearest(pointer).span, message).with_help(help));
    };
    for (part, schema) in [("input", &agent.input), ("output", &agent.output)] {
        if let Some(error) = schema.as_ref().and_then(no_schema) {
            wrong(&format!("/{part}"), format!("`{part}` is no JSON Schema: {error}"), "mend it, or leave it out");
        }
    }
    let mut tools: BTreeMap<String, &str> = BTreeMap::new();
    for (at, binding) in agent.skills.iter().enumerate() {
        let pointer = format!("/skills/{at}");
        if let Some(other) = tools.insert(tool_name(&binding.skill), &binding.skill) {
            let message = format!("`{}` and `{other}` have the same name for a model", binding.skill);
            wrong(&pointer, message, "name each skill once");
        }
        if let Some(range) = &binding.version
            && semver::VersionReq::parse(range).is_err()
        {
            wrong(&pointer, format!("`{range}` is no range of versions"), "write it as in `^1.2` or `1.4.0`");
        }
    }
    for (at, helper) in agent.agents.iter().enumerate() {
        let twice = agent.agents.iter().take(at).any(|other| other.agent == helper.agent);
        if twice || helper.agent == agent.name {
            let message = match twice {
                true => format!("`{}` is named twice", helper.agent),
                false => "an agent cannot give a part of its task to itself".to_owned(),
            };
            wrong(&format!("/agents/{at}"), message, "name each agent once, and not this one");
        }
    }
    let bytes = agent.to_json().to_string().len();
    if bytes > DEFINITION_BYTES_MAX {
        let message = format!("the definition has {bytes} bytes as JSON; at most {DEFINITION_BYTES_MAX} are taken");
        wrong("", message, "shorten the instructions");
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(source: &str) -> Vec<String> {
        parse(source, Some("a.yaml")).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_definition_is_read_with_its_short_forms_and_survives_its_json() {
        let source = "name: clerk\nmodel: fast\ninstructions: sort\nskills: [text.echo, {skill: value.pass, version: ^1}]\nlimits: {duration: 5m}\n";
        let agent = parse(source, None).unwrap();
        assert_eq!((agent.model.class.as_str(), agent.model.max_tokens), ("fast", 4096));
        assert_eq!(agent.skills[1].version.as_deref(), Some("^1"));
        assert_eq!((agent.limits.duration.as_secs(), agent.limits.turns), (300, 20));
        let again: Agent = serde_json::from_value(agent.to_json()).unwrap();
        assert_eq!((&again, again.digest()), (&agent, agent.digest()));
    }

    #[test]
    fn every_mistake_is_told_with_its_place_and_a_hint() {
        for (source, part) in [
            (
                "name: clerk\ninstructions: x\nskils: []\n",
                "a.yaml:3:1: `skils` is not known here (did you mean `skills`?)",
            ),
            ("name: Clerk\ninstructions: x\n", "a.yaml:1:7: `name`"),
            ("name: clerk\n", "a.yaml:1:1: the definition"),
            (
                "name: clerk\ninstructions: x\nlimits: { turn: 3 }\n",
                "a.yaml:3:11: `turn` is not known here (did you mean `turns`?)",
            ),
            ("name: clerk\ninstructions: x\noutput: { type: strnig }\n", "`output` is no JSON Schema"),
            ("name: clerk\ninstructions: x\nskills: [a.b, a.b]\n", "have the same name for a model"),
            ("name: clerk\ninstructions: x\nskills: [{skill: a.b, version: newest}]\n", "no range of versions"),
            ("name: clerk\ninstructions: x\nagents: [clerk]\n", "a.yaml:3:10: an agent cannot give"),
            (
                "name: clerk\ninstructions: x\nagents: [a, { agent: a, version: 2 }]\n",
                "a.yaml:3:13: `a` is named twice",
            ),
            ("name: clerk\ninstructions: [\n", "a.yaml:"),
        ] {
            let told = mistakes(source).join("\n");
            assert!(told.contains(part), "{source}\n{told}");
        }
    }

    #[test]
    fn the_schema_takes_what_the_reader_takes() {
        let full = Agent {
            input: Some(serde_json::json!({"type": "object"})),
            budget: crate::definition::Budget { tokens: Some(1), cost: Some(2) },
            ..parse("name: a\ninstructions: x\nagents: [b, {agent: c, version: 2}]\nskills: [a.b]\nchecks: [{skill: a.c}]\nexhausted: fail\n", None).unwrap()
        };
        let json = full.to_json();
        let errors: Vec<String> = validator().unwrap().iter_errors(&json).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{json}");
    }
}

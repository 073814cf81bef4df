//! Checks against the skills that exist.

use std::collections::BTreeMap;

use mesh_proto::v1::{Step, WorkflowDefinition, for_each_step::Body, step::Kind};
use mesh_skills::yaml::suggest;
use serde_json::Value;

use super::Fault;
use crate::form::struct_to_json;

/// What is known of the world that a definition calls into. Nothing is checked that is not said.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The skills by name, each with the JSON Schema of its input.
    pub skills: Option<BTreeMap<String, Value>>,
    /// The agents by name, each with how many versions of it there are: they are numbered from 1.
    pub agents: Option<BTreeMap<String, u32>>,
}

/// Faults against what is known to exist: unknown skills, inputs that cannot fit, unknown agents.
pub fn check_known(definition: &WorkflowDefinition, known: &Known) -> Vec<Fault> {
    let mut faults = known.skills.as_ref().map_or_else(Vec::new, |skills| check_skills(definition, skills));
    if let Some(agents) = &known.agents {
        let steps = definition.steps.iter().enumerate();
        faults.extend(steps.filter_map(|(at, step)| check_agent(step, at, agents)));
    }
    faults
}

fn check_agent(step: &Step, at: usize, agents: &BTreeMap<String, u32>) -> Option<Fault> {
    let Some(Kind::Agent(wanted)) = &step.kind else { return None };
    let name = wanted.agent.as_str();
    let pointer = |field: &str| format!("/steps/{at}/agent/{field}");
    match agents.get(name) {
        _ if name.is_empty() => None,
        None => {
            let near = suggest(name, agents.keys())
                .map(|near| format!("did you mean `{near}`?"))
                .unwrap_or_else(|| "publish it first; `mesh agents list` shows what there is".to_owned());
            Some(Fault::new(pointer("agent"), format!("there is no agent `{name}`")).help(near))
        }
        Some(count) if wanted.version > *count => {
            let help = match count {
                0 => "it comes with the node: leave the version out".to_owned(),
                count => format!("it has 1 to {count}"),
            };
            Some(Fault::new(pointer("version"), format!("agent `{name}` has no version {}", wanted.version)).help(help))
        }
        Some(_) => None,
    }
}

fn check_skills(definition: &WorkflowDefinition, skills: &BTreeMap<String, Value>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, step) in definition.steps.iter().enumerate() {
        for (pointer, skill, with) in calls(step, at) {
            match skills.get(skill) {
                Some(schema) => check_input(&with, schema, skill, &input_pointer(&pointer), &mut faults),
                None if skill.is_empty() => {}
                None => {
                    let near = suggest(skill, skills.keys())
                        .map(|near| format!("did you mean `{near}`?"))
                        .unwrap_or_else(|| "`mesh skills list` shows what there is".to_owned());
                    faults.push(Fault::new(pointer, format!("there is no skill `{skill}`")).help(near));
                }
            }
        }
    }
    faults
}

/// Where the input of the skill named at `pointer` stands.
fn input_pointer(pointer: &str) -> String {
    match pointer.strip_suffix("/forEach/skill").or_else(|| pointer.strip_suffix("/skill")) {
        Some(step) => format!("{step}/with"),
        None => pointer.to_owned(),
    }
}

/// The skills that a step calls: pointer, name, input.
fn calls(step: &Step, at: usize) -> Vec<(String, &str, Value)> {
    let with = step.with.as_ref().map_or_else(|| Value::Object(Default::default()), struct_to_json);
    let mut calls = Vec::new();
    match &step.kind {
        Some(Kind::Skill(skill)) => calls.push((format!("/steps/{at}/skill"), skill.as_str(), with)),
        Some(Kind::ForEach(each)) => {
            if let Some(Body::Skill(skill)) = &each.body {
                calls.push((format!("/steps/{at}/forEach/skill"), skill.as_str(), with));
            }
        }
        _ => {}
    }
    if let Some(undo) = &step.compensate {
        let with = undo.with.as_ref().map_or_else(|| Value::Object(Default::default()), struct_to_json);
        calls.push((format!("/steps/{at}/compensate/skill"), undo.skill.as_str(), with));
    }
    calls
}

/// What can be told before any expression has a value: missing and unknown properties, and literal
/// values of a wrong type.
fn check_input(with: &Value, schema: &Value, skill: &str, at: &str, faults: &mut Vec<Fault>) {
    let (Some(with), Some(properties)) = (with.as_object(), schema.get("properties").and_then(Value::as_object)) else {
        return;
    };
    for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if let Some(required) = required.as_str()
            && !with.contains_key(required)
        {
            faults.push(
                Fault::new(at, format!("`{skill}` needs `{required}`"))
                    .help(format!("add `{required}:` under `with:`")),
            );
        }
    }
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, value) in with {
        let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match properties.get(name) {
            None if closed => {
                let near = suggest(name, properties.keys())
                    .map(|near| format!("did you mean `{near}`?"))
                    .unwrap_or_else(|| {
                        let names: Vec<&str> = properties.keys().map(String::as_str).collect();
                        format!("it takes `{}`", names.join("`, `"))
                    });
                faults.push(Fault::new(pointer, format!("`{skill}` takes no `{name}`")).help(near));
            }
            Some(property) if !holds_expression(value) => {
                check_literal(value, property, name, pointer, faults);
            }
            _ => {}
        }
    }
}

fn check_literal(value: &Value, schema: &Value, name: &str, pointer: String, faults: &mut Vec<Fault>) {
    let Ok(validator) = jsonschema::validator_for(schema) else { return };
    if let Err(error) = validator.validate(value) {
        faults.push(Fault::new(pointer, format!("`{name}` does not fit: {error}")));
    }
}

fn holds_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(items) => items.iter().any(holds_expression),
        Value::Object(fields) => fields.values().any(holds_expression),
        _ => false,
    }
}

//! What a skill says of itself.

use mesh_kernel::envelope::Refusal;
use mesh_proto::v1::{self, SkillEffect, skill_example::Gives as Told};
use mesh_skills::{
    catalogue::Entry,
    contract::{Effect, Example, FailureClass, Gives, Manifest, Permission},
};
use serde_json::Value;

use super::{
    json::{from_value, to_value},
    time::duration,
};
use crate::gateway::status::refused_field;

/// A skill of the node's own, as lists show it.
pub(in crate::gateway) fn brief(manifest: &Manifest) -> v1::Skill {
    v1::Skill {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        category: manifest.category().to_owned(),
        description: manifest.description.clone(),
        effect: effect(manifest.effect).into(),
        timeout: duration(manifest.timeout),
        failure_classes: manifest.failures.iter().map(FailureClass::to_string).collect(),
        permissions: manifest.permissions.iter().map(|permission| permission.as_str().to_owned()).collect(),
        host: "native".to_owned(),
        ..Default::default()
    }
}

/// A skill that a tenant has registered, as lists show it; so many workers have it.
pub(in crate::gateway) fn registered(entry: &Entry, workers: usize) -> v1::Skill {
    v1::Skill {
        host: "worker".to_owned(),
        workers: u32::try_from(workers).unwrap_or(u32::MAX),
        deprecated: entry.deprecated.clone().unwrap_or_default(),
        ..brief(&entry.manifest)
    }
}

/// The same with its schemas and examples.
pub(in crate::gateway) fn whole(brief: v1::Skill, manifest: &Manifest) -> v1::Skill {
    v1::Skill {
        input_schema: Some(to_value(&manifest.input)),
        output_schema: Some(to_value(&manifest.output)),
        examples: manifest.examples.iter().map(example).collect(),
        ..brief
    }
}

fn effect(effect: Effect) -> SkillEffect {
    match effect {
        Effect::Pure => SkillEffect::Pure,
        Effect::Idempotent => SkillEffect::Idempotent,
        Effect::AtLeastOnce => SkillEffect::AtLeastOnce,
    }
}

fn example(example: &Example) -> v1::SkillExample {
    let gives = match &example.gives {
        Gives::Output(output) => Told::Output(to_value(output)),
        Gives::Failure(class) => Told::FailureClass(class.to_string()),
    };
    v1::SkillExample {
        title: example.title.clone(),
        input: Some(to_value(&example.input)),
        gives: Some(gives),
        alone: example.alone,
    }
}

/// What somebody registers; `at` names the field that holds it.
///
/// # Errors
/// Names the field that says what cannot be.
pub(in crate::gateway) fn manifest(skill: v1::Skill, at: &str) -> Result<Manifest, Refusal> {
    let wrong = |field: &str, what: String| refused_field(&format!("{at}.{field}"), what);
    let effect = match skill.effect() {
        SkillEffect::Pure => Effect::Pure,
        SkillEffect::Idempotent => Effect::Idempotent,
        SkillEffect::AtLeastOnce => Effect::AtLeastOnce,
        SkillEffect::Unspecified => {
            return Err(wrong("effect", "say what a second call with the same key does".to_owned()));
        }
    };
    let timeout = skill.timeout.map_or(Ok(Manifest::new("", "").timeout), |timeout| {
        let given = std::time::Duration::try_from(timeout).ok().filter(|given| !given.is_zero());
        given.ok_or_else(|| wrong("timeout", format!("`{timeout}` is no time that a call can take")))
    })?;
    let schema = |field: &str, given: Option<&prost_types::Value>| {
        given.map_or(Ok(Value::Bool(true)), |given| from_value(given, &format!("{at}.{field}")))
    };
    let (input, output) =
        (schema("input_schema", skill.input_schema.as_ref())?, schema("output_schema", skill.output_schema.as_ref())?);
    let classes = skill.failure_classes.iter().map(|class| class.parse());
    let failures = classes
        .collect::<Result<Vec<FailureClass>, _>>()
        .map_err(|error| wrong("failure_classes", error.to_string()))?;
    let permission = |name: &String| {
        Permission::ALL.into_iter().find(|known| known.as_str() == name).ok_or_else(|| {
            let known: Vec<_> = Permission::ALL.map(Permission::as_str).into();
            wrong("permissions", format!("`{name}` is none; one of {} is expected", known.join(", ")))
        })
    };
    let permissions = skill.permissions.iter().map(permission).collect::<Result<_, _>>()?;
    let examples = skill.examples.into_iter().enumerate();
    let examples = examples.map(|(n, given)| shown(given, &format!("{at}.examples[{n}]"))).collect::<Result<_, _>>()?;
    Ok(Manifest {
        version: skill.version,
        effect,
        timeout,
        input,
        output,
        failures,
        permissions,
        examples,
        ..Manifest::new(&skill.name, &skill.description)
    })
}

fn shown(example: v1::SkillExample, at: &str) -> Result<Example, Refusal> {
    let gives = match &example.gives {
        Some(Told::Output(output)) => Gives::Output(from_value(output, &format!("{at}.output"))?),
        Some(Told::FailureClass(class)) => Gives::Failure(
            class.parse().map_err(|error| refused_field(&format!("{at}.failure_class"), format!("{error}")))?,
        ),
        None => return Err(refused_field(at, "say what comes of it: `output` or `failure_class`")),
    };
    let input = example.input.as_ref().map_or(Ok(Value::Null), |input| from_value(input, &format!("{at}.input")))?;
    Ok(Example { title: example.title, input, gives, alone: example.alone })
}

//! What a skill says of itself.

use mesh_proto::v1::{self, SkillEffect, skill_example::Gives as Told};
use mesh_skills::contract::{Effect, Example, FailureClass, Gives, Manifest};

use super::{json::to_value, time::duration};

/// A skill as lists show it.
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

/// A skill with its schemas and examples.
pub(in crate::gateway) fn whole(manifest: &Manifest) -> v1::Skill {
    v1::Skill {
        input_schema: Some(to_value(&manifest.input)),
        output_schema: Some(to_value(&manifest.output)),
        examples: manifest.examples.iter().map(example).collect(),
        ..brief(manifest)
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

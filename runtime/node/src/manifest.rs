//! What a skill says of itself, as the contract spells it: what lists show, and what is registered from files.

use mesh_proto::v1::{self, SkillEffect, skill_example::Gives as Told};
use mesh_skills::contract::{
    Accepts, Ceiling, Effect, Example, FailureClass, FailureCode, FileScope, Gives, Instructions, Manifest,
};
use mesh_workflows::form::to_value;

/// A skill of the node's own, as lists show it: without schemas and examples.
pub(crate) fn brief(manifest: &Manifest) -> v1::Skill {
    v1::Skill {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        category: manifest.category().to_owned(),
        description: manifest.description.clone(),
        effect: effect(manifest.effect).into(),
        timeout: manifest.timeout.try_into().ok(),
        failure_classes: manifest.failures.iter().map(FailureClass::to_string).collect(),
        permissions: manifest.permissions.iter().map(|permission| permission.as_str().to_owned()).collect(),
        host: "native".to_owned(),
        hosts: manifest.hosts.clone(),
        files: manifest.files.iter().map(scope).collect(),
        ceiling: ceiling(manifest.ceiling).into(),
        accepts: accepts(manifest.accepts).into(),
        returns: if manifest.brings_taint() { v1::SkillReturns::Tainted } else { v1::SkillReturns::Trusted }.into(),
        failures: manifest.failure_codes.iter().map(failure).collect(),
        resources: Some(v1::SkillResources {
            memory_max: manifest.resources.memory_max.unwrap_or_default(),
            concurrent_max: manifest.resources.concurrent_max.unwrap_or_default(),
        }),
        ..Default::default()
    }
}

fn scope(scope: &FileScope) -> v1::SkillFileScope {
    v1::SkillFileScope { path: scope.path.clone(), write: scope.write }
}

fn failure(failure: &FailureCode) -> v1::SkillFailure {
    v1::SkillFailure {
        code: failure.code.clone(),
        failure_class: failure.class.to_string(),
        description: failure.description.clone(),
    }
}

fn ceiling(ceiling: Ceiling) -> v1::Classification {
    match ceiling {
        Ceiling::Public => v1::Classification::Public,
        Ceiling::Internal => v1::Classification::Internal,
        Ceiling::Confidential => v1::Classification::Confidential,
        Ceiling::Restricted => v1::Classification::Restricted,
    }
}

fn accepts(accepts: Accepts) -> v1::SkillAccepts {
    match accepts {
        Accepts::Trusted => v1::SkillAccepts::Trusted,
        Accepts::Tainted => v1::SkillAccepts::Tainted,
    }
}

/// The same with its schemas and examples.
pub(crate) fn whole(brief: v1::Skill, manifest: &Manifest) -> v1::Skill {
    v1::Skill {
        input_schema: Some(to_value(&manifest.input)),
        output_schema: Some(to_value(&manifest.output)),
        examples: manifest.examples.iter().map(example).collect(),
        instructions: manifest.instructions.as_ref().map(instructions),
        ..brief
    }
}

fn instructions(given: &Instructions) -> v1::SkillInstructions {
    v1::SkillInstructions {
        text: given.text.clone(),
        license: given.license.clone().unwrap_or_default(),
        compatibility: given.compatibility.clone().unwrap_or_default(),
        allowed_tools: given.allowed_tools.clone().unwrap_or_default(),
        metadata: given.metadata.clone().into_iter().collect(),
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

//! `blueprint.validate`: every mistake of a blueprint at once, and whether its product may grow so.

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use std::sync::Arc;

use super::workshop::Workshop;
use crate::{
    blueprint::{self, Blueprint, Change},
    contract::{Call, Failure, FailureClass, Gives, Manifest, Permission, Skill},
    yaml::Mistake,
};

/// The blueprint as the product's repository keeps it.
pub(super) const FILE: &str = "blueprint.yaml";

/// A blueprint as steps pass it on.
#[derive(Deserialize)]
pub(super) struct Given {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    digest: Option<String>,
    pub(super) source: String,
}

impl Given {
    /// A text that nobody has applied yet.
    pub(super) fn draft(source: String) -> Self {
        Self { name: None, digest: None, source }
    }

    /// Parses it and checks that name and digest are the ones that were applied.
    pub(super) fn read(&self) -> Result<Blueprint, Failure> {
        let blueprint = blueprint::parse(&self.source, FILE).map_err(|mistakes| invalid(&mistakes))?;
        let differs = |what: &str, given: &Option<String>, found: &str| match given {
            Some(given) if given != found => Err(Failure::validation(
                "blueprint.differs",
                format!("the {what} `{given}` was given, but the source says `{found}`: apply the file again"),
            )),
            _ => Ok(()),
        };
        differs("name", &self.name, &blueprint.name)?;
        differs("digest", &self.digest, &blueprint::digest(&blueprint))?;
        Ok(blueprint)
    }
}

/// The schema of [`Given`].
pub(super) fn given() -> Value {
    json!({
        "type": "object",
        "required": ["source"],
        "properties": {
            "name": {"type": "string"},
            "digest": {"type": "string"},
            "source": {"type": "string", "minLength": 1, "description": "the file's text"},
        },
    })
}

fn invalid(mistakes: &[Mistake]) -> Failure {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let facts: Vec<Value> = mistakes
        .iter()
        .map(|m| json!({"line": m.line, "column": m.column, "message": m.message, "help": m.help}))
        .collect();
    Failure::validation("blueprint.invalid", lines.join("\n")).with(json!({"mistakes": facts}))
}

#[derive(Deserialize)]
struct Input {
    blueprint: Given,
}

pub(super) struct BlueprintValidate {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl BlueprintValidate {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "blueprint.validate",
            "Reads a blueprint, tells every mistake at once, and refuses what the product's tenants could not take in.",
        )
        .takes(json!({
            "type": "object",
            "required": ["blueprint"],
            "properties": {"blueprint": given()},
        }))
        .gives(json!({
            "type": "object",
            "required": ["name", "title", "digest", "change"],
            "properties": {
                "name": {"type": "string"},
                "title": {"type": "string"},
                "digest": {"type": "string"},
                "change": {"enum": ["new", "same", "additive"]},
                "adds": {"type": "array", "items": {"type": "string"}},
                "entities": {"type": "array", "items": {"type": "string"}},
                "rules": {"type": "integer"},
            },
        }))
        .fails(&[FailureClass::Validation, FailureClass::External])
        .needs(&[Permission::Files, Permission::Processes])
        .example(
            "a text that is no blueprint",
            json!({"blueprint": {"source": "name: [1, 2"}}),
            Gives::Failure(FailureClass::Validation),
        );
        Self { manifest, workshop }
    }

    async fn work(&self, call: Call) -> Result<Value, Failure> {
        let input: Input = call.input()?;
        let blueprint = input.blueprint.read()?;
        // There will be a build: what all products share can be compiled meanwhile.
        self.workshop.start_early();
        let (change, adds) = self.change(&call, &blueprint).await?;
        let entities: Vec<&str> = blueprint.entities.iter().map(|entity| entity.name.as_str()).collect();
        call.log.note(format!(
            "`{}`: {} entities, {} rules; {change}",
            blueprint.name,
            entities.len(),
            blueprint.rules.len()
        ));
        Ok(json!({
            "name": blueprint.name,
            "title": blueprint.title,
            "digest": blueprint::digest(&blueprint),
            "change": change,
            "adds": adds,
            "entities": entities,
            "rules": blueprint.rules.len(),
        }))
    }

    /// What the blueprint means for the product that is there.
    async fn change(&self, call: &Call, new: &Blueprint) -> Result<(&'static str, Vec<String>), Failure> {
        let layout = self.workshop.layout(call, &new.name)?;
        let repository = self.workshop.repository(&layout);
        if repository.our_head().await?.is_none() {
            return Ok(("new", Vec::new()));
        }
        let Some(source) = repository.show(FILE).await? else {
            return Ok(("new", Vec::new()));
        };
        // What is in the repository passed once; a later version that reads it otherwise must say so.
        let old = blueprint::parse(&source, FILE).map_err(|mistakes| {
            let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            Failure::validation(
                "blueprint.old",
                format!("the blueprint in the product's repository cannot be read any more:\n{}", lines.join("\n")),
            )
        })?;
        match blueprint::compare(&old, new) {
            Change::Same => Ok(("same", Vec::new())),
            Change::Additive { entities, fields, rules, transitions } => {
                let adds = [entities, fields, rules, transitions].concat();
                Ok(("additive", adds))
            }
            Change::Refused { reasons } => {
                let lines: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                let text = format!(
                    "the product `{}` has tenants and cannot take this change in:\n{}",
                    new.name,
                    lines.join("\n")
                );
                Err(Failure::validation("blueprint.refused", text).with(json!({"reasons": reasons})))
            }
        }
    }
}

impl Skill for BlueprintValidate {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(self.work(call))
    }
}

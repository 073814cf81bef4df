//! `blueprint.check`: whether what an agent drafted is a blueprint.

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::blueprint_validate::Given;
use crate::{
    blueprint,
    contract::{Call, Failure, FailureClass, Gives, Manifest, Skill},
};

#[derive(Deserialize)]
struct Input {
    output: Draft,
}

#[derive(Deserialize)]
struct Draft {
    blueprint: String,
}

pub(super) struct BlueprintCheck {
    manifest: Manifest,
}

impl Default for BlueprintCheck {
    fn default() -> Self {
        let manifest = Manifest::new(
            "blueprint.check",
            "Reads a blueprint that an agent drafted and tells every mistake at once, with line and column.",
        )
        .takes(json!({
            "type": "object",
            "required": ["output"],
            "properties": {
                "output": {
                    "type": "object",
                    "required": ["blueprint"],
                    "properties": {"blueprint": {"type": "string", "minLength": 1}},
                },
            },
        }))
        .gives(json!({
            "type": "object",
            "required": ["name", "digest"],
            "properties": {"name": {"type": "string"}, "digest": {"type": "string"}},
        }))
        .fails(&[FailureClass::Validation])
        .example(
            "a draft that is no blueprint",
            json!({"output": {"blueprint": "name: [1, 2"}}),
            Gives::Failure(FailureClass::Validation),
        );
        Self { manifest }
    }
}

fn work(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.input()?;
    let read = Given::draft(input.output.blueprint).read()?;
    Ok(json!({"name": read.name, "digest": blueprint::digest(&read)}))
}

impl Skill for BlueprintCheck {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move { work(&call) })
    }
}

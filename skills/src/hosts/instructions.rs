//! Skills that give instructions: the node answers by itself with the text that was registered.

use std::sync::Arc;

use mesh_kernel::BoxFuture;
use serde_json::Value;

use crate::contract::{Call, Failure, Manifest, Skill};

/// A skill whose manifest holds what it gives.
pub struct InstructionsSkill(Arc<Manifest>);

impl InstructionsSkill {
    /// The skill of this manifest.
    pub fn new(manifest: Arc<Manifest>) -> Self {
        Self(manifest)
    }
}

impl Skill for InstructionsSkill {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn call<'a>(&'a self, _: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(std::future::ready(
            serde_json::to_value(&self.0.instructions).map_err(|error| {
                Failure::internal("instructions.json", format!("the instructions are no JSON: {error}"))
            }),
        ))
    }
}

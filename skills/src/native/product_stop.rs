//! `product.stop`: the product shall not run any more.

use std::{sync::Arc, time::Duration};

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::workshop::Workshop;
use crate::contract::{Call, Effect, Failure, FailureClass, Manifest, Permission, Skill};

#[derive(Deserialize)]
struct Input {
    product: String,
}

pub(super) struct ProductStop {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl ProductStop {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "product.stop",
            "Says that a product shall not run, and waits until it does not. One that does not run is stopped already.",
        )
        .takes(json!({
            "type": "object",
            "required": ["product"],
            "additionalProperties": false,
            "properties": {"product": {"type": "string"}},
        }))
        .gives(json!({
            "type": "object",
            "required": ["stopped"],
            "properties": {"stopped": {"const": true}},
        }))
        .effect(Effect::Idempotent)
        .within(Duration::from_secs(60))
        .fails(&[FailureClass::Validation, FailureClass::External, FailureClass::Timeout])
        .needs(&[Permission::Processes])
        .example_in_a_run("a product", json!({"product": "helpdesk"}), json!({"stopped": true}));
        Self { manifest, workshop }
    }
}

impl Skill for ProductStop {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let input: Input = call.input()?;
            // A name that could be no product's is refused before anyone is asked.
            self.workshop.layout(&call, &input.product)?;
            self.workshop.workloads.stop(&call, &input.product).await?;
            call.log.note("it does not run any more");
            Ok(json!({"stopped": true}))
        })
    }
}

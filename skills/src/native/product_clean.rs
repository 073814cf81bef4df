//! `product.clean`: removes what can be made again; with `data`, all that the product ever was.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::workshop::{Workshop, blocking, io};
use crate::{
    contract::{Call, Effect, Failure, FailureClass, Manifest, Permission, Skill, WorkloadState},
    product::tree,
};

#[derive(Deserialize)]
struct Input {
    product: String,
    #[serde(default)]
    data: bool,
}

pub(super) struct ProductClean {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl ProductClean {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "product.clean",
            "Removes what can be made again: rendered files, the build folder and, when it does not run, its programs. \
             With `data` it also removes the repository and the tenants' files, and refuses while the product runs.",
        )
        .takes(json!({
            "type": "object",
            "required": ["product"],
            "additionalProperties": false,
            "properties": {
                "product": {"type": "string"},
                "data": {"type": "boolean", "description": "also its repository and its tenants' files"},
            },
        }))
        .gives(json!({
            "type": "object",
            "required": ["removed"],
            "properties": {"removed": {"type": "array", "items": {"type": "string"}}},
        }))
        .effect(Effect::Idempotent)
        .within(Duration::from_secs(300))
        .fails(&[FailureClass::Validation, FailureClass::External])
        .needs(&[Permission::Files])
        .example_in_a_run(
            "make room",
            json!({"product": "helpdesk"}),
            json!({"removed": ["rendered", "build", "releases"]}),
        );
        Self { manifest, workshop }
    }

    async fn work(&self, call: Call) -> Result<Value, Failure> {
        let input: Input = call.input()?;
        let layout = self.workshop.layout(&call, &input.product)?;
        let status = self.workshop.workloads.status(&call, &input.product).await?;
        let runs = status.is_some_and(|status| status.state != WorkloadState::Stopped);
        if runs && input.data {
            return Err(Failure::validation(
                "product.runs",
                format!("`{}` runs, and its data is in use: stop it first", input.product),
            ));
        }
        let _turn = self.workshop.turn(&call).await?;
        let root = layout.root().to_owned();
        let mut places: Vec<PathBuf> =
            ["rendered", "build", "build.new", "checkout", "home"].map(|name| root.join(name)).into();
        if !runs {
            places.push(root.join("releases"));
            places.push(layout.process());
        }
        if input.data {
            places.extend([layout.repository(), layout.data(), root]);
        }
        let removed = blocking(move || remove(&places)).await?;
        call.log.note(format!("removed: {}", removed.join(", ")));
        Ok(json!({"removed": removed}))
    }
}

fn remove(places: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let mut removed = Vec::new();
    for place in places.iter().filter(|place| place.exists()) {
        io(place, tree::remove(place))?;
        removed.extend(place.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    Ok(removed)
}

impl Skill for ProductClean {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(self.work(call))
    }
}

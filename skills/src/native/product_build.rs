//! `product.build`: a commit becomes a program.

use std::{fs, path::Path, sync::Arc};

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    blueprint_validate::FILE,
    checkout::Checkout,
    workshop::{Workshop, blocking, io},
};
use crate::{
    contract::{Call, Effect, Failure, FailureClass, Manifest, Permission, Skill},
    product::{layout::Layout, toolchain::Reach, tree},
};

/// The package and program of every product: one name, so that one lock file fits all.
pub(super) const APP: &str = "app";

/// The demo log-ins as the template renders them.
pub(super) const DEMO: &str = "demo.json";

#[derive(Deserialize)]
pub(super) struct Input {
    pub(super) product: String,
    pub(super) commit: String,
}

/// The schema of [`Input`].
pub(super) fn input() -> Value {
    json!({
        "type": "object",
        "required": ["product", "commit"],
        "additionalProperties": false,
        "properties": {
            "product": {"type": "string"},
            "commit": {"type": "string", "pattern": "^[0-9a-f]{40}$"},
        },
    })
}

pub(super) struct ProductBuild {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl ProductBuild {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "product.build",
            "Builds a commit with cargo, offline and locked, in a clean environment with limits on time, memory and \
             output. Begins from a copy of the dependency seed, which it makes when this machine has none.",
        )
        .takes(input())
        .gives(json!({
            "type": "object",
            "required": ["commit", "program", "compiled", "seed"],
            "properties": {
                "commit": {"type": "string"},
                "program": {"type": "string"},
                "compiled": {"type": "integer", "description": "units that cargo compiled"},
                "seed": {"type": "string", "description": "which dependency seed it began from"},
            },
        }))
        .effect(Effect::Idempotent)
        .within(std::time::Duration::from_secs(40 * 60))
        .fails(&[FailureClass::Validation, FailureClass::External, FailureClass::Resource, FailureClass::Timeout])
        .needs(&[Permission::Files, Permission::Processes, Permission::Network])
        .example_in_a_run(
            "a commit",
            json!({"product": "helpdesk", "commit": "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff"}),
            json!({"commit": "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff", "program": "/data/…/app", "compiled": 1,
                   "seed": "5eed"}),
        );
        Self { manifest, workshop }
    }

    async fn work(&self, call: Call) -> Result<Value, Failure> {
        let input: Input = call.input()?;
        let layout = self.workshop.layout(&call, &input.product)?;
        // Before the turn is taken: whoever waits for the seed keeps nobody else from building.
        let seed = call.unless_cancelled(self.workshop.seeds.ensure(&call.log)).await?;
        let _turn = self.workshop.turn(&call).await?;
        let checkout = Checkout::prepare(&self.workshop, &call, &layout, &input.commit).await?;
        let args = ["build", "--package", APP, "--offline", "--locked"];
        let cargo = checkout.cargo(&self.workshop);
        let ran = cargo.must(&args, Reach::Nothing, &call.log, &call.cancelled).await?;
        let program = blocking(move || release(&layout, &checkout, &input.commit)).await?;
        call.log.note(format!("built: {} units compiled", ran.compiled));
        Ok(json!({
            "commit": call.input.get("commit"),
            "program": program,
            "compiled": ran.compiled,
            "seed": seed.digest,
        }))
    }
}

/// Copies what runs out of the build folder, whole or not at all.
fn release(layout: &Layout, checkout: &Checkout, commit: &str) -> Result<std::path::PathBuf, Failure> {
    let place = layout.release(commit);
    let new = place.with_extension("new");
    io(&new, tree::remove(&new))?;
    io(&new, fs::create_dir_all(&new))?;
    let copy = |from: &Path, name: &str| io(from, fs::copy(from, new.join(name)).map(drop));
    copy(&checkout.target.join("debug").join(APP), APP)?;
    for name in [DEMO, FILE] {
        let from = checkout.source.join(name);
        if from.exists() {
            copy(&from, name)?;
        }
    }
    // A release that runs is not touched: the same commit gives the same program.
    if !place.join(APP).exists() {
        io(&place, tree::remove(&place))?;
        io(&place, fs::rename(&new, &place))?;
    }
    io(&new, tree::remove(&new))?;
    Ok(place.join(APP))
}

impl Skill for ProductBuild {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(self.work(call))
    }
}

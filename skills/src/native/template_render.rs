//! `template.render`: from a blueprint to a folder of files, the same bytes each time.

use std::{fs, path::Path, sync::Arc};

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    blueprint_validate::{Given, given},
    workshop::{Workshop, blocking, io, template_digest},
};
use crate::{
    blueprint::Blueprint,
    contract::{Call, Effect, Failure, FailureClass, Manifest, Permission, Skill},
    product::{layout::Layout, tree},
    render::{self, Rendered, TemplateSource},
};

#[derive(Deserialize)]
struct Input {
    blueprint: Given,
}

pub(super) struct TemplateRender {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl TemplateRender {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "template.render",
            "Renders a product's files from a blueprint and the template. Rendered twice, every byte is the same; \
             nothing is ever written outside the product's folder.",
        )
        .takes(json!({
            "type": "object",
            "required": ["blueprint"],
            "properties": {"blueprint": given()},
        }))
        .gives(json!({
            "type": "object",
            "required": ["product", "digest", "templateDigest", "files"],
            "properties": {
                "product": {"type": "string"},
                "digest": {"type": "string", "description": "of the rendered files"},
                "templateDigest": {"type": "string"},
                "files": {"type": "integer"},
            },
        }))
        .effect(Effect::Idempotent)
        .fails(&[FailureClass::Validation, FailureClass::External, FailureClass::Resource])
        .needs(&[Permission::Files])
        .example_in_a_run(
            "a help desk",
            json!({"blueprint": {"source": "name: helpdesk\n…"}}),
            json!({"product": "helpdesk", "digest": "sha256:00", "templateDigest": "sha256:11", "files": 80}),
        );
        Self { manifest, workshop }
    }

    async fn work(&self, call: Call) -> Result<Value, Failure> {
        let input: Input = call.input()?;
        let blueprint = input.blueprint.read()?;
        let layout = self.workshop.layout(&call, &blueprint.name)?;
        let product = blueprint.name.clone();
        let staging = layout.root().join(format!("rendering-{}", call.key.as_str().replace([':', '.'], "-")));
        let source = input.blueprint.source;
        let rendered = blocking(move || render_into(&layout, &staging, &blueprint, &source)).await?;
        call.log.note(format!("{} files, {}", rendered.files.len(), rendered.digest));
        Ok(json!({
            "product": product,
            "digest": rendered.digest,
            "templateDigest": template_digest()?,
            "files": rendered.files.len(),
        }))
    }
}

/// Renders beside and moves into place, so that what stands under a digest is whole.
fn render_into(layout: &Layout, staging: &Path, blueprint: &Blueprint, source: &str) -> Result<Rendered, Failure> {
    io(staging, tree::remove(staging))?;
    io(staging, fs::create_dir_all(staging))?;
    let rendered = render::render(&TemplateSource::default(), blueprint, source, staging)
        .map_err(|error| Failure::validation("template.render", error.to_string()))?;
    let place = layout.rendered(&rendered.digest);
    if let Some(parent) = place.parent() {
        io(parent, fs::create_dir_all(parent))?;
    }
    io(&place, tree::remove(&place))?;
    io(&place, fs::rename(staging, &place))?;
    Ok(rendered)
}

impl Skill for TemplateRender {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(self.work(call))
    }
}

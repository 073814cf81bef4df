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
    product::{git::Repository, layout::Layout, tree},
    render::{self, Files, Rendered, Sentence, TemplateSource, sentences},
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
                "sentences": {
                    "type": "array",
                    "description": "the rules that an agent writes, when there are some",
                    "items": {
                        "type": "object",
                        "required": ["product", "rule", "sentence", "code", "kept"],
                        "properties": {
                            "product": {"type": "string"},
                            "rule": {"type": "string"},
                            "sentence": {"type": "string"},
                            "code": {"type": "string", "description": "the Rust that its function may use"},
                            "kept": {"type": "boolean", "description": "whether the product has it already"},
                        },
                    },
                },
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
        let staging = layout.staging(&call.key);
        let asked = sentences(&blueprint);
        let kept = kept(&self.workshop.repository(&layout), &asked).await?;
        let told: Vec<Value> = asked.iter().map(|sentence| told(&product, sentence, &kept)).collect();
        let source = input.blueprint.source;
        let rendered = blocking(move || render_into(&layout, &staging, &blueprint, &source, kept)).await?;
        call.log.note(format!("{} files, {}", rendered.files.len(), rendered.digest));
        let mut output = json!({
            "product": product,
            "digest": rendered.digest,
            "templateDigest": template_digest()?,
            "files": rendered.files.len(),
        });
        if let Some(output) = output.as_object_mut().filter(|_| !told.is_empty()) {
            output.insert("sentences".to_owned(), told.into());
        }
        Ok(output)
    }
}

/// What was written for the same sentences before and stands in the product: it is not written again.
async fn kept(repository: &Repository, asked: &[Sentence]) -> Result<Files, Failure> {
    let mut kept = Files::new();
    for sentence in asked {
        if let Some(file) = repository.show(&sentence.path()).await?.filter(|file| sentence.is_of(file)) {
            kept.insert(sentence.path(), file.into_bytes());
        }
    }
    Ok(kept)
}

fn told(product: &str, sentence: &Sentence, kept: &Files) -> Value {
    json!({
        "product": product,
        "rule": sentence.rule,
        "sentence": sentence.sentence,
        "code": sentence.code,
        "kept": kept.contains_key(&sentence.path()),
    })
}

/// Renders beside and moves into place, so that what stands under a digest is whole.
pub(super) fn render_into(
    layout: &Layout,
    staging: &Path,
    blueprint: &Blueprint,
    source: &str,
    written: Files,
) -> Result<Rendered, Failure> {
    io(staging, tree::remove(staging))?;
    io(staging, fs::create_dir_all(staging))?;
    let rendered = render::render_with(&TemplateSource::default(), blueprint, source, written, staging)
        .map_err(|error| Failure::validation("template.render", error.to_string()))?;
    let place = layout.rendered(&rendered.digest);
    if let Some(parent) = place.parent() {
        io(parent, fs::create_dir_all(parent))?;
    }
    io(&place, tree::remove(&place))?;
    io(&place, fs::rename(staging, &place))?;
    let (latest, new) = (layout.latest(), layout.latest().with_extension("new"));
    io(&new, fs::write(&new, &rendered.digest))?;
    io(&latest, fs::rename(&new, &latest))?;
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

//! `rule.place`: what agents wrote becomes part of what is committed.

use std::sync::Arc;

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    rule_check::source,
    sentences::{Rendering, checked, file},
    template_render::render_into,
    workshop::{Workshop, blocking},
};
use crate::{
    contract::{Call, Effect, Failure, FailureClass, Manifest, Permission, Skill},
    rule::Source,
};

#[derive(Deserialize)]
struct Input {
    product: String,
    rendered: String,
    written: Vec<Option<Source>>,
}

pub(super) struct RulePlace {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl RulePlace {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "rule.place",
            "Puts rules that agents wrote among the rendered files, each in a file of its own. A rule of the blueprint \
             that nobody has written is refused: no product has a stub.",
        )
        .takes(json!({
            "type": "object",
            "required": ["product", "rendered", "written"],
            "additionalProperties": false,
            "properties": {
                "product": {"type": "string"},
                "rendered": {"type": "string", "description": "`digest` of `template.render`"},
                "written": {
                    "type": "array",
                    "description": "in the order of the blueprint; null for one that stands already",
                    "items": {"anyOf": [{"type": "null"}, source()]},
                },
            },
        }))
        .gives(json!({
            "type": "object",
            "required": ["digest", "rules"],
            "properties": {
                "digest": {"type": "string", "description": "of the files with the rules"},
                "rules": {"type": "array", "items": {"type": "string"}, "description": "their paths"},
            },
        }))
        .effect(Effect::Idempotent)
        .fails(&[FailureClass::Validation, FailureClass::External, FailureClass::Resource])
        .needs(&[Permission::Files])
        .example_in_a_run(
            "one rule that stands already",
            json!({"product": "library", "rendered": "sha256:00", "written": [null]}),
            json!({"digest": "sha256:11", "rules": ["app/src/book/rules/a_book_has_pages.rs"]}),
        );
        Self { manifest, workshop }
    }

    async fn work(&self, call: Call) -> Result<Value, Failure> {
        let input: Input = call.input()?;
        let layout = self.workshop.layout(&call, &input.product)?;
        let staging = layout.staging(&call.key);
        let rendered = blocking(move || {
            let rendering = Rendering::of(&layout, &input.rendered)?;
            let mut files = rendering.kept()?;
            for (at, sentence) in rendering.sentences.iter().enumerate() {
                match input.written.get(at).and_then(Option::as_ref) {
                    Some(source) => {
                        // The check of the agent's own definition may have been another one.
                        checked(source, sentence)?;
                        files.insert(sentence.path(), file(sentence, &source.function, &source.test)?);
                    }
                    None if files.contains_key(&sentence.path()) => {}
                    None => return Err(missing(&sentence.sentence)),
                }
            }
            let paths: Vec<String> = files.keys().cloned().collect();
            let rendered = render_into(&layout, &staging, &rendering.blueprint, &rendering.text, files)?;
            Ok((rendered.digest, paths))
        })
        .await?;
        call.log.note(format!("{} rules, {}", rendered.1.len(), rendered.0));
        Ok(json!({"digest": rendered.0, "rules": rendered.1}))
    }
}

fn missing(sentence: &str) -> Failure {
    Failure::validation("rule.missing", format!("nobody has written the rule `{sentence}`: retry the run"))
}

impl Skill for RulePlace {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(self.work(call))
    }
}

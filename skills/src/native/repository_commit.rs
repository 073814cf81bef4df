//! `repository.commit`: rendered files become the next commit of the product, with our ids in its
//! trailers.

use std::sync::Arc;

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::workshop::Workshop;
use crate::{
    contract::{Call, Effect, Failure, FailureClass, Manifest, Permission, Skill},
    product::git::{BRANCH, Message, OURS},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    product: String,
    rendered: String,
    #[serde(default)]
    blueprint_digest: Option<String>,
    #[serde(default)]
    template_digest: Option<String>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    written: Vec<String>,
}

pub(super) struct RepositoryCommit {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl RepositoryCommit {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "repository.commit",
            "Commits the rendered files to the product's git repository. Called again by the same run with the same \
             files it makes no second commit; on top of a commit that is not ours it refuses.",
        )
        .takes(json!({
            "type": "object",
            "required": ["product", "rendered"],
            "additionalProperties": false,
            "properties": {
                "product": {"type": "string"},
                "rendered": {"type": "string", "description": "`digest` of `template.render`"},
                "blueprintDigest": {"type": "string"},
                "templateDigest": {"type": "string"},
                "summary": {"type": "string", "description": "the commit's first line"},
                "written": {
                    "type": "array",
                    "description": "paths of the files that agents have written; each is a trailer",
                    "items": {"type": "string"},
                },
            },
        }))
        .gives(json!({
            "type": "object",
            "required": ["repository", "commit", "tree", "branch", "new"],
            "properties": {
                "repository": {"type": "string", "description": "a path that `git clone` takes"},
                "commit": {"type": "string"},
                "tree": {"type": "string"},
                "branch": {"type": "string"},
                "new": {"type": "boolean"},
            },
        }))
        .effect(Effect::Idempotent)
        .fails(&[FailureClass::Validation, FailureClass::External, FailureClass::Timeout])
        .needs(&[Permission::Files, Permission::Processes])
        .example_in_a_run(
            "the first commit",
            json!({"product": "helpdesk", "rendered": "sha256:00", "blueprintDigest": "sha256:11"}),
            json!({"repository": "/data/tenants/acme/products/helpdesk/repository.git", "commit": "c0ffee",
                   "tree": "7ee", "branch": "main", "new": true}),
        );
        Self { manifest, workshop }
    }

    async fn work(&self, call: Call) -> Result<Value, Failure> {
        let input: Input = call.input()?;
        let layout = self.workshop.layout(&call, &input.product)?;
        let files = layout.rendered(&input.rendered);
        if !files.is_dir() {
            return Err(Failure::validation(
                "repository.not-rendered",
                format!("what was rendered as `{}` is gone: retry the run from the step that renders", input.rendered),
            ));
        }
        let repository = self.workshop.repository(&layout);
        let subject = input.summary.clone().unwrap_or_else(|| format!("{}: made from its blueprint", input.product));
        let message = Message {
            subject: &subject,
            body: "Rendered by Agent Mesh from the blueprint and the template named below.",
            trailers: trailers(&call, &input),
            at: call.cause.occurred_at,
        };
        // Not interrupted: a commit takes a moment, and half of one helps nobody.
        let committed = repository.commit(&files, &message).await?;
        let word = if committed.new { "committed" } else { "stands already:" };
        call.log.note(format!("{word} {}", committed.commit));
        Ok(json!({
            "repository": repository.path(),
            "commit": committed.commit,
            "tree": committed.tree,
            "branch": BRANCH,
            "new": committed.new,
        }))
    }
}

fn trailers(call: &Call, input: &Input) -> Vec<(&'static str, String)> {
    let cause = &call.cause;
    let mut trailers = vec![
        ("Mesh-Tenant-Id", cause.tenant_id.to_string()),
        (OURS, call.run.clone()),
        ("Mesh-Trace-Id", cause.trace_id.to_string()),
        ("Mesh-Correlation-Id", cause.correlation_id.to_string()),
        ("Mesh-Causation-Id", cause.event_id.to_string()),
    ];
    let digests =
        [("Mesh-Blueprint-Digest", &input.blueprint_digest), ("Mesh-Template-Digest", &input.template_digest)];
    for (name, digest) in digests {
        trailers.extend(digest.clone().map(|digest| (name, digest)));
    }
    trailers.extend(input.written.iter().map(|path| ("Mesh-Agent-Wrote", path.clone())));
    trailers
}

impl Skill for RepositoryCommit {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(self.work(call))
    }
}

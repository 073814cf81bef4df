//! `knowledge.context` and `knowledge.outside`: cited pieces of what the tenant has read, for one task.
//!
//! Two, since what was written outside taints whoever reads it: the first gives only what was written inside.

use std::{sync::Arc, time::Duration};

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::contract::{Call, ContextAsk, Contexts, Effect, Failure, FailureClass, Manifest, Returns, Skill};

pub(super) struct KnowledgeContext {
    manifest: Manifest,
    contexts: Arc<dyn Contexts>,
    inside_only: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    intent: String,
    #[serde(default)]
    collections: Vec<String>,
    #[serde(default)]
    token_budget: u32,
}

impl KnowledgeContext {
    /// What was written inside.
    pub(super) fn inside(contexts: Arc<dyn Contexts>) -> Self {
        let what = "Finds what the tenant's own documents say about something: pieces with citations, best first, \
                    within a budget of tokens. Cite what you use by its handle.";
        Self { manifest: manifest("knowledge.context", what), contexts, inside_only: true }
    }

    /// What was written anywhere.
    pub(super) fn anywhere(contexts: Arc<dyn Contexts>) -> Self {
        let what = "Finds what all of the tenant's documents say about something, those included that were written \
                    outside: pieces with citations, best first, within a budget of tokens.";
        let manifest = manifest("knowledge.outside", what).returns(Returns::Tainted);
        Self { manifest, contexts, inside_only: false }
    }

    async fn work(&self, call: Call) -> Result<Value, Failure> {
        let Input { intent, collections, token_budget } = call.input()?;
        let ask = ContextAsk { intent, collections, token_budget, inside_only: self.inside_only };
        let given = self.contexts.build(&call, ask).await?;
        call.log.note(format!("{}: {} pieces, {} tokens", given.id, given.pieces.len(), given.tokens));
        let pieces: Vec<Value> = given
            .pieces
            .into_iter()
            .map(|piece| json!({"handle": piece.handle, "citation": piece.citation, "outside": piece.tainted}))
            .collect();
        Ok(json!({"contextId": given.id, "text": given.text, "tokens": given.tokens, "sources": pieces}))
    }
}

fn manifest(name: &str, what: &str) -> Manifest {
    Manifest::new(name, what)
        .takes(json!({
            "type": "object",
            "required": ["intent"],
            "additionalProperties": false,
            "properties": {
                "intent": {"type": "string", "minLength": 1, "maxLength": 8192, "description": "what to find out"},
                "collections": {
                    "type": "array", "maxItems": 16, "items": {"type": "string"},
                    "description": "where to look; everywhere when left out",
                },
                "tokenBudget": {"type": "integer", "minimum": 1, "maximum": 100_000},
            },
        }))
        .gives(json!({
            "type": "object",
            "required": ["contextId", "text", "tokens", "sources"],
            "properties": {
                "contextId": {"type": "string"},
                "text": {"type": "string"},
                "tokens": {"type": "integer"},
                "sources": {"type": "array", "items": {
                    "type": "object",
                    "required": ["handle", "citation"],
                    "properties": {
                        "handle": {"type": "string"},
                        "citation": {"type": "string"},
                        "outside": {"type": "boolean"},
                    },
                }},
            },
        }))
        .effect(Effect::Idempotent)
        .within(Duration::from_secs(30))
        .fails(&[FailureClass::Validation, FailureClass::External, FailureClass::Resource])
        .example_in_a_run(
            "a question",
            json!({"intent": "how are leases kept", "tokenBudget": 2000}),
            json!({"contextId": "ctx-1", "text": "[S1] docs/handbook#leases.md:1-9\nA lease …", "tokens": 40,
                   "sources": [{"handle": "S1", "citation": "docs/handbook#leases.md:1-9", "outside": false}]}),
        )
}

impl Skill for KnowledgeContext {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(self.work(call))
    }
}

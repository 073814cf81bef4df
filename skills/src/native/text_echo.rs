//! `text.echo`: gives back what it got. For trying a definition, and for joining texts.

use mesh_kernel::BoxFuture;
use serde_json::{Value, json};

use crate::contract::{Call, Failure, Gives, Manifest, Skill};

pub(super) struct TextEcho(Manifest);

impl Default for TextEcho {
    fn default() -> Self {
        Self(
            Manifest::new("text.echo", "Gives back the text that it got, and writes it to the log.")
                .takes(json!({
                    "type": "object",
                    "required": ["text"],
                    "additionalProperties": false,
                    "properties": {"text": {"type": "string", "description": "what to say"}},
                }))
                .gives(json!({
                    "type": "object",
                    "required": ["text"],
                    "properties": {"text": {"type": "string"}},
                }))
                .example("a greeting", json!({"text": "hello"}), Gives::Output(json!({"text": "hello"}))),
        )
    }
}

impl Skill for TextEcho {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let text = call.input.get("text").and_then(Value::as_str).unwrap_or_default();
            call.log.note(text);
            Ok(json!({"text": text}))
        })
    }
}

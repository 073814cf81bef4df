//! `text.echo`: gives back what it got. For trying a definition, and for joining texts.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::contract::{Call, Gives, Manifest, Skill, typed};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// what to say
    text: String,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    text: String,
}

pub(super) fn skill() -> Arc<dyn Skill> {
    let manifest = Manifest::new("text.echo", "Gives back the text that it got, and writes it to the log.").example(
        "a greeting",
        json!({"text": "hello"}),
        Gives::Output(json!({"text": "hello"})),
    );
    typed(manifest, async |Input { text }, call: Call| {
        call.log.note(&text);
        Ok(Output { text })
    })
}

//! `flow.fail`: fails, as the input says. For ending a run on purpose, and for trying how a
//! definition copes with a failure.

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::contract::{Call, Failure, FailureClass, Gives, Manifest, Skill};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    message: String,
    #[serde(default = "validation")]
    class: FailureClass,
    /// Attempts after this one succeed.
    #[serde(default)]
    attempts: Option<u32>,
}

fn validation() -> FailureClass {
    FailureClass::Validation
}

pub(super) struct FlowFail(Manifest);

impl Default for FlowFail {
    fn default() -> Self {
        let classes: Vec<_> = FailureClass::ALL.map(FailureClass::as_str).into();
        Self(
            Manifest::new("flow.fail", "Fails with a message; with `attempts`, only so many times.")
                .takes(json!({
                    "type": "object",
                    "required": ["message"],
                    "additionalProperties": false,
                    "properties": {
                        "message": {"type": "string", "minLength": 1},
                        "class": {"enum": classes, "description": "decides about retrying; `validation` when left out"},
                        "attempts": {"type": "integer", "minimum": 0, "description": "later attempts succeed"},
                    },
                }))
                .gives(json!({
                    "type": "object",
                    "required": ["attempt"],
                    "properties": {"attempt": {"type": "integer"}},
                }))
                .fails(&FailureClass::ALL)
                .example(
                    "stop here",
                    json!({"message": "the order is empty"}),
                    Gives::Failure(FailureClass::Validation),
                )
                .example(
                    "an outage",
                    json!({"message": "no answer", "class": "external"}),
                    Gives::Failure(FailureClass::External),
                )
                .example(
                    "an outage that is over",
                    json!({"message": "no answer", "class": "external", "attempts": 0}),
                    Gives::Output(json!({"attempt": 1})),
                ),
        )
    }
}

impl Skill for FlowFail {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let input: Input = call.input()?;
            match input.attempts {
                Some(attempts) if call.attempt > attempts => Ok(json!({"attempt": call.attempt})),
                _ => Err(Failure::new(input.class, "flow.fail", input.message)),
            }
        })
    }
}

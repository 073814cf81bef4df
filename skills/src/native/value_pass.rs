//! `value.pass`: gives back the value that it got and does nothing else. For shaping what flows between
//! steps, and for measuring what a step costs by itself.

use mesh_kernel::BoxFuture;
use serde_json::{Value, json};

use crate::contract::{Call, Failure, Gives, Manifest, Skill};

pub(super) struct ValuePass(Manifest);

impl Default for ValuePass {
    fn default() -> Self {
        Self(
            Manifest::new("value.pass", "Gives back the value that it got, whatever it is, and writes nothing.")
                .at_once()
                .takes(json!({
                    "type": "object",
                    "required": ["value"],
                    "additionalProperties": false,
                    "properties": {"value": {"description": "any value"}},
                }))
                .gives(json!({
                    "type": "object",
                    "required": ["value"],
                    "properties": {"value": {"description": "the same value"}},
                }))
                .example(
                    "an address put together",
                    json!({"value": {"city": "Lund", "zip": "22100"}}),
                    Gives::Output(json!({"value": {"city": "Lund", "zip": "22100"}})),
                ),
        )
    }
}

impl Skill for ValuePass {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move { Ok(passed(&call.input)) })
    }

    fn compute(&self, input: &Value) -> Option<Result<Value, Failure>> {
        Some(Ok(passed(input)))
    }
}

fn passed(input: &Value) -> Value {
    json!({"value": input["value"]})
}

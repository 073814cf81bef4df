//! `time.sleep`: does nothing for a while, and stops at once when cancelled.
//!
//! A timer step waits without holding a worker and survives a restart; this one stands in for work
//! that takes its time.

use std::time::Duration;

use mesh_kernel::BoxFuture;
use serde_json::{Value, json};

use crate::contract::{Call, Failure, Gives, Manifest, Skill};

pub(super) struct TimeSleep(Manifest);

impl Default for TimeSleep {
    fn default() -> Self {
        Self(
            Manifest::new("time.sleep", "Takes some time, as work would; a timer step only waits.")
                .takes(json!({
                    "type": "object",
                    "required": ["milliseconds"],
                    "additionalProperties": false,
                    "properties": {
                        "milliseconds": {"type": "integer", "minimum": 0, "maximum": 86_400_000},
                    },
                }))
                .gives(json!({
                    "type": "object",
                    "required": ["milliseconds"],
                    "properties": {"milliseconds": {"type": "integer"}},
                }))
                .within(Duration::from_secs(24 * 3600 + 60))
                .example("a short rest", json!({"milliseconds": 5}), Gives::Output(json!({"milliseconds": 5}))),
        )
    }
}

impl Skill for TimeSleep {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let milliseconds = call.input.get("milliseconds").and_then(Value::as_u64).unwrap_or_default();
            let sleep = async {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                Ok(json!({"milliseconds": milliseconds}))
            };
            call.unless_cancelled(sleep).await
        })
    }
}

//! `time.sleep`: does nothing for a while, and stops at once when cancelled.
//!
//! A timer step waits without holding a worker and survives a restart; this one stands in for work
//! that takes its time.

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::contract::{Call, Gives, Manifest, Skill, typed};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    #[schemars(range(min = 0, max = 86_400_000))]
    milliseconds: u64,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    milliseconds: u64,
}

pub(super) fn skill() -> Arc<dyn Skill> {
    let manifest = Manifest::new("time.sleep", "Takes some time, as work would; a timer step only waits.")
        .within(Duration::from_secs(24 * 3600 + 60))
        .example("a short rest", json!({"milliseconds": 5}), Gives::Output(json!({"milliseconds": 5})));
    typed(manifest, async |Input { milliseconds }, call: Call| {
        let sleep = async {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            Ok(Output { milliseconds })
        };
        call.unless_cancelled(sleep).await
    })
}

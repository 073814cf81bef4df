//! A native skill of your own: types, a function, and what the manifest says beside them.
//!
//! In this tree it would be a file in `skills/src/native` and a line in its `general()`.

use std::sync::Arc;

use mesh_skills::contract::{Call, Failure, FailureClass, Gives, Manifest, Skill, typed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// what the words are counted of
    text: String,
    /// fewer are refused
    #[serde(default)]
    at_least: usize,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    words: usize,
}

fn skill() -> Arc<dyn Skill> {
    let manifest = Manifest::new("text.words", "Counts the words of a text.")
        .fails_with("text.short", FailureClass::Validation, "The text has fewer words than asked for.")
        .example("two words", json!({"text": "good morning"}), Gives::Output(json!({"words": 2})))
        .example("too short", json!({"text": "hi", "at_least": 2}), Gives::Failure(FailureClass::Validation));
    typed(manifest, async |input: Input, call: Call| {
        let words = input.text.split_whitespace().count();
        call.log.note(format!("{words} words"));
        if words < input.at_least {
            return Err(Failure::validation("text.short", format!("{words} words, {} expected", input.at_least)));
        }
        Ok(Output { words })
    })
}

fn main() {
    println!("{}", serde_json::to_string_pretty(skill().manifest()).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use mesh_kernel::envelope::{
        CorrelationId, Envelope, EventId, Headers, IdempotencyKey, Principal, TenantId, TenantScope, Timestamp, TraceId,
    };
    use mesh_skills::{contract::Registered, logs::LogWriter};

    use super::*;

    fn call(input: serde_json::Value) -> Call {
        let tenant = TenantId::parse("acme").unwrap();
        let cause = Envelope {
            event_id: EventId::parse("evt-1").unwrap(),
            event_type: "StepRequested".into(),
            tenant_id: tenant.clone(),
            project_id: None,
            module_id: None,
            trace_id: TraceId::parse("trace-run-1").unwrap(),
            correlation_id: CorrelationId::parse("run-1").unwrap(),
            causation_id: EventId::parse("evt-0").unwrap(),
            occurred_at: Timestamp::from_unix_nanos(0),
            payload: Default::default(),
            headers: Headers::new("acme/control-plane/run/run-1".parse().unwrap(), Principal::system("test")),
        };
        Call {
            scope: TenantScope::unproven(tenant),
            key: IdempotencyKey::parse("run-1.step.1").unwrap(),
            attempt: 1,
            run: "run-1".into(),
            step: "step".into(),
            item: None,
            input,
            cause: Arc::new(cause),
            log: LogWriter::silent(),
            cancelled: Default::default(),
        }
    }

    #[tokio::test]
    async fn its_examples_are_true() {
        let entry = Registered::new(skill()).unwrap();
        for example in &entry.manifest().examples {
            entry.check_input(&example.input).unwrap();
            let came = entry.skill().call(call(example.input.clone())).await;
            assert!(example.gives.fits(came.as_ref().map_err(|failure| failure.class)), "{}: {came:?}", example.title);
        }
        assert!(entry.check_input(&json!({"txt": "no text"})).is_err());
    }
}

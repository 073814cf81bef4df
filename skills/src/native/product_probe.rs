//! `product.probe`: is it alive, and is it ready?

use std::time::Duration;

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    contract::{Call, Failure, FailureClass, Gives, Manifest, Permission, Skill},
    product::http::Ask,
};

/// How often it is asked.
const EVERY: Duration = Duration::from_millis(200);

/// How long it may take to become ready.
const WITHIN: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Input {
    url: String,
}

pub(super) struct ProductProbe(Manifest);

impl Default for ProductProbe {
    fn default() -> Self {
        Self(
            Manifest::new("product.probe", "Asks a product for `/healthz` and `/readyz` until both say yes.")
                .takes(json!({
                    "type": "object",
                    "required": ["url"],
                    "additionalProperties": false,
                    "properties": {"url": {"type": "string"}},
                }))
                .gives(json!({
                    "type": "object",
                    "required": ["healthy", "ready"],
                    "properties": {"healthy": {"const": true}, "ready": {"const": true}},
                }))
                .within(WITHIN + Duration::from_secs(15))
                .fails(&[FailureClass::Validation, FailureClass::External])
                .needs(&[Permission::Loopback])
                .example(
                    "another machine",
                    json!({"url": "http://example.org"}),
                    Gives::Failure(FailureClass::Validation),
                )
                .example_in_a_run(
                    "a running product",
                    json!({"url": "http://127.0.0.1:40001"}),
                    json!({"healthy": true, "ready": true}),
                ),
        )
    }
}

/// Asks until the answer is 200.
async fn until_ok(url: &str) -> Result<(), Failure> {
    let mut last = None;
    let asking = async {
        loop {
            match Ask::get(url).send().await {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) => last = Some(format!("{}: {}", answer.status, answer.excerpt())),
                Err(failure) if failure.class == FailureClass::Validation => return Err(failure),
                Err(failure) => last = Some(failure.message),
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    let asked = tokio::time::timeout(WITHIN, asking).await;
    asked.unwrap_or_else(|_| {
        let last = last.unwrap_or_else(|| "no answer".to_owned());
        Err(Failure::external(
            "product.not-ready",
            format!("`{url}` did not say yes within {WITHIN:?}; at last: {last}"),
        ))
    })
}

impl Skill for ProductProbe {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let input: Input = call.input()?;
            let url = input.url.trim_end_matches('/');
            for path in ["healthz", "readyz"] {
                call.unless_cancelled(until_ok(&format!("{url}/{path}"))).await?;
                call.log.note(format!("/{path} says yes"));
            }
            Ok(json!({"healthy": true, "ready": true}))
        })
    }
}

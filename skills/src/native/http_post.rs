//! `http.post`: sends JSON to a server on this machine, with the step's key so that the receiver
//! tells a repeat from a second order.

use std::time::Duration;

use mesh_kernel::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    contract::{Call, Effect, Failure, FailureClass, Gives, Manifest, Permission, Skill},
    product::http::{Answer, Ask},
};

/// The step's own timeout ends it before.
const LONGEST: Duration = Duration::from_secs(86_400);

#[derive(Deserialize)]
struct Input {
    url: String,
    #[serde(default)]
    body: Value,
}

pub(super) struct HttpPost(Manifest);

impl Default for HttpPost {
    fn default() -> Self {
        Self(
            Manifest::new(
                "http.post",
                "Posts JSON to a server on this machine. `Idempotency-Key` carries the step's key, which stays \
                 the same when an attempt is asked for again; `Mesh-Attempt`, `Mesh-Run-Id` and `Mesh-Trace-Id` \
                 say who asks.",
            )
            .takes(json!({
                "type": "object",
                "required": ["url"],
                "additionalProperties": false,
                "properties": {
                    "url": {"type": "string", "description": "`http://` and an address of this machine"},
                    "body": {"description": "any JSON"},
                },
            }))
            .gives(json!({
                "type": "object",
                "required": ["status", "body"],
                "properties": {
                    "status": {"type": "integer"},
                    "body": {"description": "JSON when the answer is JSON, else text"},
                },
            }))
            .effect(Effect::AtLeastOnce)
            .within(Duration::from_secs(30))
            .fails(&[FailureClass::Validation, FailureClass::External, FailureClass::Timeout])
            .needs(&[Permission::Loopback])
            .example(
                "another machine",
                json!({"url": "http://example.org/hook", "body": {}}),
                Gives::Failure(FailureClass::Validation),
            )
            .example_in_a_run(
                "a callback",
                json!({"url": "http://127.0.0.1:9000/hook", "body": {"order": 7}}),
                json!({"status": 200, "body": {"taken": true}}),
            ),
        )
    }
}

impl Skill for HttpPost {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let input: Input = call.input()?;
            let ask = Ask { within: LONGEST, ..Ask::post_json(&input.url, &input.body) }
                .with("idempotency-key", call.key.as_str())
                .with("mesh-attempt", call.attempt.to_string())
                .with("mesh-tenant-id", call.tenant().as_str())
                .with("mesh-run-id", &call.run)
                .with("mesh-step", &call.step)
                .with("mesh-trace-id", call.cause.trace_id.as_str());
            let answer = call.unless_cancelled(ask.send()).await?;
            call.log.note(format!("POST {} answered {}", input.url, answer.status));
            judge(&input.url, &answer)
        })
    }
}

/// A 4xx will be said again; what says "later" or fails itself may be asked again.
fn judge(url: &str, answer: &Answer) -> Result<Value, Failure> {
    let said = || format!("`{url}` answered {}: {}", answer.status, answer.excerpt());
    match answer.status {
        200..300 => {
            let body = serde_json::from_slice(&answer.body)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&answer.body).into_owned()));
            Ok(json!({"status": answer.status, "body": body}))
        }
        408 | 425 | 429 | 500.. => {
            let failure = Failure::external("http.status", said());
            let wait = answer.header("retry-after").and_then(|text| text.parse().ok());
            Err(match wait {
                Some(seconds) => failure.after(Duration::from_secs(seconds)),
                None => failure,
            })
        }
        _ => Err(Failure::validation("http.status", said())),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::contract::testing;

    /// Answers one request and gives what it read.
    async fn serve(listener: TcpListener, answer: &'static str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"{\"order\":7}") {
            stream.read_buf(&mut seen).await.unwrap();
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(seen).unwrap()
    }

    async fn post(answer: &'static str) -> (Result<Value, Failure>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let server = mesh_kernel::task::spawn("server", serve(listener, answer));
        let call = testing::call(json!({"url": url, "body": {"order": 7}}));
        let result = HttpPost::default().call(call).await;
        (result, server.await.unwrap())
    }

    #[tokio::test]
    async fn the_receiver_is_told_the_key_and_the_attempt() {
        let (result, seen) = post("HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"taken\":true}").await;
        assert_eq!(result.unwrap(), json!({"status": 200, "body": {"taken": true}}));
        for header in ["POST /hook ", "idempotency-key: run-1.step.1", "mesh-attempt: 1", "mesh-run-id: run-1"] {
            assert!(seen.contains(header), "`{header}` is missing in {seen}");
        }
    }

    #[tokio::test]
    async fn a_later_is_external_with_its_delay_and_a_no_is_final() {
        let (result, _) = post("HTTP/1.1 503 Busy\r\nretry-after: 3\r\ncontent-length: 0\r\n\r\n").await;
        let failure = result.unwrap_err();
        assert_eq!(failure.class, FailureClass::External);
        assert_eq!(failure.retry_after, Some(Duration::from_secs(3)));
        let (result, _) = post("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(result.unwrap_err().class, FailureClass::Validation);
    }
}

//! What the server was asked: for tests that count.

use std::time::Duration;

use hyper::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A request that reached the server, answered or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// `X-Client-Request-Id`.
    pub attempt: String,
    /// `Idempotency-Key`.
    pub idempotency_key: String,
    /// The model that was asked for.
    pub model: String,
    /// SHA-256 of the body, in hexadecimal digits.
    pub body: String,
    /// How many messages the conversation had.
    pub messages: usize,
    /// Milliseconds after the server began.
    pub at_ms: u64,
}

impl Seen {
    pub(crate) fn of(headers: &HeaderMap, body: &[u8], request: &Value, at: Duration) -> Self {
        let text = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            attempt: header(headers, "x-client-request-id"),
            idempotency_key: header(headers, "idempotency-key"),
            model: text("model"),
            body: Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect(),
            messages: request.get("messages").and_then(Value::as_array).map_or(0, Vec::len),
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A header's text; empty when it is absent.
pub(crate) fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

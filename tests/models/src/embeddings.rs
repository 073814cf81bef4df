//! Embeddings that mean nothing and are the same for the same text.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::reply::Reply;

/// How long a vector is when the request does not say.
const DIMENSIONS: u64 = 8;

pub(crate) fn answer(body: &[u8]) -> Reply {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let dimensions = request.get("dimensions").and_then(Value::as_u64).unwrap_or(DIMENSIONS);
    let inputs = match request.get("input") {
        Some(Value::String(text)) => vec![text.as_str()],
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
        _ => return Reply::json(400, &json!({"error": {"message": "no `input`"}})),
    };
    let vector = |(index, text): (usize, &&str)| {
        let numbers: Vec<f64> = (0..dimensions).map(|place| number(text, place)).collect();
        json!({"object": "embedding", "index": index, "embedding": numbers})
    };
    let data: Vec<_> = inputs.iter().enumerate().map(vector).collect();
    let tokens: usize = inputs.iter().map(|text| text.len() / 4 + 1).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    let model = request.get("model").cloned().unwrap_or_default();
    Reply::json(200, &json!({"object": "list", "model": model, "data": data, "usage": usage}))
}

fn number(text: &str, place: u64) -> f64 {
    let digest = Sha256::digest(format!("{place}:{text}"));
    let byte = digest.first().copied().unwrap_or_default();
    f64::from(byte) / 127.5 - 1.0
}

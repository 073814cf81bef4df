//! Large values: out of a run's input into the content store, and out of there for whoever reads.

use bytes::Bytes;
use futures_util::stream;
use mesh_kernel::{
    envelope::{ErrorKind, Refusal, TenantScope},
    path::Caller,
    ports::{ContentError, ContentStore, Digest, content::INLINE_MAX},
};
use mesh_proto::v1;
use serde_json::{Map, Value, json};

use super::Answers;
use crate::gateway::{GatewayState, may_read, status::refused_field};

/// Bytes of one part of a body.
const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes that a run may be given, as JSON.
const INPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The input with its largest values in the content store, when it is too large for the journal.
///
/// The same input always gives the same references, so a repeated request is seen as one.
///
/// # Errors
/// When it is too large altogether, or there is no room.
pub(super) async fn store_large(
    content: &dyn ContentStore,
    scope: &TenantScope,
    input: Value,
) -> Result<Value, Refusal> {
    let mut length = encode(&input).len();
    if length > INPUT_BYTES_MAX {
        return Err(refused_field("input", format!("{length} bytes as JSON; at most {INPUT_BYTES_MAX} are taken")));
    }
    let Value::Object(fields) = input else { return Ok(input) };
    if length <= INLINE_MAX {
        return Ok(Value::Object(fields));
    }
    let mut by_size: Vec<_> = fields.iter().map(|(name, value)| (encode(value), name.clone())).collect();
    by_size.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.1.cmp(&b.1)));
    let mut fields: Map<_, _> = fields;
    for (text, name) in by_size {
        if length <= INLINE_MAX {
            break;
        }
        length = length.saturating_sub(text.len()) + 120;
        let bytes = text.len();
        let digest = content.put(scope, Bytes::from(text)).await.map_err(|error| refused(&error))?;
        fields.insert(name, json!({ "$ref": digest.to_string(), "bytes": bytes }));
    }
    Ok(Value::Object(fields))
}

/// A body in parts.
///
/// # Errors
/// `NotFound` when this tenant has no such body, whether another has it or not.
pub(super) async fn read(
    state: &GatewayState,
    caller: &Caller,
    request: v1::ReadContentRequest,
) -> Result<Answers<v1::ReadContentResponse>, Refusal> {
    may_read(caller)?;
    let digest: Digest = request
        .digest
        .parse()
        .map_err(|error: mesh_kernel::ports::content::NoDigest| refused_field("digest", error.to_string()))?;
    let body = state.content.get(caller.scope(), digest).await.map_err(|error| refused(&error))?;
    let total_bytes = body.len() as u64;
    let starts = (0..body.len().max(1)).step_by(CHUNK_BYTES);
    Ok(Box::pin(stream::iter(starts.map(move |from| {
        let chunk = body.slice(from..body.len().min(from + CHUNK_BYTES));
        Ok(v1::ReadContentResponse { chunk, total_bytes })
    }))))
}

fn refused(error: &ContentError) -> Refusal {
    let kind = match error {
        ContentError::NotFound(_) => ErrorKind::NotFound,
        ContentError::Damaged(_) => ErrorKind::Internal,
        ContentError::Full { .. } => ErrorKind::ResourceExhausted,
        ContentError::Io { .. } => ErrorKind::Unavailable,
    };
    Refusal::new("GTW-0023", kind, error.to_string())
}

fn encode(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

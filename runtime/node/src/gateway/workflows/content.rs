//! Large values: out of a run's input into the content store, and out of there for whoever reads.

use bytes::Bytes;
use futures_util::stream;
use mesh_kernel::{
    envelope::{ErrorKind, Refusal, TenantScope},
    path::Caller,
    ports::{ContentError, ContentStore, Digest, content::INLINE_MAX},
};
use mesh_proto::v1;
use mesh_skills::perform::resolve;
use serde_json::{Map, Value, json};

use super::Answers;
use crate::gateway::{GatewayState, open::kept_open, status::refused_field};

/// Bytes of one part of a body.
const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes that a run may be given, as JSON.
const INPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The input with its largest values set aside when it is too large for the journal, and the bodies
/// that its references stand for; nothing is stored yet.
///
/// The same input always gives the same references, so a repeated request is seen as one.
///
/// # Errors
/// When it is too large altogether.
pub(super) fn set_aside(input: &Value) -> Result<(Value, Vec<Bytes>), Refusal> {
    let mut length = encode(input).len();
    if length > INPUT_BYTES_MAX {
        return Err(refused_field("input", format!("{length} bytes as JSON; at most {INPUT_BYTES_MAX} are taken")));
    }
    let Some(fields) = input.as_object().filter(|_| length > INLINE_MAX) else {
        return Ok((input.clone(), Vec::new()));
    };
    let mut by_size: Vec<_> = fields.iter().map(|(name, value)| (encode(value), name)).collect();
    by_size.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.1.cmp(b.1)));
    let (mut kept, mut bodies) = (Map::new(), Vec::new());
    for (text, name) in by_size {
        let value = match length <= INLINE_MAX {
            true => fields.get(name).cloned().unwrap_or_default(),
            false => {
                length = length.saturating_sub(text.len()) + 120;
                let bytes = text.len();
                let body = Bytes::from(text);
                let reference = json!({ "$ref": Digest::of(&body).to_string(), "bytes": bytes });
                bodies.push(body);
                reference
            }
        };
        kept.insert(name.clone(), value);
    }
    Ok((Value::Object(kept), bodies))
}

/// Stores what was set aside.
///
/// # Errors
/// When there is no room.
pub(super) async fn store(content: &dyn ContentStore, scope: &TenantScope, bodies: Vec<Bytes>) -> Result<(), Refusal> {
    for body in bodies {
        content.put(scope, body).await.map_err(|error| refused(&error))?;
    }
    Ok(())
}

/// Whether some part of it claims to stand for a body in the content store.
pub(in crate::gateway) fn refers(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(refers),
        Value::Object(fields) => fields.get("$ref").is_some_and(Value::is_string) || fields.values().any(refers),
        _ => false,
    }
}

/// The input with every reference replaced by the body that it stands for, as a skill would see it.
///
/// # Errors
/// `InvalidArgument` when this tenant has no such body, whether another has it or not.
pub(super) async fn whole(content: &dyn ContentStore, scope: &TenantScope, input: Value) -> Result<Value, Refusal> {
    resolve(content, scope, input).await.map_err(|failure| refused_field("input", failure.message))
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
    let permit = state.mesh.admit_stream(caller, "ReadContent")?;
    let digest: Digest = request
        .digest
        .parse()
        .map_err(|error: mesh_kernel::ports::content::NoDigest| refused_field("digest", error.to_string()))?;
    let body = state.content.get(caller.scope(), digest).await.map_err(|error| refused(&error))?;
    let total_bytes = body.len() as u64;
    let starts = (0..body.len().max(1)).step_by(CHUNK_BYTES);
    let parts = stream::iter(starts.map(move |from| {
        let chunk = body.slice(from..body.len().min(from + CHUNK_BYTES));
        Ok(v1::ReadContentResponse { chunk, total_bytes })
    }));
    Ok(Box::pin(kept_open(parts, permit)))
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

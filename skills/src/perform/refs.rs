//! Large values travel by reference: `{"$ref": "sha256:…", "bytes": n}` stands for a JSON value in
//! the tenant's content store.

use std::collections::BTreeMap;

use bytes::Bytes;
use mesh_kernel::{
    envelope::TenantScope,
    ports::{ContentError, ContentStore, Digest, content::INLINE_MAX},
};
use serde_json::{Map, Value, json};

use crate::contract::Failure;

/// Largest output of a skill. **Units**: bytes of JSON.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most that one input may bring in by reference. **Units**: bytes of JSON.
pub const RESOLVED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Fields smaller than this stay in the output, where guards can see them. **Units**: bytes.
const FIELD_BYTES_MIN: usize = 1024;

/// The value with every reference replaced by what it stands for.
///
/// What comes out of the store is not searched for references again: it is data.
///
/// # Errors
/// A [`Failure`] when this tenant has no such body, it cannot be read, or all of them are too large.
pub async fn resolve(content: &dyn ContentStore, scope: &TenantScope, mut value: Value) -> Result<Value, Failure> {
    let mut wanted = BTreeMap::new();
    find(&value, &mut wanted)?;
    if wanted.is_empty() {
        return Ok(value);
    }
    let mut room = RESOLVED_BYTES_MAX;
    for (digest, body) in &mut wanted {
        let bytes = content.get(scope, *digest).await.map_err(|error| failure(&error))?;
        room = room.checked_sub(bytes.len()).ok_or_else(|| {
            Failure::resource(
                "content.too-large",
                format!("the input brings in more than {RESOLVED_BYTES_MAX} bytes by reference"),
            )
        })?;
        *body = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::internal("content.json", format!("the body `{digest}` is no JSON value: {error}"))
        })?;
    }
    replace(&mut value, &wanted);
    Ok(value)
}

/// The output, with its largest fields in the store when it is too large for the journal. When
/// that is not enough, or it is no object, all of it goes there.
pub(super) async fn store(content: &dyn ContentStore, scope: &TenantScope, output: Value) -> Result<Value, Failure> {
    let text = encode(&output);
    if text.len() <= INLINE_MAX {
        return Ok(output);
    }
    if text.len() > OUTPUT_BYTES_MAX {
        return Err(Failure::resource(
            "skill.output-too-large",
            format!("the output has {} bytes; at most {OUTPUT_BYTES_MAX} are taken", text.len()),
        ));
    }
    match output {
        Value::Object(fields) if can_shrink(&fields) => store_fields(content, scope, fields, text.len()).await,
        _ => put(content, scope, text).await,
    }
}

/// Whether the small fields alone are small enough.
fn can_shrink(fields: &Map<String, Value>) -> bool {
    let kept: usize = fields.iter().map(|(name, value)| name.len() + encode(value).len().min(FIELD_BYTES_MIN)).sum();
    kept <= INLINE_MAX / 2
}

async fn store_fields(
    content: &dyn ContentStore,
    scope: &TenantScope,
    mut fields: Map<String, Value>,
    mut length: usize,
) -> Result<Value, Failure> {
    let mut by_size: Vec<_> = fields.iter().map(|(name, value)| (encode(value), name.clone())).collect();
    by_size.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    for (text, name) in by_size {
        if length <= INLINE_MAX {
            break;
        }
        length = length.saturating_sub(text.len()) + 120;
        fields.insert(name, put(content, scope, text).await?);
    }
    Ok(Value::Object(fields))
}

async fn put(content: &dyn ContentStore, scope: &TenantScope, text: Vec<u8>) -> Result<Value, Failure> {
    let bytes = text.len();
    let digest = content.put(scope, Bytes::from(text)).await.map_err(|error| failure(&error))?;
    Ok(json!({"$ref": digest.to_string(), "bytes": bytes}))
}

fn encode(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// The digest, when this value is a reference.
fn reference(value: &Value) -> Option<&str> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    fields.get("bytes")?.as_u64()?;
    fields.get("$ref")?.as_str().filter(|text| text.starts_with("sha256:"))
}

fn find(value: &Value, into: &mut BTreeMap<Digest, Value>) -> Result<(), Failure> {
    if let Some(text) = reference(value) {
        let digest =
            text.parse().map_err(|error| Failure::validation("content.reference", format!("in the input: {error}")))?;
        into.insert(digest, Value::Null);
        return Ok(());
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| find(item, into)),
        Value::Object(fields) => fields.values().try_for_each(|field| find(field, into)),
        _ => Ok(()),
    }
}

fn replace(value: &mut Value, by: &BTreeMap<Digest, Value>) {
    let body = reference(value).and_then(|text| by.get(&text.parse::<Digest>().ok()?));
    if let Some(body) = body {
        *value = body.clone();
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, by)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, by)),
        _ => {}
    }
}

fn failure(error: &ContentError) -> Failure {
    let (text, code) = (error.to_string(), "content.store");
    match error {
        ContentError::NotFound(_) => Failure::validation("content.missing", text),
        ContentError::Damaged(_) => Failure::internal("content.damaged", text),
        ContentError::Full { .. } => Failure::resource("content.full", text),
        ContentError::Io { .. } => Failure::external(code, text),
    }
}

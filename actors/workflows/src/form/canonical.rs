//! Canonical JSON, so that the same definition has the same digest wherever it was written.

use mesh_kernel::ports::Digest;
use mesh_proto::v1::WorkflowDefinition;
use serde_json::Value;

use super::to_json;

/// JSON without spaces, keys in order of their bytes.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// The digest of any JSON value.
pub fn digest_of(value: &Value) -> Digest {
    Digest::of(canonical(value).as_bytes())
}

/// The digest that names a version of a definition.
pub fn digest(definition: &WorkflowDefinition) -> Digest {
    digest_of(&to_json(definition))
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| name.as_str());
            text.push('{');
            for (at, (name, field)) in fields.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&Value::String(name.clone()).to_string());
                text.push(':');
                write(field, text);
            }
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

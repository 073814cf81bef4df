//! A blueprint's name by its content.

use std::collections::BTreeMap;

use mesh_kernel::ports::Digest;
use serde_json::Value;

use super::Blueprint;

/// `sha256:` and the digest of the blueprint as canonical JSON: keys sorted, no spaces.
///
/// Comments, order of keys and quoting of the file do not count; the order of lists does.
pub fn digest(blueprint: &Blueprint) -> String {
    let mut bytes = String::new();
    // A blueprint holds nothing that JSON lacks.
    canonical(&serde_json::to_value(blueprint).unwrap_or_default(), &mut bytes);
    Digest::of(bytes.as_bytes()).to_string()
}

/// Writes a value with sorted keys, whatever order `serde_json` has been built to keep.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(entries) => {
            let sorted: BTreeMap<_, _> = entries.iter().collect();
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

//! The message as JSON (protobuf's canonical form) and back.

use mesh_proto::{json::number_to_json, v1::WorkflowDefinition};
use mesh_skills::yaml::{Key, Kind as NodeKind, Mistake, Node, Span};
use prost::Message as _;
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::{Map, Value};

use super::{descriptor, read};

/// A definition as JSON, camelCase, without what is not said.
pub fn to_json(definition: &WorkflowDefinition) -> Value {
    let Some(descriptor) = descriptor() else { return Value::Null };
    let Ok(message) = DynamicMessage::decode(descriptor, definition.encode_to_vec().as_slice()) else {
        return Value::Null;
    };
    let value =
        message.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new()).unwrap_or_default();
    whole_numbers(value)
}

/// A definition from JSON, as [`super::parse`] reads it from text.
///
/// # Errors
/// Every mistake of form, without places: JSON values have none.
pub fn from_json(value: &Value) -> Result<WorkflowDefinition, Vec<Mistake>> {
    let read = read::read_node(&node(value), None)?;
    if read.mistakes.is_empty() { Ok(read.definition) } else { Err(read.mistakes) }
}

/// A JSON value as the tree that readers walk; it was bounded when it was text.
fn node(value: &Value) -> Node {
    let span = Span { line: 1, column: 1 };
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::Bool(value) => NodeKind::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => NodeKind::Int(whole),
            None => NodeKind::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => NodeKind::String(text.clone()),
        Value::Array(items) => NodeKind::Seq(items.iter().map(node).collect()),
        Value::Object(fields) => {
            NodeKind::Map(fields.iter().map(|(name, field)| (Key { span, name: name.clone() }, node(field))).collect())
        }
    };
    Node { span, kind }
}

/// `3.0` of a protobuf number becomes `3`, as it was written.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => number_to_json(number.as_f64().unwrap_or_default()),
        Value::Array(items) => Value::Array(items.into_iter().map(whole_numbers).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, field)| (name, whole_numbers(field))).collect::<Map<_, _>>())
        }
        other => other,
    }
}

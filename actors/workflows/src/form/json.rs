//! The message as JSON (protobuf's canonical form) and back.

use mesh_proto::v1::WorkflowDefinition;
use mesh_skills::yaml::{Key, Kind as NodeKind, Mistake, Node, Span};
use prost::Message as _;
use prost_reflect::{DynamicMessage, SerializeOptions};
use prost_types::{ListValue, Struct, value::Kind};
use serde_json::{Map, Number, Value};

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

/// A JSON value as protobuf's.
///
/// **Units**: protobuf knows one sort of number, the double; whole numbers beyond 2^53 lose digits.
pub fn to_value(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(bool) => Kind::BoolValue(*bool),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(to_value).collect() }),
        Value::Object(fields) => Kind::StructValue(to_fields(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// A JSON object as protobuf's; `None` for anything else.
pub fn to_struct(value: &Value) -> Option<Struct> {
    value.as_object().map(to_fields)
}

fn to_fields(fields: &Map<String, Value>) -> Struct {
    Struct { fields: fields.iter().map(|(name, value)| (name.clone(), to_value(value))).collect() }
}

/// A protobuf `Struct` as JSON. Numbers that are whole become whole numbers.
pub fn struct_to_json(fields: &Struct) -> Value {
    Value::Object(fields.fields.iter().map(|(name, value)| (name.clone(), value_to_json(value))).collect())
}

/// A protobuf `Value` as JSON.
pub fn value_to_json(value: &prost_types::Value) -> Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => number_to_json(*number),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::BoolValue(value)) => Value::Bool(*value),
        Some(Kind::StructValue(fields)) => struct_to_json(fields),
        Some(Kind::ListValue(list)) => Value::Array(list.values.iter().map(value_to_json).collect()),
    }
}

/// Beyond this a `double` no longer tells neighbouring whole numbers apart.
const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;

fn number_to_json(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
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

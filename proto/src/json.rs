//! JSON values as `google.protobuf.Struct` and `Value`, and back.
//!
//! **Units**: protobuf knows one sort of number, the double; whole numbers beyond 2^53 lose digits.

use prost_types::{ListValue, Struct, Value as ProtoValue, value::Kind};
use serde_json::{Map, Number, Value};

/// A JSON value as protobuf's.
///
/// **Units**: protobuf knows one sort of number, the double; whole numbers beyond 2^53 lose digits.
pub fn to_value(value: &Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(bool) => Kind::BoolValue(*bool),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(to_value).collect() }),
        Value::Object(fields) => Kind::StructValue(to_fields(fields)),
    };
    ProtoValue { kind: Some(kind) }
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
pub fn value_to_json(value: &ProtoValue) -> Value {
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

/// A protobuf number as JSON's: whole where it is whole.
pub fn number_to_json(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_goes_there_comes_back() {
        let value = json!({ "a": [1, 2.5, null, true, "x"], "b": { "c": -3 }, "d": 9_007_199_254_740_991_u64 });
        assert_eq!(value_to_json(&to_value(&value)), value);
        assert_eq!(to_struct(&value).map(|fields| struct_to_json(&fields)), Some(value));
        assert_eq!(to_struct(&json!([1])), None);
        assert_eq!(number_to_json(f64::NAN), Value::Null);
    }
}

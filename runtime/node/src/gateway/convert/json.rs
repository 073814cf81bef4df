//! JSON values as `google.protobuf.Struct` and `Value`, both ways.
//!
//! **Units**: protobuf knows one sort of number, the double. A whole number up to 2^53 comes back as
//! a whole number; larger ones lose digits and belong into strings.

use mesh_kernel::envelope::Refusal;
pub(in crate::gateway) use mesh_workflows::form::{to_struct, to_value};
use prost_types::{Struct, Value as ProtoValue, value::Kind};
use serde_json::{Map, Number, Value};

use crate::gateway::status::refused_field;

/// The largest whole number up to which every one has a double.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// A protobuf value as JSON.
///
/// # Errors
/// A number that JSON cannot say; `path` names it.
pub(in crate::gateway) fn from_value(value: &ProtoValue, path: &str) -> Result<Value, Refusal> {
    Ok(match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(bool)) => Value::Bool(*bool),
        Some(Kind::NumberValue(number)) => Value::Number(from_number(*number, path)?),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::ListValue(list)) => Value::Array(
            list.values
                .iter()
                .enumerate()
                .map(|(index, item)| from_value(item, &format!("{path}[{index}]")))
                .collect::<Result<_, _>>()?,
        ),
        Some(Kind::StructValue(fields)) => from_struct(fields, path)?,
    })
}

/// A protobuf struct as a JSON object.
///
/// # Errors
/// As [`from_value`].
pub(in crate::gateway) fn from_struct(fields: &Struct, path: &str) -> Result<Value, Refusal> {
    let mut object = Map::new();
    for (name, value) in &fields.fields {
        object.insert(name.clone(), from_value(value, &format!("{path}.{name}"))?);
    }
    Ok(Value::Object(object))
}

fn from_number(number: f64, path: &str) -> Result<Number, Refusal> {
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within the bound just checked")]
        return Ok(Number::from(number as i64));
    }
    Number::from_f64(number).ok_or_else(|| refused_field(path, "NaN and infinity are no JSON: leave the field out"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives_protobuf() {
        for value in [
            json!(null),
            json!(true),
            json!(3),
            json!(-9_007_199_254_740_992_i64),
            json!(0.5),
            json!("text"),
            json!([1, [2, {"a": null}]]),
            json!({"a": {"b": [1.5, "x"]}, "": 0}),
        ] {
            assert_eq!(from_value(&to_value(&value), "input").unwrap(), value);
        }
    }

    #[test]
    fn a_number_that_json_cannot_say_is_named() {
        let nan = ProtoValue { kind: Some(Kind::NumberValue(f64::NAN)) };
        let list = ProtoValue { kind: Some(Kind::ListValue(prost_types::ListValue { values: vec![nan] })) };
        let input = Struct { fields: [("scores".to_owned(), list)].into() };
        let refusal = from_struct(&input, "input").unwrap_err();
        assert_eq!(refusal.fields[0].field, "input.scores[0]");
    }
}

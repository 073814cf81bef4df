//! JSON to CEL and back.

use std::{collections::HashMap, sync::Arc};

use cel::{
    Value as Cel,
    objects::{Key, Map},
};
use serde_json::{Map as Object, Number, Value};

/// A JSON value as CEL sees it. Whole numbers become `int`, so that `input.n + 1` works.
pub(super) fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => number_to_cel(number),
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(fields) => {
            let map: HashMap<Key, Cel> =
                fields.iter().map(|(name, value)| (Key::String(Arc::new(name.clone())), to_cel(value))).collect();
            Cel::Map(Map { map: Arc::new(map) })
        }
    }
}

fn number_to_cel(number: &Number) -> Cel {
    if let Some(whole) = number.as_i64() {
        Cel::Int(whole)
    } else if let Some(whole) = number.as_u64() {
        Cel::UInt(whole)
    } else {
        Cel::Float(number.as_f64().unwrap_or(f64::NAN))
    }
}

/// A CEL value as JSON, or none when it has no JSON form (a function, a type, NaN).
pub(super) fn to_json(value: &Cel) -> Option<Value> {
    Some(match value {
        Cel::Null => Value::Null,
        Cel::Bool(value) => Value::Bool(*value),
        Cel::Int(number) => Value::from(*number),
        Cel::UInt(number) => Value::from(*number),
        Cel::Float(number) => Value::Number(Number::from_f64(*number)?),
        Cel::String(text) => Value::String(text.as_ref().clone()),
        Cel::List(items) => Value::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Cel::Map(map) => Value::Object(
            map.map
                .iter()
                .map(|(key, value)| Some((key_text(key), to_json(value)?)))
                .collect::<Option<Object<_, _>>>()?,
        ),
        _ => return None,
    })
}

fn key_text(key: &Key) -> String {
    match key {
        Key::Int(number) => number.to_string(),
        Key::Uint(number) => number.to_string(),
        Key::Bool(value) => value.to_string(),
        Key::String(text) => text.as_ref().clone(),
    }
}

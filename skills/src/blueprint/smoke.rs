//! Requests that make one record of each entity: what a smoke test of a running product sends.

use serde_json::{Map, Value};

use super::model::{Blueprint, Entity, FieldKind};

/// A request that makes one record.
#[derive(Clone, Debug, PartialEq)]
pub struct SmokeRequest {
    /// Name of the entity.
    pub entity: String,
    /// Where to send it, with `POST`.
    pub path: String,
    /// What to send. A text `@entity` is to be replaced by the `id` of the answer for that entity,
    /// `@me` by `person` of the answer to the sign-up.
    pub body: Value,
}

/// One request for each entity, each after those whose answers it needs.
///
/// The values are those of the first sample row; the product resolves relative dates itself when
/// they are sent to `/api/…` as they stand in the sample.
pub fn smoke_requests(blueprint: &Blueprint) -> Vec<SmokeRequest> {
    let ordered = blueprint.entities_by_need();
    ordered.into_iter().map(|entity| request(blueprint, entity)).collect()
}

fn request(blueprint: &Blueprint, entity: &Entity) -> SmokeRequest {
    let mut body = Map::new();
    for (name, value) in blueprint.rows(&entity.name).first().into_iter().flatten() {
        let (Some(field), Some(value)) = (entity.field(name), value) else {
            continue;
        };
        let value = match &field.kind {
            FieldKind::Boolean => Value::Bool(value == "true"),
            FieldKind::Reference { to } => Value::String(format!("@{to}")),
            FieldKind::Integer => value.parse::<i64>().map_or(Value::Null, Value::from),
            _ => Value::String(value.clone()),
        };
        body.insert(name.clone(), value);
    }
    SmokeRequest { entity: entity.name.clone(), path: format!("/api/{}", entity.path), body: Value::Object(body) }
}

//! How an entity's records are kept: columns, places, the search.

use serde::Serialize;

use super::field::FieldContext;
use crate::blueprint::{Entity, FieldKind};

/// What the statements of an entity's table are made of.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Storing {
    search: String,
    places: Vec<usize>,
    last_place: usize,
    params: Vec<String>,
}

impl Storing {
    pub(super) fn of(entity: &Entity, fields: &[FieldContext]) -> Self {
        let last_place = fields.len() + 2 + usize::from(entity.states.is_some());
        Self {
            search: search(entity),
            places: (2..last_place).collect(),
            last_place,
            params: params(entity, fields, entity.states.is_some()),
        }
    }
}

/// Words are looked for in all texts.
fn search(entity: &Entity) -> String {
    let texts = entity.fields.iter().filter(|field| matches!(field.kind, FieldKind::String | FieldKind::Text));
    let parts: Vec<String> = texts.map(|field| format!("\"{}\" LIKE ?1 ESCAPE '\\'", field.name)).collect();
    parts.join(" OR ")
}

/// The values of a row, in the order of its columns.
fn params(entity: &Entity, fields: &[FieldContext], states: bool) -> Vec<String> {
    let name = &entity.name;
    let mut params = vec![format!("&{name}.id")];
    params.extend(fields.iter().map(|field| {
        let text = if field.values.is_empty() { "" } else { ".text()" };
        format!("&{name}.{}{text}", field.name)
    }));
    params.extend(states.then(|| format!("&{name}.state.name()")));
    params.push("&now".to_owned());
    params
}

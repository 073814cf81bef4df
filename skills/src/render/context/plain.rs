//! A plain record as Rust: what the tests of a rule that an agent writes begin with.

use crate::blueprint::{Blueprint, Entity, Field, FieldKind};
use crate::render::rules::decimal;
use crate::render::words::{literal, pascal};

/// The fields of a record of the first sample row, with nothing where nothing is allowed. What is relative to the
/// day of use is fixed, for a test shall say the same every day.
pub(in crate::render) fn fields(blueprint: &Blueprint, entity: &Entity) -> Vec<String> {
    let row = blueprint.rows(&entity.name).first();
    let mut fields = vec!["id: String::new()".to_owned()];
    for field in &entity.fields {
        let given = row.and_then(|row| row.get(&field.name)).and_then(Option::as_deref);
        let optional = !field.required && field.kind != FieldKind::Boolean;
        let value = if optional { "None".to_owned() } else { value(entity, field, given.unwrap_or_default()) };
        fields.push(format!("{}: {value}", field.name));
    }
    if let Some(states) = &entity.states {
        fields.push(format!("state: super::State::{}", pascal(&states.initial)));
    }
    fields
}

fn value(entity: &Entity, field: &Field, given: &str) -> String {
    let owned = |text: &str| format!("{}.to_owned()", literal(text));
    match &field.kind {
        FieldKind::String | FieldKind::Text => owned(given),
        FieldKind::Date => owned("2026-01-31"),
        FieldKind::Datetime => owned("2026-01-31T14:00"),
        FieldKind::Reference { to } => owned(&format!("{to}_1")),
        FieldKind::Member => owned("person_1"),
        FieldKind::Integer => given.parse::<i64>().unwrap_or_default().to_string(),
        FieldKind::Decimal => format!("saas_spine::entity::Decimal({})", decimal(given)),
        FieldKind::Boolean => (given == "true").to_string(),
        FieldKind::Enum { values } => {
            let first = values.first().map_or("", |value| value.name.as_str());
            let name = values.iter().find(|value| value.name == given).map_or(first, |value| value.name.as_str());
            format!("super::{}{}::{}", pascal(&entity.name), pascal(&field.name), pascal(name))
        }
    }
}

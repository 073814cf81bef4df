//! Sample rows and limits as an entity's files need them.

use serde::Serialize;

use crate::blueprint::{Blueprint, Entity, Field, FieldKind, Row};
use crate::render::words::{html, literal};

/// What demo tenants and tests are made of.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Samples {
    rows: Vec<Vec<String>>,
    smoke: Vec<Cell>,
    smoke_needs_api: bool,
    sample_label: String,
    sample_label_html: String,
    other_label: String,
    limit: Option<u32>,
}

#[derive(Clone, Debug, Serialize)]
struct Cell {
    name: String,
    value: String,
}

impl Samples {
    pub(super) fn of(blueprint: &Blueprint, entity: &Entity) -> Self {
        let rows = blueprint.rows(&entity.name);
        let label = |index: usize| -> String {
            let value = rows.get(index).and_then(|row| row.get(&entity.label).cloned().flatten());
            value.unwrap_or_default()
        };
        Self {
            rows: rows.iter().map(cells).collect(),
            smoke: smoke(entity, rows.first()),
            smoke_needs_api: entity.fields.iter().any(|field| needs_api(entity, field, rows.first())),
            sample_label: label(0),
            sample_label_html: html(&label(0)),
            other_label: label(usize::from(rows.len() > 1)),
            limit: limit(blueprint, entity),
        }
    }
}

fn cells(row: &Row) -> Vec<String> {
    let cells =
        row.iter().filter_map(|(name, value)| Some(format!("({}, {})", literal(name), literal(value.as_deref()?))));
    cells.collect()
}

fn needs_api(entity: &Entity, field: &Field, row: Option<&Row>) -> bool {
    let given = row.and_then(|row| row.get(&field.name)).is_some_and(Option::is_some);
    match &field.kind {
        FieldKind::Member => given,
        FieldKind::Reference { to } => given && *to != entity.name,
        _ => false,
    }
}

/// The first sample row as the values of a `json!` object.
fn smoke(entity: &Entity, row: Option<&Row>) -> Vec<Cell> {
    let mut smoke = Vec::new();
    for field in &entity.fields {
        let Some(value) = row.and_then(|row| row.get(&field.name).cloned().flatten()) else {
            continue;
        };
        let value = match &field.kind {
            FieldKind::Boolean | FieldKind::Integer => value,
            FieldKind::Member => "api.me".to_owned(),
            FieldKind::Reference { to } if *to == entity.name => continue,
            FieldKind::Reference { to } => format!("super::{to}::made(api)"),
            _ => literal(&value),
        };
        smoke.push(Cell { name: field.name.clone(), value });
    }
    smoke
}

/// The smallest plan's bound, where a test can fill it.
fn limit(blueprint: &Blueprint, entity: &Entity) -> Option<u32> {
    let smallest = blueprint.editions.first()?;
    let most = smallest.limits.get(&entity.name).copied()?;
    let samples = u32::try_from(blueprint.rows(&entity.name).len()).ok()?;
    (most <= 500 && most >= samples).then_some(most)
}

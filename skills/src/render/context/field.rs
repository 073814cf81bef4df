//! A field as the files of its entity need it.

use serde::Serialize;

use crate::blueprint::{Choice, Entity, Field, FieldKind};
use crate::render::words::{literal, pascal};

#[derive(Clone, Debug, Serialize)]
pub(super) struct FieldContext {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) help: String,
    #[serde(rename = "type")]
    pub(super) type_name: String,
    pub(super) kind: String,
    pub(super) rust: String,
    pub(super) read: &'static str,
    pub(super) optional: bool,
    pub(super) required: bool,
    pub(super) unique: bool,
    pub(super) indexed: bool,
    pub(super) min: String,
    pub(super) max: String,
    pub(super) default: String,
    pub(super) sql: String,
    pub(super) values: Vec<ChoiceContext>,
    pub(super) choices: Vec<String>,
    pub(super) variants: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ChoiceContext {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) tone: String,
    pub(super) variant: String,
}

pub(super) fn field(entity: &Entity, field: &Field) -> FieldContext {
    let optional = !field.required && field.kind != FieldKind::Boolean;
    let type_name = format!("{}{}", pascal(&entity.name), pascal(&field.name));
    let (kind, plain, read, sql) = match &field.kind {
        FieldKind::String => ("Kind::String".to_owned(), "String".to_owned(), "text", "TEXT".to_owned()),
        FieldKind::Text => ("Kind::Text".to_owned(), "String".to_owned(), "text", "TEXT".to_owned()),
        FieldKind::Integer => ("Kind::Integer".to_owned(), "i64".to_owned(), "integer", "INTEGER".to_owned()),
        FieldKind::Decimal => ("Kind::Decimal".to_owned(), "Decimal".to_owned(), "decimal", "INTEGER".to_owned()),
        FieldKind::Boolean => ("Kind::Boolean".to_owned(), "bool".to_owned(), "boolean", "INTEGER".to_owned()),
        FieldKind::Date => ("Kind::Date".to_owned(), "String".to_owned(), "text", "TEXT".to_owned()),
        FieldKind::Datetime => ("Kind::DateTime".to_owned(), "String".to_owned(), "text", "TEXT".to_owned()),
        FieldKind::Enum { .. } => (String::new(), type_name.clone(), "choice", "TEXT".to_owned()),
        FieldKind::Reference { to } => (
            format!("Kind::Reference({})", literal(to)),
            "String".to_owned(),
            "text",
            format!("TEXT REFERENCES \"{to}\" (id)"),
        ),
        FieldKind::Member => ("Kind::Member".to_owned(), "String".to_owned(), "text", "TEXT".to_owned()),
    };
    let values: Vec<ChoiceContext> = match &field.kind {
        FieldKind::Enum { values } => values.iter().map(choice).collect(),
        _ => Vec::new(),
    };
    // A product that grows adds columns to tables with rows: what must not be empty has a default.
    let null = match (&field.kind, optional) {
        (FieldKind::Boolean, _) => " NOT NULL DEFAULT 0",
        (_, false) => " NOT NULL",
        (_, true) => "",
    };
    FieldContext {
        name: field.name.clone(),
        title: field.title.clone(),
        help: field.help.clone(),
        kind,
        rust: if optional { format!("Option<{plain}>") } else { plain },
        read,
        optional,
        required: !optional && field.kind != FieldKind::Boolean,
        unique: field.unique,
        indexed: matches!(field.kind, FieldKind::Reference { .. }),
        min: bound(field.min),
        max: bound(field.max),
        default: field.default.clone().unwrap_or_default(),
        sql: format!("{sql}{null}"),
        choices: values.iter().map(choice_literal).collect(),
        variants: values.iter().map(|value| format!("Self::{}", value.variant)).collect(),
        values,
        type_name,
    }
}

/// The type of a field in Rust.
pub(in crate::render) fn rust_type(entity: &Entity, of: &Field) -> String {
    field(entity, of).rust
}

/// The values of an enum in Rust.
pub(in crate::render) fn variants(values: &[Choice]) -> String {
    let names: Vec<String> = values.iter().map(|value| pascal(&value.name)).collect();
    names.join(", ")
}

fn bound(bound: Option<i64>) -> String {
    bound.map_or_else(|| "None".to_owned(), |bound| format!("Some({bound})"))
}

pub(super) fn choice(choice: &Choice) -> ChoiceContext {
    ChoiceContext {
        name: choice.name.clone(),
        title: choice.title.clone(),
        tone: choice.tone.clone(),
        variant: pascal(&choice.name),
    }
}

fn choice_literal(choice: &ChoiceContext) -> String {
    let (name, title, tone) = (literal(&choice.name), literal(&choice.title), literal(&choice.tone));
    format!("Choice {{ name: {name}, title: {title}, tone: {tone} }}")
}

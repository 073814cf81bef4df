//! Rules that an agent writes: what it is told of the product's code, and the file that its answer becomes.

use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::context::{plain_fields, rust_type, variants};
use super::format::braced;
use super::words::{comment, pascal};
use super::{Error, TemplateSource, product};
use crate::blueprint::{Blueprint, Entity, FieldKind};

/// The template of the file.
const TEMPLATE: &str = "domain/rule/rule.rs.j2";

/// A rule that an agent writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The name of its module.
    pub rule: String,
    /// What it says.
    pub sentence: String,
    /// The entity that it is about.
    pub entity: String,
    /// The head of the function that is to be written.
    pub signature: String,
    /// The Rust that it may use, with the head of the function.
    pub code: String,
    types: Vec<String>,
}

impl Sentence {
    /// The path of its file in the product.
    pub fn path(&self) -> String {
        format!("app/src/{}/rules/{}.rs", self.entity, self.rule)
    }

    /// Whether a file was written for this sentence.
    pub fn is_of(&self, file: &str) -> bool {
        file.lines().next() == Some(format!("//! {}", comment(&self.sentence)).as_str())
    }
}

/// The rules of a blueprint that an agent writes, in the order of the blueprint.
pub fn sentences(blueprint: &Blueprint) -> Vec<Sentence> {
    let written = blueprint.written().filter_map(|rule| {
        let entity = blueprint.entity(&rule.entity)?;
        let signature = format!("pub(super) fn holds({}: &{}, now: &str) -> bool", entity.name, pascal(&entity.name));
        Some(Sentence {
            rule: rule.name.clone(),
            sentence: rule.sentence.clone(),
            entity: entity.name.clone(),
            code: code(blueprint, entity, &signature),
            signature,
            types: types(entity),
        })
    });
    written.collect()
}

/// The file of a rule whose function and tests were written.
///
/// # Errors
/// A template that cannot be read or rendered.
pub fn rule_file(template: &TemplateSource, sentence: &Sentence, function: &str, test: &str) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Context<'a> {
        sentence: &'a str,
        entity: &'a str,
        function: &'a str,
        test: String,
        types: Vec<&'a str>,
        test_types: Vec<&'a str>,
    }
    let named =
        |text: &str, name: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
    let (inside, others): (Vec<&str>, Vec<&str>) =
        sentence.types.iter().map(String::as_str).partition(|name| named(function, name));
    let context = Context {
        sentence: &sentence.sentence,
        entity: &sentence.entity,
        function: function.trim(),
        test: test.trim().replace('\n', "\n    ").replace("\n    \n", "\n\n"),
        types: inside,
        test_types: others.into_iter().filter(|name| named(test, name)).collect(),
    };
    let files = template.files()?;
    let text = files.get(TEMPLATE).ok_or(Error::Missing(TEMPLATE))?;
    product::text(TEMPLATE, text, &Value::from(Serde(&context)))
}

/// The entity's own types that a file may name, `Decimal` among them: the entity's module uses it.
fn types(entity: &Entity) -> Vec<String> {
    let enums = entity.fields.iter().filter(|field| matches!(field.kind, FieldKind::Enum { .. }));
    let mut types = vec![pascal(&entity.name)];
    types.extend(enums.map(|field| pascal(&entity.name) + &pascal(&field.name)));
    types.extend(entity.states.iter().map(|_| "State".to_owned()));
    types.extend(entity.fields.iter().find(|field| field.kind == FieldKind::Decimal).map(|_| "Decimal".to_owned()));
    types
}

/// What the author of a function must know, as it will find it.
fn code(blueprint: &Blueprint, entity: &Entity, signature: &str) -> String {
    let mut code = format!("/// {}\npub struct {} {{\n", comment(&entity.description), pascal(&entity.name));
    code.push_str("    pub id: String,\n");
    for field in &entity.fields {
        let help = if field.help.is_empty() { String::new() } else { format!(" {}", comment(&field.help)) };
        code.push_str(&format!(
            "    /// {}.{help}{}\n    pub {}: {},\n",
            comment(&field.title),
            spelled(&field.kind),
            field.name,
            rust_type(entity, field)
        ));
    }
    if entity.states.is_some() {
        code.push_str("    pub state: State,\n");
    }
    code.push_str("}\n");
    let derives = "\n#[derive(Clone, Copy, Debug, PartialEq, Eq)]\npub enum";
    for field in &entity.fields {
        if let FieldKind::Enum { values } = &field.kind {
            let name = pascal(&entity.name) + &pascal(&field.name);
            code.push_str(&format!("{derives} {name} {{ {} }}\n", variants(values)));
        }
    }
    if let Some(states) = &entity.states {
        code.push_str(&format!("{derives} State {{ {} }}\n", variants(&states.values)));
    }
    let plain = braced(&plain_fields(blueprint, entity), 4, &pascal(&entity.name), "", "");
    let plain = plain.replace("super::", "");
    code.push_str(&format!("\n// For tests alone.\nfn plain() -> {} {{\n    {plain}\n}}\n", pascal(&entity.name)));
    code.push_str(&format!(
        "\n// To be written. `now` is the present minute in UTC, such as 2026-01-31T14:00.\n{signature}\n"
    ));
    code
}

/// How a value is spelled, where its type does not say.
fn spelled(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Date => " A day, such as 2026-01-31.",
        FieldKind::Datetime => " A minute in UTC, such as 2026-01-31T14:00.",
        FieldKind::Decimal => " `Decimal(i64)` in hundredths.",
        FieldKind::Reference { .. } => " The id of another record.",
        FieldKind::Member => " The id of a person.",
        _ => "",
    }
}

//! From the tree to the model: structure, kinds of values, unknown and missing keys.
//!
//! What is wrong is gathered and replaced by something empty, so that items keep their numbers and
//! the checks that follow can point into the tree.

mod condition;
mod fields;

use std::collections::BTreeMap;

use self::fields::Fields;
use super::model::{
    Author, Blueprint, Choice, Condition, Edition, Entity, Field, FieldKind, Given, Moment, Permissions, Role, Row,
    Rule, Sample, SampleRows, SampleTenant, States, Tenancy, Transition,
};
use super::names::{function_name, titled};
use super::{API_VERSION, KIND};
use crate::yaml::{Kind, Mistake, Node};

/// Reads a blueprint as far as that is possible.
pub(super) fn blueprint(root: &Node) -> (Blueprint, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let mut fields = Fields::new(root, "a blueprint", &mut mistakes);
    fields.constant("apiVersion", API_VERSION);
    fields.constant("kind", KIND);
    let name = fields.text("name");
    let title = fields.text_or("title", &titled(&name));
    let description = fields.text("description");
    let tenancy = fields.one("tenancy", tenancy);
    let roles = fields.items("roles", role);
    let names: Vec<String> = roles.iter().map(|role| role.name.clone()).collect();
    let entities = fields.items("entities", |node, mistakes| entity(node, &names, mistakes));
    let blueprint = Blueprint {
        name,
        title,
        description,
        tenancy: tenancy.unwrap_or_else(|| Tenancy { noun: "company".to_owned() }),
        roles,
        entities,
        rules: fields.optional_items("rules", rule),
        editions: fields.items("editions", edition),
        sample: fields.one("sample", sample).unwrap_or_default(),
    };
    fields.done();
    (blueprint, mistakes)
}

fn tenancy(node: &Node, mistakes: &mut Vec<Mistake>) -> Tenancy {
    let mut fields = Fields::new(node, "tenancy", mistakes);
    let tenancy = Tenancy { noun: fields.text_or("noun", "company") };
    fields.done();
    tenancy
}

fn role(node: &Node, mistakes: &mut Vec<Mistake>) -> Role {
    let mut fields = Fields::new(node, "a role", mistakes);
    let name = fields.text("name");
    let role =
        Role { title: fields.text_or("title", &titled(&name)), description: fields.text_or("description", ""), name };
    fields.done();
    role
}

fn entity(node: &Node, roles: &[String], mistakes: &mut Vec<Mistake>) -> Entity {
    let mut fields = Fields::new(node, "an entity", mistakes);
    let name = fields.text("name");
    let title = fields.text_or("title", &titled(&name));
    let plural = fields.text_or("plural", &format!("{title}s"));
    let path = fields.text_or("path", &plural.to_lowercase().replace([' ', '_'], "-"));
    let description = fields.text("description");
    let entity_fields = fields.items("fields", field);
    let first = entity_fields.first().map_or("", |field| field.name.as_str());
    let entity = Entity {
        title,
        plural,
        path,
        description,
        label: fields.text_or("label", first),
        fields: entity_fields.clone(),
        states: fields.one("states", |node, mistakes| states(node, roles, mistakes)),
        permissions: fields
            .one("permissions", |node, mistakes| permissions(node, roles, mistakes))
            .unwrap_or_else(|| everyone(roles)),
        name,
    };
    fields.done();
    entity
}

fn everyone(roles: &[String]) -> Permissions {
    Permissions { read: roles.to_vec(), create: roles.to_vec(), update: roles.to_vec(), delete: roles.to_vec() }
}

fn permissions(node: &Node, roles: &[String], mistakes: &mut Vec<Mistake>) -> Permissions {
    let mut fields = Fields::new(node, "permissions", mistakes);
    let permissions = Permissions {
        read: fields.texts_or("read", roles),
        create: fields.texts_or("create", roles),
        update: fields.texts_or("update", roles),
        delete: fields.texts_or("delete", roles),
    };
    fields.done();
    permissions
}

/// The words for kinds of fields.
pub(super) const TYPES: &[&str] =
    &["string", "text", "integer", "decimal", "boolean", "date", "datetime", "enum", "reference", "member"];

fn field(node: &Node, mistakes: &mut Vec<Mistake>) -> Field {
    let mut fields = Fields::new(node, "a field", mistakes);
    let name = fields.text("name");
    let word = fields.word("type", TYPES);
    let kind = match word.as_str() {
        "text" => FieldKind::Text,
        "integer" => FieldKind::Integer,
        "decimal" => FieldKind::Decimal,
        "boolean" => FieldKind::Boolean,
        "date" => FieldKind::Date,
        "datetime" => FieldKind::Datetime,
        "member" => FieldKind::Member,
        "enum" => FieldKind::Enum { values: fields.items("values", choice) },
        "reference" => FieldKind::Reference { to: fields.text("to") },
        _ => FieldKind::String,
    };
    let field = Field {
        title: fields.text_or("title", &titled(&name)),
        help: fields.text_or("help", ""),
        kind,
        required: fields.boolean("required"),
        unique: fields.boolean("unique"),
        min: fields.integer("min"),
        max: fields.integer("max"),
        default: fields.value("default"),
        name,
    };
    fields.done();
    field
}

fn choice(node: &Node, mistakes: &mut Vec<Mistake>) -> Choice {
    if let Kind::String(name) = &node.kind {
        return Choice { title: titled(name), name: name.clone(), tone: "quiet".to_owned() };
    }
    let mut fields = Fields::new(node, "a value: write a name, or a mapping with `name`", mistakes);
    let name = fields.text("name");
    let choice = Choice {
        title: fields.text_or("title", &titled(&name)),
        tone: fields.word_or("tone", &["quiet", "info", "good", "warn", "bad"], "quiet"),
        name,
    };
    fields.done();
    choice
}

fn states(node: &Node, roles: &[String], mistakes: &mut Vec<Mistake>) -> States {
    let mut fields = Fields::new(node, "states", mistakes);
    let values = fields.items("values", choice);
    let first = values.first().map_or("", |state| state.name.as_str());
    let states = States {
        initial: fields.text_or("initial", first),
        values: values.clone(),
        transitions: fields.optional_items("transitions", |node, mistakes| transition(node, roles, mistakes)),
    };
    fields.done();
    states
}

fn transition(node: &Node, roles: &[String], mistakes: &mut Vec<Mistake>) -> Transition {
    let mut fields = Fields::new(node, "a transition", mistakes);
    let name = fields.text("name");
    let transition = Transition {
        title: fields.text_or("title", &titled(&name)),
        from: fields.texts("from"),
        to: fields.text("to"),
        roles: fields.texts_or("roles", roles),
        name,
    };
    fields.done();
    transition
}

fn rule(node: &Node, mistakes: &mut Vec<Mistake>) -> Rule {
    let mut fields = Fields::new(node, "a rule", mistakes);
    let sentence = fields.text("sentence");
    let mut rule = Rule {
        name: function_name(&sentence),
        sentence,
        entity: fields.text("entity"),
        field: fields.value("field"),
        on: moments(&mut fields),
        by: author(&mut fields),
        when: None,
        require: Condition::All(Vec::new()),
        given: Vec::new(),
        refused: Row::new(),
        accepted: Row::new(),
    };
    match rule.by {
        Author::Template => {
            rule.when = fields.one("when", condition::read);
            rule.require = fields.needed("require", condition::read).unwrap_or(rule.require);
            rule.given = fields.optional_items("given", given);
            rule.refused = fields.needed("refused", row).unwrap_or_default();
            rule.accepted = fields.needed("accepted", row).unwrap_or_default();
        }
        // A condition would be a second author; examples are the customer's word on what was written.
        Author::Agent => {
            rule.refused = fields.one("refused", row).unwrap_or_default();
            rule.accepted = fields.one("accepted", row).unwrap_or_default();
        }
    }
    fields.done();
    rule
}

fn author(fields: &mut Fields<'_>) -> Author {
    match fields.word_or("by", &["template", "agent"], "template").as_str() {
        "agent" => Author::Agent,
        _ => Author::Template,
    }
}

fn moments(fields: &mut Fields<'_>) -> Vec<Moment> {
    let default = ["create".to_owned(), "update".to_owned()];
    let words = fields.texts_or("on", &default);
    let moments = words.iter().map(|word| match word.as_str() {
        "create" => Moment::Create,
        "update" => Moment::Update,
        "delete" => Moment::Delete,
        // An unknown word is told by the check, which knows the transitions.
        other => Moment::Transition(other.strip_prefix("transition.").unwrap_or(other).to_owned()),
    });
    moments.collect()
}

fn given(node: &Node, mistakes: &mut Vec<Mistake>) -> Given {
    let mut fields = Fields::new(node, "a given", mistakes);
    let times = fields.integer("times").unwrap_or(1);
    let given = Given { times: u32::try_from(times).unwrap_or(0), row: fields.needed("row", row).unwrap_or_default() };
    fields.done();
    given
}

fn edition(node: &Node, mistakes: &mut Vec<Mistake>) -> Edition {
    let mut fields = Fields::new(node, "an edition", mistakes);
    let name = fields.text("name");
    let edition = Edition {
        title: fields.text_or("title", &titled(&name)),
        price: fields.text_or("price", ""),
        description: fields.text_or("description", ""),
        limits: fields.one("limits", limits).unwrap_or_default(),
        name,
    };
    fields.done();
    edition
}

fn limits(node: &Node, mistakes: &mut Vec<Mistake>) -> BTreeMap<String, u32> {
    let mut limits = BTreeMap::new();
    for (key, value) in fields::entries(node, "limits", mistakes) {
        match value.as_int().and_then(|most| u32::try_from(most).ok()) {
            Some(most) if most > 0 => {
                limits.insert(key.name.clone(), most);
            }
            _ => mistakes.push(
                Mistake::new(value.span, format!("the limit of `{}` is {}", key.name, value.kind_name()))
                    .with_help("write a whole number of at least 1, or leave the line out for no limit"),
            ),
        }
    }
    limits
}

fn sample(node: &Node, mistakes: &mut Vec<Mistake>) -> Sample {
    let mut fields = Fields::new(node, "sample", mistakes);
    let sample = Sample {
        tenants: fields.items("tenants", sample_tenant),
        rows: fields.needed("rows", sample_rows).unwrap_or_default(),
    };
    fields.done();
    sample
}

fn sample_tenant(node: &Node, mistakes: &mut Vec<Mistake>) -> SampleTenant {
    let mut fields = Fields::new(node, "a sample tenant", mistakes);
    let tenant = SampleTenant {
        name: fields.text("name"),
        person: fields.text("person"),
        email: fields.text("email"),
        edition: fields.text("edition"),
    };
    fields.done();
    tenant
}

fn sample_rows(node: &Node, mistakes: &mut Vec<Mistake>) -> Vec<SampleRows> {
    let mut all = Vec::new();
    for (key, value) in fields::entries(node, "sample rows", mistakes) {
        let rows = match value.as_seq() {
            Some(items) => items.iter().map(|item| row(item, mistakes)).collect(),
            None => {
                mistakes.push(
                    Mistake::new(value.span, format!("the rows of `{}` are {}", key.name, value.kind_name()))
                        .with_help("write a list of mappings"),
                );
                Vec::new()
            }
        };
        all.push(SampleRows { entity: key.name.clone(), rows });
    }
    all
}

/// Values by field, all as texts.
pub(super) fn row(node: &Node, mistakes: &mut Vec<Mistake>) -> Row {
    let mut row = Row::new();
    for (key, value) in fields::entries(node, "a row", mistakes) {
        match fields::plain(value) {
            Some(text) => {
                row.insert(key.name.clone(), text);
            }
            None => mistakes.push(
                Mistake::new(value.span, format!("`{}` is {}", key.name, value.kind_name()))
                    .with_help("write a plain value"),
            ),
        }
    }
    row
}

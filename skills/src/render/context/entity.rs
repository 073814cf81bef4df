//! An entity as its files need it.

use serde::Serialize;

use super::field::{FieldContext, field};
use super::machine::Machine;
use super::plain;
use super::samples::Samples;
use super::storing::Storing;
use super::uses::Uses;
use crate::blueprint::{Blueprint, Entity};
use crate::render::rules::{self, RuleContext};
use crate::render::words::{comment, literal, pascal};

/// An entity as its files need it.
#[derive(Clone, Debug, Serialize)]
pub(in crate::render) struct EntityContext {
    pub(in crate::render) name: String,
    #[serde(rename = "type")]
    type_name: String,
    title: String,
    plural: String,
    path: String,
    description: String,
    label: String,
    permissions: PermissionsContext,
    #[serde(flatten)]
    machine: Machine,
    #[serde(flatten)]
    storing: Storing,
    #[serde(flatten)]
    samples: Samples,
    #[serde(flatten)]
    uses: Uses,
    rule_literals: Vec<String>,
    rules: Vec<RuleContext>,
    rules_tested: bool,
    /// Modules of rules that an agent writes, sorted.
    rule_modules: Vec<String>,
    /// Fields of a plain record, for the tests of those rules.
    plain: Vec<String>,
    enums: Vec<FieldContext>,
    fields: Vec<FieldContext>,
}

/// Lists of string literals.
#[derive(Clone, Debug, Serialize)]
struct PermissionsContext {
    read: Vec<String>,
    create: Vec<String>,
    update: Vec<String>,
    delete: Vec<String>,
}

pub(super) fn entity(blueprint: &Blueprint, entity: &Entity) -> EntityContext {
    let fields: Vec<FieldContext> = entity.fields.iter().map(|one| field(entity, one)).collect();
    let rules = rules::of(blueprint, entity);
    EntityContext {
        name: entity.name.clone(),
        type_name: pascal(&entity.name),
        title: entity.title.clone(),
        plural: entity.plural.clone(),
        path: entity.path.clone(),
        description: comment(&entity.description),
        label: entity.label.clone(),
        permissions: permissions(entity),
        machine: Machine::of(entity),
        storing: Storing::of(entity, &fields),
        samples: Samples::of(blueprint, entity),
        uses: Uses::of(entity, &rules),
        rule_literals: rules::literals(&rules),
        rules_tested: rules.iter().any(RuleContext::is_tested),
        rule_modules: modules(&rules),
        plain: plain::fields(blueprint, entity),
        rules,
        enums: fields.iter().filter(|field| !field.values.is_empty()).cloned().collect(),
        fields,
    }
}

fn modules(rules: &[RuleContext]) -> Vec<String> {
    let mut modules: Vec<String> = rules.iter().filter_map(RuleContext::module).map(str::to_owned).collect();
    modules.sort();
    modules
}

fn permissions(entity: &Entity) -> PermissionsContext {
    PermissionsContext {
        read: literals(&entity.permissions.read),
        create: literals(&entity.permissions.create),
        update: literals(&entity.permissions.update),
        delete: literals(&entity.permissions.delete),
    }
}

pub(super) fn literals(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| literal(text)).collect()
}

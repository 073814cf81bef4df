//! What the template's files are rendered with: the blueprint, and everything about it that is
//! Rust or SQL.

mod entity;
mod field;
mod machine;
mod plain;
mod samples;
mod storing;
mod uses;

use serde::Serialize;

pub(super) use self::entity::EntityContext;
use self::entity::entity;
pub(super) use self::field::{rust_type, variants};
pub(super) use self::plain::fields as plain_fields;
use super::demo::DEMO_PASSWORD;
use super::words::{comment, literal};
use crate::blueprint::Blueprint;

/// What every file may speak of.
#[derive(Debug, Serialize)]
pub(super) struct Common {
    p: Product,
    roles: Vec<crate::blueprint::Role>,
    editions: Vec<Edition>,
    demos: Vec<Demo>,
    rules: Vec<crate::blueprint::Rule>,
    rule_count: usize,
    entities: Vec<EntityContext>,
    entities_by_name: Vec<EntityContext>,
    entities_by_need: Vec<EntityContext>,
    entity_names: Vec<String>,
    modules: Vec<String>,
    test_modules: Vec<String>,
    entity_statics: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Product {
    name: String,
    title: String,
    description: String,
    noun: String,
}

#[derive(Debug, Serialize)]
struct Edition {
    name: String,
    title: String,
    price: String,
    description: String,
    limits: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Demo {
    tenant: String,
    person: String,
    email: String,
    password: &'static str,
    edition: String,
}

/// What every file may speak of.
pub(super) fn common(blueprint: &Blueprint) -> Common {
    let entities = entities(blueprint);
    let mut by_name = entities.clone();
    by_name.sort_by(|left, right| left.name.cmp(&right.name));
    let by_need = blueprint.entities_by_need().into_iter();
    Common {
        p: Product {
            name: blueprint.name.clone(),
            title: blueprint.title.clone(),
            description: comment(&blueprint.description),
            noun: blueprint.tenancy.noun.clone(),
        },
        roles: blueprint.roles.clone(),
        editions: blueprint.editions.iter().map(edition).collect(),
        demos: demos(blueprint),
        rules: blueprint.rules.clone(),
        rule_count: blueprint.rules.len(),
        entities_by_name: by_name,
        entities_by_need: by_need.map(|one| entity(blueprint, one)).collect(),
        modules: modules(&entities, &["product"]),
        test_modules: modules(&entities, &["entrance", "walk"]),
        entity_names: entities.iter().map(|entity| entity.name.clone()).collect(),
        entity_statics: entities.iter().map(|entity| format!("&{}::ENTITY", entity.name)).collect(),
        entities,
    }
}

/// The modules of a crate, sorted.
fn modules(entities: &[EntityContext], others: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = entities.iter().map(|entity| entity.name.clone()).collect();
    names.extend(others.iter().map(|name| (*name).to_owned()));
    names.sort();
    names
}

/// Every entity, in the order of the blueprint.
pub(super) fn entities(blueprint: &Blueprint) -> Vec<EntityContext> {
    let entities = blueprint.entities.iter();
    entities.map(|one| entity(blueprint, one)).collect()
}

fn edition(edition: &crate::blueprint::Edition) -> Edition {
    let limits = edition.limits.iter();
    Edition {
        name: edition.name.clone(),
        title: edition.title.clone(),
        price: edition.price.clone(),
        description: edition.description.clone(),
        limits: limits.map(|(of, most)| format!("Limit {{ of: {}, most: {most} }}", literal(of))).collect(),
    }
}

fn demos(blueprint: &Blueprint) -> Vec<Demo> {
    let tenants = blueprint.sample.tenants.iter();
    tenants
        .map(|tenant| Demo {
            tenant: tenant.name.clone(),
            person: tenant.person.clone(),
            email: tenant.email.clone(),
            password: DEMO_PASSWORD,
            edition: tenant.edition.clone(),
        })
        .collect()
}

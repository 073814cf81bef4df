//! What the template's files are rendered with: the blueprint, and everything about it that is
//! Rust or SQL.

use serde::Serialize;

use super::demo::DEMO_PASSWORD;
use super::rules::{self, RuleContext};
use super::words::{html, literal, pascal};
use crate::blueprint::{Blueprint, Choice, Entity, Field, FieldKind, Row, States};

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

/// An entity as its files need it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct EntityContext {
    pub(super) name: String,
    #[serde(rename = "type")]
    type_name: String,
    title: String,
    plural: String,
    path: String,
    description: String,
    label: String,
    fields: Vec<FieldContext>,
    enums: Vec<FieldContext>,
    enum_types: Vec<String>,
    states: Vec<ChoiceContext>,
    states_in_order: Vec<ChoiceContext>,
    state_variants: Vec<String>,
    state_types: Vec<String>,
    initial: String,
    initial_name: String,
    transitions: Vec<TransitionContext>,
    transition_variants: Vec<String>,
    first_transition: bool,
    permissions: PermissionsContext,
    rows: Vec<Vec<String>>,
    rules: Vec<RuleContext>,
    rule_literals: Vec<String>,
    rule_uses: Vec<&'static str>,
    rule_types: Vec<String>,
    rules_need_named: bool,
    rule_test_types: Vec<String>,
    operation_names: Vec<&'static str>,
    entity_uses: Vec<&'static str>,
    describe_uses: Vec<&'static str>,
    store_uses: Vec<&'static str>,
    super_uses: Vec<String>,
    search: String,
    places: Vec<usize>,
    params: Vec<String>,
    last_place: usize,
    smoke: Vec<Cell>,
    smoke_needs_api: bool,
    sample_label: String,
    sample_label_html: String,
    other_label: String,
    limit: Option<u32>,
}

#[derive(Clone, Debug, Serialize)]
struct FieldContext {
    name: String,
    title: String,
    help: String,
    #[serde(rename = "type")]
    type_name: String,
    kind: String,
    rust: String,
    read: &'static str,
    optional: bool,
    required: bool,
    unique: bool,
    indexed: bool,
    min: String,
    max: String,
    default: String,
    sql: String,
    values: Vec<ChoiceContext>,
    choices: Vec<String>,
    variants: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct ChoiceContext {
    name: String,
    title: String,
    tone: String,
    variant: String,
}

#[derive(Clone, Debug, Serialize)]
struct TransitionContext {
    name: String,
    title: String,
    variant: String,
    from: Vec<String>,
    from_variants: Vec<String>,
    to: String,
    to_variant: String,
    roles: Vec<String>,
}

/// Lists of string literals.
#[derive(Clone, Debug, Serialize)]
struct PermissionsContext {
    read: Vec<String>,
    create: Vec<String>,
    update: Vec<String>,
    delete: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Cell {
    name: String,
    value: String,
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
            description: super::words::comment(&blueprint.description),
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

fn entity(blueprint: &Blueprint, entity: &Entity) -> EntityContext {
    let fields: Vec<FieldContext> = entity.fields.iter().map(|one| field(entity, one)).collect();
    let enums: Vec<FieldContext> = fields.iter().filter(|field| !field.values.is_empty()).cloned().collect();
    let states: Vec<ChoiceContext> = entity.states.iter().flat_map(|states| states.values.iter().map(choice)).collect();
    let transitions: Vec<TransitionContext> = entity.states.iter().flat_map(transitions).collect();
    let initial_name = entity.states.as_ref().map_or(String::new(), |states| states.initial.clone());
    let rules = rules::of(blueprint, entity);
    let last_place = fields.len() + 2 + usize::from(!states.is_empty());
    let rows = blueprint.rows(&entity.name);
    let label = |index: usize| -> String {
        let value = rows.get(index).and_then(|row| row.get(&entity.label).cloned().flatten());
        value.unwrap_or_default()
    };
    let (has_states, has_moves) = (!states.is_empty(), !transitions.is_empty());
    EntityContext {
        name: entity.name.clone(),
        type_name: pascal(&entity.name),
        title: entity.title.clone(),
        plural: entity.plural.clone(),
        path: entity.path.clone(),
        description: super::words::comment(&entity.description),
        label: entity.label.clone(),
        enum_types: enums.iter().map(|field| field.type_name.clone()).collect(),
        states_in_order: in_order(&states, &initial_name),
        state_variants: states.iter().map(|state| format!("Self::{}", state.variant)).collect(),
        state_types: chosen(&[(true, "State"), (has_moves, "Transition")]).into_iter().map(str::to_owned).collect(),
        initial: pascal(&initial_name),
        initial_name,
        transition_variants: transitions.iter().map(|one| format!("Self::{}", one.variant)).collect(),
        first_transition: has_moves,
        permissions: permissions(entity),
        rows: rows.iter().map(|row| cells(row)).collect(),
        rule_literals: rules::literals(&rules),
        rule_uses: rules::uses(&rules),
        rule_types: rules::types(entity, &rules),
        rule_test_types: own_types(entity, has_states),
        rules_need_named: rules.iter().any(RuleContext::needs_named),
        operation_names: chosen(&[
            (true, "create"),
            (true, "delete"),
            (true, "insert_sample"),
            (has_moves, "transition"),
            (true, "update"),
        ]),
        entity_uses: chosen(&[
            (entity.fields.iter().any(|field| field.kind == FieldKind::Decimal), "Decimal"),
            (true, "Entity"),
            (has_states, "Named"),
            (true, "Record"),
            (true, "Text"),
            (true, "Values"),
        ]),
        describe_uses: chosen(&[
            (has_states || !enums.is_empty(), "Choice"),
            (true, "Column"),
            (true, "Entity"),
            (true, "Field"),
            (true, "Kind"),
            (true, "Permissions"),
            (true, "Table"),
            (has_moves, "Transition"),
        ]),
        store_uses: chosen(&[
            (has_states, "Named"),
            (!enums.is_empty(), "Text"),
            (has_states || enums.iter().any(|field| !field.optional), "choice"),
            (enums.iter().any(|field| field.optional), "optional_choice"),
        ]),
        super_uses: super_uses(entity, has_states, has_moves),
        search: search(entity),
        places: (2..last_place).collect(),
        params: params(entity, &fields, has_states),
        last_place,
        smoke_needs_api: entity.fields.iter().any(|field| needs_api(entity, field, rows.first())),
        smoke: smoke(entity, rows.first()),
        sample_label_html: html(&label(0)),
        other_label: if rows.len() > 1 { label(1) } else { label(0) },
        sample_label: label(0),
        limit: limit(blueprint, entity),
        fields,
        enums,
        states,
        transitions,
        rules,
    }
}

fn field(entity: &Entity, field: &Field) -> FieldContext {
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

fn bound(bound: Option<i64>) -> String {
    bound.map_or_else(|| "None".to_owned(), |bound| format!("Some({bound})"))
}

fn choice(choice: &Choice) -> ChoiceContext {
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

/// The initial state first, as the spine expects it.
fn in_order(states: &[ChoiceContext], initial: &str) -> Vec<ChoiceContext> {
    let (mut first, rest): (Vec<_>, Vec<_>) = states.iter().cloned().partition(|state| state.name == initial);
    first.extend(rest);
    first
}

fn transitions(states: &States) -> Vec<TransitionContext> {
    let transitions = states.transitions.iter();
    transitions
        .map(|transition| TransitionContext {
            name: transition.name.clone(),
            title: transition.title.clone(),
            variant: pascal(&transition.name),
            from: literals(&transition.from),
            from_variants: transition.from.iter().map(|from| pascal(from)).collect(),
            to: transition.to.clone(),
            to_variant: pascal(&transition.to),
            roles: literals(&transition.roles),
        })
        .collect()
}

fn permissions(entity: &Entity) -> PermissionsContext {
    PermissionsContext {
        read: literals(&entity.permissions.read),
        create: literals(&entity.permissions.create),
        update: literals(&entity.permissions.update),
        delete: literals(&entity.permissions.delete),
    }
}

fn literals(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| literal(text)).collect()
}

fn chosen(names: &[(bool, &'static str)]) -> Vec<&'static str> {
    let chosen = names.iter().filter(|(wanted, _)| *wanted);
    chosen.map(|(_, name)| *name).collect()
}

fn super_uses(entity: &Entity, states: bool, moves: bool) -> Vec<String> {
    let mut names = vec!["ENTITY".to_owned(), pascal(&entity.name), "store".to_owned()];
    names.extend(chosen(&[(states, "State"), (moves, "Transition")]).into_iter().map(str::to_owned));
    names
}

fn own_types(entity: &Entity, states: bool) -> Vec<String> {
    let mut names = vec![pascal(&entity.name)];
    names.extend(states.then(|| "State".to_owned()));
    names
}

fn cells(row: &Row) -> Vec<String> {
    let cells =
        row.iter().filter_map(|(name, value)| Some(format!("({}, {})", literal(name), literal(value.as_deref()?))));
    cells.collect()
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

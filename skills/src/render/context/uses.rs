//! What an entity's files import.

use serde::Serialize;

use crate::blueprint::{Entity, Field, FieldKind};
use crate::render::rules::{self, RuleContext};
use crate::render::words::pascal;

/// Names by file; the template makes `use` lines of them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Uses {
    enum_types: Vec<String>,
    state_types: Vec<&'static str>,
    operation_names: Vec<&'static str>,
    entity_uses: Vec<&'static str>,
    describe_uses: Vec<&'static str>,
    store_uses: Vec<&'static str>,
    super_uses: Vec<String>,
    rule_uses: Vec<&'static str>,
    rule_types: Vec<String>,
    rule_test_types: Vec<String>,
    rules_need_named: bool,
}

impl Uses {
    pub(super) fn of(entity: &Entity, rules: &[RuleContext]) -> Self {
        let enums: Vec<&Field> =
            entity.fields.iter().filter(|field| matches!(field.kind, FieldKind::Enum { .. })).collect();
        let states = entity.states.is_some();
        let moves = entity.states.as_ref().is_some_and(|states| !states.transitions.is_empty());
        let decimal = entity.fields.iter().any(|field| field.kind == FieldKind::Decimal);
        Self {
            enum_types: enums.iter().map(|field| pascal(&entity.name) + &pascal(&field.name)).collect(),
            state_types: chosen(&[(true, "State"), (moves, "Transition")]),
            operation_names: chosen(&[
                (true, "create"),
                (true, "delete"),
                (true, "insert_sample"),
                (moves, "transition"),
                (true, "update"),
            ]),
            entity_uses: chosen(&[
                (decimal, "Decimal"),
                (true, "Entity"),
                (states, "Named"),
                (true, "Record"),
                (true, "Text"),
                (true, "Values"),
            ]),
            describe_uses: chosen(&[
                (states || !enums.is_empty(), "Choice"),
                (true, "Column"),
                (true, "Entity"),
                (true, "Field"),
                (true, "Kind"),
                (true, "Permissions"),
                (true, "Table"),
                (moves, "Transition"),
            ]),
            store_uses: chosen(&[
                (states, "Named"),
                (!enums.is_empty(), "Text"),
                (states || enums.iter().any(|field| field.required), "choice"),
                (enums.iter().any(|field| !field.required), "optional_choice"),
            ]),
            super_uses: super_uses(entity, states, moves),
            rule_uses: rules::uses(rules),
            rule_types: rules::types(entity, rules),
            rule_test_types: own_types(entity, states),
            rules_need_named: rules.iter().any(RuleContext::needs_named),
        }
    }
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

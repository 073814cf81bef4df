//! Conditions written as Rust.

use std::collections::BTreeSet;

use serde::Serialize;

use super::format::{bound, list};
use super::words::{literal, pascal};
use crate::blueprint::{Author, Blueprint, Condition, Entity, Field, FieldKind, Moment, Op, Operand, Row, Rule};

/// A rule as its file needs it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RuleContext {
    name: String,
    sentence: String,
    field: String,
    on: Vec<String>,
    lookups: Vec<String>,
    applies: Option<String>,
    holds: String,
    uses_scope: bool,
    /// Its code is in a file of its own.
    written: bool,
    /// It has examples.
    tested: bool,
    given: Vec<GivenContext>,
    refused: Vec<String>,
    accepted: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct GivenContext {
    times: u32,
    row: Vec<String>,
}

impl RuleContext {
    /// The module that an agent writes, if one does.
    pub(super) fn module(&self) -> Option<&str> {
        self.written.then_some(&self.name)
    }

    /// Whether it has examples.
    pub(super) fn is_tested(&self) -> bool {
        self.tested
    }

    /// Whether its code asks for the name of a value.
    pub(super) fn needs_named(&self) -> bool {
        self.code().contains(".name()") || self.code().contains("::name)")
    }

    fn code(&self) -> String {
        let applies = self.applies.clone().unwrap_or_default();
        format!("{}{applies}{}", self.lookups.concat(), self.holds)
    }
}

/// The rules of an entity.
pub(super) fn of(blueprint: &Blueprint, entity: &Entity) -> Vec<RuleContext> {
    let rules = blueprint.rules.iter().filter(|rule| rule.entity == entity.name);
    rules.map(|rule| context(blueprint, entity, rule)).collect()
}

/// The rules as they stand in the list of their file.
pub(super) fn literals(rules: &[RuleContext]) -> Vec<String> {
    let literals = rules.iter().map(|rule| {
        let on = list(&rule.on, 8, "on: &", ",");
        // The list puts each on lines of its own: they never fit beside each other.
        format!(
            "Rule {{\n        sentence: {},\n        field: {},\n        on: &{on},\n        holds: {},\n    }}",
            literal(&rule.sentence),
            literal(&rule.field),
            rule.name
        )
    });
    literals.collect()
}

/// What their file uses of the spine's `rule`.
pub(super) fn uses(rules: &[RuleContext]) -> Vec<&'static str> {
    let mut names = vec!["Rule"];
    if !rules.is_empty() {
        names.push("On");
    }
    for (name, sign) in
        [("Same", "Same<'_>"), ("both", "both("), ("free_between", "free_between("), ("others", "others(")]
    {
        if rules.iter().any(|rule| rule.code().contains(sign)) {
            names.push(name);
        }
    }
    names
}

/// What their file uses of the entity's own types.
pub(super) fn types(entity: &Entity, rules: &[RuleContext]) -> Vec<String> {
    let mut names = vec![pascal(&entity.name)];
    let code: String = rules.iter().map(RuleContext::code).collect();
    let own = |name: &str| code.split(&format!("{name}::")).skip(1).count() > foreign(&code, name);
    if entity.states.is_some() && own("State") {
        names.push("State".to_owned());
    }
    for field in &entity.fields {
        let name = format!("{}{}", pascal(&entity.name), pascal(&field.name));
        if matches!(field.kind, FieldKind::Enum { .. }) && own(&name) {
            names.push(name);
        }
    }
    names
}

/// How often a type of that name is one of another entity, written with its path.
fn foreign(code: &str, name: &str) -> usize {
    code.split(&format!("::{name}::")).skip(1).count()
}

fn context(blueprint: &Blueprint, entity: &Entity, rule: &Rule) -> RuleContext {
    let mut writer = Writer { blueprint, entity, lookups: BTreeSet::new(), bindings: Vec::new() };
    let applies = rule.when.as_ref().map(|when| writer.expression(when));
    let written = rule.by == Author::Agent;
    let holds = match written {
        true => format!("{}::holds({}, &scope.now.minute())", rule.name, entity.name),
        false => writer.expression(&rule.require),
    };
    let lookups: Vec<String> = writer.lookups.into_iter().chain(writer.bindings).collect();
    let code = format!("{}{}{holds}", lookups.concat(), applies.clone().unwrap_or_default());
    RuleContext {
        name: rule.name.clone(),
        sentence: rule.sentence.clone(),
        field: rule.field.clone().unwrap_or_default(),
        on: rule.on.iter().map(moment).collect(),
        uses_scope: code.contains("scope"),
        lookups,
        // `!a || b || c` and `!a && b` read wrongly without brackets.
        holds: if applies.is_some() { bracketed(holds) } else { holds },
        applies,
        written,
        tested: !written || !rule.refused.is_empty(),
        given: rule.given.iter().map(|given| GivenContext { times: given.times, row: cells(&given.row) }).collect(),
        refused: cells(&rule.refused),
        accepted: cells(&rule.accepted),
    }
}

fn bracketed(code: String) -> String {
    if code.contains(" || ") { format!("({code})") } else { code }
}

fn moment(moment: &Moment) -> String {
    match moment {
        Moment::Create => "On::Create".to_owned(),
        Moment::Update => "On::Update".to_owned(),
        Moment::Delete => "On::Delete".to_owned(),
        Moment::Transition(name) => format!("On::Transition({})", literal(name)),
    }
}

/// A row as tuples of names and values; an empty value removes one.
fn cells(row: &Row) -> Vec<String> {
    let cells = row.iter().map(|(name, value)| {
        let value = value.as_deref().unwrap_or_default();
        format!("({}, {})", literal(name), literal(value))
    });
    cells.collect()
}

struct Writer<'a> {
    blueprint: &'a Blueprint,
    entity: &'a Entity,
    lookups: BTreeSet<String>,
    bindings: Vec<String>,
}

/// A field and how it is reached.
struct Reached {
    code: String,
    field: Field,
    /// Path of the module with the types of its entity; empty for the rule's own.
    module: String,
    owner: String,
}

impl Reached {
    fn optional(&self) -> bool {
        !self.field.required && self.field.kind != FieldKind::Boolean
    }

    /// A value of the field as Rust.
    fn value(&self, value: &str) -> String {
        match &self.field.kind {
            FieldKind::Enum { .. } if self.field.name == "state" => {
                format!("{}State::{}", self.module, pascal(value))
            }
            FieldKind::Enum { .. } => {
                let name = format!("{}{}", pascal(&self.owner), pascal(&self.field.name));
                format!("{}{name}::{}", self.module, pascal(value))
            }
            FieldKind::Integer | FieldKind::Boolean => value.to_owned(),
            FieldKind::Decimal => format!("saas_spine::entity::Decimal({})", decimal(value)),
            _ => literal(value),
        }
    }

    fn text(&self) -> bool {
        matches!(
            self.field.kind,
            FieldKind::String
                | FieldKind::Text
                | FieldKind::Date
                | FieldKind::Datetime
                | FieldKind::Reference { .. }
                | FieldKind::Member
        )
    }
}

impl Writer<'_> {
    fn expression(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::All(all) => self.joined(all, " && ", "true"),
            Condition::Any(any) => self.joined(any, " || ", "false"),
            Condition::Not(inner) => self.negated(inner),
            Condition::IsSet(field) => self.is_set(field, true),
            Condition::IsUnset(field) => self.is_set(field, false),
            Condition::OneOf { field, values } => {
                let reached = self.reach(field);
                let parts: Vec<String> = values.iter().map(|value| same(&reached, value)).collect();
                grouped(&parts, " || ", "false")
            }
            Condition::State(states) => {
                let states: Vec<String> = states.iter().map(|state| format!("State::{}", pascal(state))).collect();
                let name = &self.entity.name;
                match states.as_slice() {
                    [state] => format!("{name}.state == {state}"),
                    states => format!("matches!({name}.state, {})", states.join(" | ")),
                }
            }
            Condition::Compare { field, op, to } => self.comparison(field, *op, to),
            Condition::NoOverlap { same, from, to, states } => self.no_overlap(same, from, to, states),
            Condition::Limit { most, same, states } => {
                let name = &self.entity.name;
                self.equal(same, states);
                format!("others(scope, {}, &{name}.id, same, states)? < {most}", literal(name))
            }
        }
    }

    fn joined(&mut self, parts: &[Condition], by: &str, none: &str) -> String {
        let parts: Vec<String> = parts.iter().map(|part| self.expression(part)).collect();
        grouped(&parts, by, none)
    }

    fn negated(&mut self, inner: &Condition) -> String {
        match inner {
            Condition::IsSet(field) => self.is_set(field, false),
            Condition::IsUnset(field) => self.is_set(field, true),
            Condition::Not(inner) => self.expression(inner),
            Condition::Compare { field, op: Op::Equals, to } => self.comparison(field, Op::NotEquals, to),
            Condition::Compare { field, op: Op::NotEquals, to } => self.comparison(field, Op::Equals, to),
            Condition::All(all) => self.joined(&denied(all), " || ", "false"),
            Condition::Any(any) => self.joined(&denied(any), " && ", "true"),
            Condition::State(states) if states.len() == 1 => self.expression(inner).replacen(" == ", " != ", 1),
            Condition::State(_) => format!("!{}", self.expression(inner)),
            _ => format!("!({})", self.expression(inner)),
        }
    }

    fn is_set(&mut self, path: &str, set: bool) -> String {
        let reached = self.reach(path);
        match (reached.optional(), set) {
            (true, true) => format!("{}.is_some()", reached.code),
            (true, false) => format!("{}.is_none()", reached.code),
            // A required field always has a value.
            (false, set) => set.to_string(),
        }
    }

    fn comparison(&mut self, path: &str, op: Op, to: &Operand) -> String {
        let left = self.reach(path);
        let sign = sign(op);
        match to {
            Operand::Value(value) if op == Op::Equals => same(&left, value),
            Operand::Value(value) if op == Op::NotEquals => different(&left, value),
            Operand::Value(value) => {
                let right = left.value(value);
                ordered(&left, sign, &right)
            }
            Operand::Now => {
                let part = if left.field.kind == FieldKind::Date { "date" } else { "minute" };
                ordered(&left, sign, &format!("scope.now.{part}().as_str()"))
            }
            Operand::Me if left.optional() => {
                format!("{}.as_deref() {sign} Some(scope.who.id.as_str())", left.code)
            }
            Operand::Me => format!("{} {sign} scope.who.id", left.code),
            Operand::Field(other) => {
                let right = self.reach(other);
                if matches!(op, Op::Equals | Op::NotEquals) || !(left.optional() || right.optional()) {
                    return optional_pair(&left, sign, &right);
                }
                let some = |side: &Reached| {
                    if side.optional() { format!("{}.as_ref()", side.code) } else { format!("Some(&{})", side.code) }
                };
                format!("both({}, {}, |left, right| left {sign} right)", some(&left), some(&right))
            }
        }
    }

    fn no_overlap(&mut self, same: &[String], from: &str, to: &str, states: &[String]) -> String {
        self.equal(same, states);
        let name = &self.entity.name;
        for (variable, field) in [("from", from), ("to", to)] {
            self.bindings.push(format!("let {variable} = ({}, {name}.{field}.as_str());", literal(field)));
        }
        format!("free_between(scope, {}, &{name}.id, same, from, to, states)?", literal(name))
    }

    /// Binds the columns that must be equal, and the states that count.
    fn equal(&mut self, same: &[String], states: &[String]) {
        self.bindings.push(bound(&self.same(same), 4, "same: Same<'_>"));
        let states: Vec<String> = states.iter().map(|state| literal(state)).collect();
        self.bindings.push(bound(&states, 4, "states"));
    }

    /// Columns and the values that they must have.
    fn same(&self, fields: &[String]) -> Vec<String> {
        let pairs = fields.iter().map(|name| {
            let owner = &self.entity.name;
            let field = self.entity.field(name);
            let chosen = field.is_some_and(|field| matches!(field.kind, FieldKind::Enum { .. }));
            let optional = field.is_some_and(|field| !field.required);
            let value = match (chosen, optional) {
                (true, true) => format!("{owner}.{name}.map(Named::name)"),
                (true, false) => format!("{owner}.{name}.name()"),
                _ => format!("{owner}.{name}"),
            };
            format!("({}, &{value})", literal(name))
        });
        pairs.collect()
    }

    /// A field of the record, or of a record that it names, which is looked up once.
    fn reach(&mut self, path: &str) -> Reached {
        let own = self.entity;
        let Some((name, rest)) = path.split_once('.') else {
            return Reached {
                code: format!("{}.{path}", own.name),
                field: own.field(path).cloned().unwrap_or_else(unknown),
                module: String::new(),
                owner: own.name.clone(),
            };
        };
        let to = match own.field(name).map(|field| &field.kind) {
            Some(FieldKind::Reference { to }) => to.clone(),
            _ => String::new(),
        };
        self.lookups.insert(format!("let its_{name} = crate::{to}::find(scope, &{}.{name})?;", own.name));
        let other = self.blueprint.entity(&to);
        let field = other.and_then(|other| other.field(rest).cloned());
        Reached {
            code: format!("its_{name}.{rest}"),
            field: field.unwrap_or_else(|| state_of(other)),
            module: format!("crate::{to}::"),
            owner: to,
        }
    }
}

/// Not all of these is any not of these, and the other way round: said so, it needs no brackets.
fn denied(conditions: &[Condition]) -> Vec<Condition> {
    conditions.iter().map(|condition| Condition::Not(Box::new(condition.clone()))).collect()
}

fn state_of(entity: Option<&Entity>) -> Field {
    let states = entity.and_then(|entity| entity.states.as_ref());
    Field {
        name: "state".to_owned(),
        kind: FieldKind::Enum { values: states.map_or_else(Vec::new, |states| states.values.clone()) },
        required: true,
        ..unknown()
    }
}

/// Stands for a field that a checked blueprint cannot name.
fn unknown() -> Field {
    Field {
        name: String::new(),
        title: String::new(),
        help: String::new(),
        kind: FieldKind::String,
        required: true,
        unique: false,
        min: None,
        max: None,
        default: None,
    }
}

fn sign(op: Op) -> &'static str {
    match op {
        Op::Equals => "==",
        Op::NotEquals => "!=",
        Op::LessThan => "<",
        Op::AtMost => "<=",
        Op::GreaterThan => ">",
        Op::AtLeast => ">=",
    }
}

fn same(left: &Reached, value: &str) -> String {
    match (&left.field.kind, left.optional()) {
        (FieldKind::Boolean, _) if value == "true" => left.code.clone(),
        (FieldKind::Boolean, _) => format!("!{}", left.code),
        (_, true) if left.text() => format!("{}.as_deref() == Some({})", left.code, left.value(value)),
        (_, true) => format!("{} == Some({})", left.code, left.value(value)),
        (_, false) => format!("{} == {}", left.code, left.value(value)),
    }
}

fn different(left: &Reached, value: &str) -> String {
    match (&left.field.kind, left.optional()) {
        (FieldKind::Boolean, _) if value == "true" => format!("!{}", left.code),
        (FieldKind::Boolean, _) => left.code.clone(),
        _ => same(left, value).replacen(" == ", " != ", 1),
    }
}

fn ordered(left: &Reached, sign: &str, right: &str) -> String {
    match (left.optional(), left.text()) {
        (true, true) => format!("{}.as_deref().is_some_and(|value| value {sign} {right})", left.code),
        (true, false) => format!("{}.is_some_and(|value| value {sign} {right})", left.code),
        (false, true) => format!("{}.as_str() {sign} {right}", left.code),
        (false, false) => format!("{} {sign} {right}", left.code),
    }
}

fn optional_pair(left: &Reached, sign: &str, right: &Reached) -> String {
    match (left.optional(), right.optional()) {
        (true, false) => format!("{}.as_ref() {sign} Some(&{})", left.code, right.code),
        (false, true) => format!("Some(&{}) {sign} {}.as_ref()", left.code, right.code),
        _ => format!("{} {sign} {}", left.code, right.code),
    }
}

fn grouped(parts: &[String], by: &str, none: &str) -> String {
    match parts {
        [] => none.to_owned(),
        [part] => part.clone(),
        parts => {
            let parts: Vec<String> =
                parts
                    .iter()
                    .map(|part| {
                        if part.contains(" || ") || part.contains(" && ") { format!("({part})") } else { part.clone() }
                    })
                    .collect();
            parts.join(by)
        }
    }
}

/// A checked decimal in hundredths.
pub(super) fn decimal(value: &str) -> i64 {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let hundredths = format!("{whole}{part:0<2}").parse().unwrap_or(0);
    if digits.len() < value.len() { -hundredths } else { hundredths }
}

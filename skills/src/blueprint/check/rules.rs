//! Rules: they speak of what there is, their names are free, their examples fit.

use super::Check;
use crate::blueprint::WRITTEN_MAX;
use crate::blueprint::model::{Author, Condition, Entity, Field, FieldKind, Moment, Op, Operand, Rule};
use crate::blueprint::names::NAME_LEN_MAX;

/// Longest sentence of a rule, in characters: it becomes the name of a function.
const SENTENCE_LEN_MAX: usize = 3 * NAME_LEN_MAX;

impl Check<'_> {
    pub(super) fn rules(&mut self) {
        let blueprint = self.blueprint;
        let entities: Vec<&str> = blueprint.entities.iter().map(|entity| entity.name.as_str()).collect();
        for (index, rule) in blueprint.rules.iter().enumerate() {
            let at = format!("/rules/{index}");
            self.sentence(rule, &at);
            self.known("entity", &rule.entity, &entities, &format!("{at}/entity"));
            if let Some(entity) = blueprint.entity(&rule.entity) {
                self.rule(entity, rule, &at);
            }
        }
        let names = blueprint.rules.iter().map(|rule| rule.name.as_str());
        self.distinct("rule", "/rules", names, "sentence");
        let mut written = blueprint.rules.iter().enumerate().filter(|(_, rule)| rule.by == Author::Agent);
        if let Some((index, _)) = written.nth(WRITTEN_MAX) {
            let message = format!("more than {WRITTEN_MAX} rules are `by: agent`");
            self.mistake(&format!("/rules/{index}/by"), message, "say some of them as a condition");
        }
    }

    fn sentence(&mut self, rule: &Rule, at: &str) {
        let at = format!("{at}/sentence");
        self.one_line(&rule.sentence, &at);
        if rule.sentence.is_empty() {
            return;
        }
        let begins = rule.name.starts_with(|first: char| first.is_ascii_lowercase());
        let length = rule.sentence.chars().count();
        if !begins || !rule.name.contains('_') {
            let message = "this is not a sentence that can name a function".to_owned();
            self.mistake(&at, message, "write a sentence in English that begins with a letter");
        }
        if length > SENTENCE_LEN_MAX {
            let message = format!("the sentence has {length} characters");
            self.mistake(&at, message, &format!("say it in {SENTENCE_LEN_MAX}"));
        }
    }

    fn rule(&mut self, entity: &Entity, rule: &Rule, at: &str) {
        let fields: Vec<&str> = entity.fields.iter().map(|field| field.name.as_str()).collect();
        if let Some(field) = &rule.field {
            self.known(&format!("field of `{}`", entity.name), field, &fields, &format!("{at}/field"));
        }
        let mut moments = vec!["create", "update", "delete"];
        let transitions = entity.states.iter().flat_map(|states| &states.transitions);
        let transitions: Vec<String> = transitions.map(|one| format!("transition.{}", one.name)).collect();
        moments.extend(transitions.iter().map(String::as_str));
        for (index, moment) in rule.on.iter().enumerate() {
            if let Moment::Transition(name) = moment {
                let known = transitions.contains(&format!("transition.{name}"));
                if !known {
                    self.known("moment", name, &moments, &format!("{at}/on/{index}"));
                }
            }
        }
        if let Some(when) = &rule.when {
            self.condition(entity, when, &format!("{at}/when"));
        }
        self.condition(entity, &rule.require, &format!("{at}/require"));
        for (index, given) in rule.given.iter().enumerate() {
            self.row(entity, &given.row, &format!("{at}/given/{index}/row"), None);
            if !(1..=100).contains(&given.times) {
                let message = format!("{} records are given", given.times);
                self.mistake(&format!("{at}/given/{index}"), message, "write 1 to 100");
            }
        }
        self.row(entity, &rule.refused, &format!("{at}/refused"), None);
        self.row(entity, &rule.accepted, &format!("{at}/accepted"), None);
        if rule.by == Author::Agent && rule.refused.is_empty() != rule.accepted.is_empty() {
            let message = "one example stands alone".to_owned();
            self.mistake(at, message, "write both `refused` and `accepted`, or none");
        }
        if rule.refused == rule.accepted && !rule.refused.is_empty() {
            let message = "both examples are the same".to_owned();
            self.mistake(&format!("{at}/accepted"), message, "`refused` breaks the rule, `accepted` does not");
        }
    }

    fn condition(&mut self, entity: &Entity, condition: &Condition, at: &str) {
        match condition {
            Condition::All(all) => self.conditions(entity, all, &format!("{at}/all")),
            Condition::Any(any) => self.conditions(entity, any, &format!("{at}/any")),
            Condition::Not(inner) => self.condition(entity, inner, &format!("{at}/not")),
            Condition::IsSet(field) | Condition::IsUnset(field) => {
                self.path(entity, field, &format!("{at}/field"));
            }
            Condition::OneOf { field, values } => {
                let found = self.path(entity, field, &format!("{at}/field"));
                for (index, value) in values.iter().enumerate() {
                    self.comparable(found.as_ref(), value, &format!("{at}/one_of/{index}"));
                }
            }
            Condition::Compare { field, op, to } => self.comparison(entity, field, *op, to, at),
            Condition::State(states) => self.states(entity, states, &format!("{at}/state")),
            Condition::NoOverlap { same, from, to, states } => {
                let at = format!("{at}/no_overlap");
                self.own_fields(entity, same, &format!("{at}/same"));
                self.span(entity, from, to, &at);
                self.states_if_any(entity, states, &format!("{at}/states"));
            }
            Condition::Limit { most, same, states } => {
                let at = format!("{at}/limit");
                if *most == 0 {
                    self.mistake(&format!("{at}/most"), "the limit is 0".to_owned(), "write at least 1");
                }
                self.own_fields(entity, same, &format!("{at}/same"));
                self.states_if_any(entity, states, &format!("{at}/states"));
            }
        }
    }

    fn conditions(&mut self, entity: &Entity, all: &[Condition], at: &str) {
        for (index, condition) in all.iter().enumerate() {
            self.condition(entity, condition, &format!("{at}/{index}"));
        }
    }

    fn comparison(&mut self, entity: &Entity, field: &str, op: Op, to: &Operand, at: &str) {
        let found = self.path(entity, field, &format!("{at}/field"));
        let word = match op {
            Op::Equals => "equals",
            Op::NotEquals => "not_equals",
            Op::LessThan => "less_than",
            Op::AtMost => "at_most",
            Op::GreaterThan => "greater_than",
            Op::AtLeast => "at_least",
        };
        let ordered = !matches!(op, Op::Equals | Op::NotEquals);
        let sorted = found.as_ref().is_none_or(|field| {
            matches!(field.kind, FieldKind::Integer | FieldKind::Decimal | FieldKind::Date | FieldKind::Datetime)
        });
        if ordered && !sorted {
            let message = format!("`{field}` has no order");
            self.mistake(
                &format!("{at}/field"),
                message,
                "compare numbers and dates so; for others use `equals` or `one_of`",
            );
            return;
        }
        let at = format!("{at}/{word}");
        match to {
            Operand::Value(value) => self.comparable(found.as_ref(), value, &at),
            Operand::Field(other) => {
                let names: Vec<&str> = entity.fields.iter().map(|field| field.name.as_str()).collect();
                self.known(&format!("field of `{}`", entity.name), other, &names, &format!("{at}/field"));
                if let (Some(left), Some(right)) = (&found, entity.field(other))
                    && std::mem::discriminant(&left.kind) != std::mem::discriminant(&right.kind)
                {
                    let message = format!("`{field}` and `{other}` are of different types");
                    self.mistake(&at, message, "compare fields of the same type");
                }
            }
            Operand::Now => {
                let dated =
                    found.as_ref().is_none_or(|field| matches!(field.kind, FieldKind::Date | FieldKind::Datetime));
                if !dated {
                    self.mistake(&at, format!("`{field}` is no date"), "compare dates with `now` or `today`");
                }
            }
            Operand::Me => {
                let member = found.as_ref().is_none_or(|field| field.kind == FieldKind::Member);
                if !member {
                    self.mistake(&at, format!("`{field}` is no member"), "compare members with `@me`");
                }
            }
        }
    }

    /// A literal that a field is compared to.
    fn comparable(&mut self, field: Option<&Field>, value: &str, at: &str) {
        let Some(field) = field else {
            return;
        };
        if matches!(field.kind, FieldKind::Reference { .. } | FieldKind::Member) {
            let message = format!("`{}` names a record, whose id nobody knows beforehand", field.name);
            self.mistake(at, message, "ask `is: set`, or a field of that record");
            return;
        }
        self.value(field, value, at, None);
    }

    /// A field of the record, or `reference.field` of the record that it names.
    fn path(&mut self, entity: &Entity, path: &str, at: &str) -> Option<Field> {
        let blueprint = self.blueprint;
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let names: Vec<&str> = entity.fields.iter().map(|field| field.name.as_str()).collect();
        self.known(&format!("field of `{}`", entity.name), name, &names, at);
        let field = entity.field(name)?;
        let Some(rest) = rest else {
            return Some(field.clone());
        };
        let FieldKind::Reference { to } = &field.kind else {
            self.mistake(at, format!("`{name}` names no record"), "only a reference can be followed with a dot");
            return None;
        };
        if !field.required {
            self.mistake(at, format!("`{name}` may be empty"), "only a required reference can be followed with a dot");
        }
        let other = blueprint.entity(to)?;
        if let Some(states) = other.states.as_ref().filter(|_| rest == "state") {
            return Some(state_field(states.values.clone()));
        }
        let names: Vec<&str> = other.fields.iter().map(|field| field.name.as_str()).collect();
        self.known(&format!("field of `{}`", other.name), rest, &names, at);
        other.field(rest).cloned()
    }

    fn own_fields(&mut self, entity: &Entity, names: &[String], at: &str) {
        let known: Vec<&str> = entity.fields.iter().map(|field| field.name.as_str()).collect();
        for (index, name) in names.iter().enumerate() {
            self.known(&format!("field of `{}`", entity.name), name, &known, &format!("{at}/{index}"));
        }
    }

    fn span(&mut self, entity: &Entity, from: &str, to: &str, at: &str) {
        self.own_fields(entity, &[from.to_owned()], &format!("{at}/from"));
        self.own_fields(entity, &[to.to_owned()], &format!("{at}/to"));
        for (name, key) in [(from, "from"), (to, "to")] {
            let Some(field) = entity.field(name) else {
                continue;
            };
            let dated = matches!(field.kind, FieldKind::Date | FieldKind::Datetime);
            if !dated || !field.required {
                let message = format!("`{name}` is not a required date");
                self.mistake(&format!("{at}/{key}"), message, "a span of time has a beginning and an end");
            }
        }
    }

    fn states_if_any(&mut self, entity: &Entity, states: &[String], at: &str) {
        if !states.is_empty() {
            self.states(entity, states, at);
        }
    }

    fn states(&mut self, entity: &Entity, states: &[String], at: &str) {
        let names = entity.state_names();
        for (index, state) in states.iter().enumerate() {
            self.known(&format!("state of `{}`", entity.name), state, &names, &format!("{at}/{index}"));
        }
    }
}

fn state_field(values: Vec<crate::blueprint::model::Choice>) -> Field {
    Field {
        name: "state".to_owned(),
        title: "State".to_owned(),
        help: String::new(),
        kind: FieldKind::Enum { values },
        required: true,
        unique: false,
        min: None,
        max: None,
        default: None,
    }
}

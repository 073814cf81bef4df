//! Reads conditions.

use super::super::model::{Condition, Op, Operand};
use super::fields::{Fields, plain};
use crate::yaml::{Mistake, Node};

const OPS: &[(&str, Op)] = &[
    ("equals", Op::Equals),
    ("not_equals", Op::NotEquals),
    ("less_than", Op::LessThan),
    ("at_most", Op::AtMost),
    ("greater_than", Op::GreaterThan),
    ("at_least", Op::AtLeast),
];

const HELP: &str = "write one of: `all`, `any`, `not`, `state`, `no_overlap`, `limit`, or `field` \
    with `is`, `one_of`, `equals`, `not_equals`, `less_than`, `at_most`, `greater_than`, `at_least`";

/// Reads a condition.
pub(super) fn read(node: &Node, mistakes: &mut Vec<Mistake>) -> Condition {
    let mut fields = Fields::new(node, "a condition", mistakes);
    let condition = if fields.look("all").is_some() {
        Condition::All(fields.items("all", read))
    } else if fields.look("any").is_some() {
        Condition::Any(fields.items("any", read))
    } else if fields.look("not").is_some() {
        Condition::Not(Box::new(fields.one("not", read).unwrap_or(Condition::All(Vec::new()))))
    } else if fields.look("state").is_some() {
        Condition::State(fields.texts("state"))
    } else if fields.look("no_overlap").is_some() {
        fields.one("no_overlap", no_overlap).unwrap_or(NOTHING)
    } else if fields.look("limit").is_some() {
        fields.one("limit", limit).unwrap_or(NOTHING)
    } else {
        about_field(&mut fields)
    };
    fields.done();
    condition
}

const NOTHING: Condition = Condition::All(Vec::new());

fn about_field(fields: &mut Fields<'_>) -> Condition {
    if fields.look("field").is_none() {
        fields.complain("this condition asks nothing".to_owned(), HELP);
        return NOTHING;
    }
    let field = fields.text("field");
    if fields.look("is").is_some() {
        return match fields.word("is", &["set", "unset"]).as_str() {
            "unset" => Condition::IsUnset(field),
            _ => Condition::IsSet(field),
        };
    }
    if fields.look("one_of").is_some() {
        let values = fields.texts("one_of");
        return Condition::OneOf { field, values };
    }
    for (word, op) in OPS {
        if let Some(to) = fields.one(word, operand) {
            return Condition::Compare { field, op: *op, to };
        }
    }
    fields.complain(format!("nothing is asked of `{field}`"), HELP);
    NOTHING
}

fn operand(node: &Node, mistakes: &mut Vec<Mistake>) -> Operand {
    if node.as_map().is_some() {
        let mut fields = Fields::new(node, "a comparison", mistakes);
        let field = fields.text("field");
        fields.done();
        return Operand::Field(field);
    }
    match plain(node) {
        Some(Some(text)) => match text.as_str() {
            "now" | "today" => Operand::Now,
            "@me" => Operand::Me,
            _ => Operand::Value(text),
        },
        _ => {
            let message = format!("a value or `{{ field: … }}` belongs here, and this is {}", node.kind_name());
            mistakes.push(Mistake::new(node.span, message).with_help("to ask for no value write `is: unset`"));
            Operand::Now
        }
    }
}

fn no_overlap(node: &Node, mistakes: &mut Vec<Mistake>) -> Condition {
    let mut fields = Fields::new(node, "no_overlap", mistakes);
    let condition = Condition::NoOverlap {
        same: fields.texts("same"),
        from: fields.text("from"),
        to: fields.text("to"),
        states: fields.texts_or("states", &[]),
    };
    fields.done();
    condition
}

fn limit(node: &Node, mistakes: &mut Vec<Mistake>) -> Condition {
    let mut fields = Fields::new(node, "limit", mistakes);
    let most = fields.integer("most");
    if fields.look("most").is_none() {
        fields.complain("limit lacks `most`".to_owned(), "add `most: …`");
    }
    let condition = Condition::Limit {
        most: most.and_then(|most| u32::try_from(most).ok()).unwrap_or(0),
        same: fields.texts_or("same", &[]),
        states: fields.texts_or("states", &[]),
    };
    fields.done();
    condition
}

//! What an expression reads, found from its syntax tree.

use std::collections::BTreeSet;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr},
};
use mesh_skills::yaml::suggest;

use super::ExpressionError;

/// What an expression reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// The run's input.
    pub input: bool,
    /// The steps that it names.
    pub steps: BTreeSet<String>,
    /// The item or its index, within a for-each step.
    pub item: bool,
    /// The step's own output, within a compensation.
    pub output: bool,
    /// The run's own facts.
    pub run: bool,
}

/// Comprehensions within comprehensions: more would let a short text run for hours.
const NESTED_MAX: usize = 2;

/// Parts within parts, such as the terms of one sum: each costs stack wherever the expression is evaluated.
const DEPTH_MAX: usize = 250;

const VARIABLES: [&str; 6] = ["input", "steps", "item", "index", "output", "run"];
const STEP_FIELDS: [&str; 2] = ["output", "state"];
const TYPES: [&str; 10] = ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];
const LIBRARIES: [&str; 4] = ["math", "lists", "strings", "optional"];
const FUNCTIONS: [&str; 46] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "type",
    "dyn",
    "has",
    "min",
    "max",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "join",
    "lowerAscii",
    "upperAscii",
    "replace",
    "split",
    "substring",
    "trim",
    "reverse",
    "format",
    "quote",
    "slice",
    "flatten",
    "distinct",
    "sort",
    "sortBy",
    "range",
    "first",
    "last",
    "greatest",
    "least",
    "ceil",
    "floor",
    "round",
    "abs",
    "sign",
    "of",
    "none",
    "orValue",
];

/// Finds what `expr` reads.
///
/// # Errors
/// Everything that it reads and that is not there.
pub(super) fn reads(expr: &IdedExpr) -> Result<Reads, Vec<ExpressionError>> {
    let mut walk = Walk::default();
    walk.expr(expr);
    if walk.errors.is_empty() { Ok(walk.reads) } else { Err(walk.errors) }
}

/// Finds which of `variables`, and no others, `expr` reads.
///
/// # Errors
/// Everything that it reads and that is not there.
pub(super) fn reads_of(expr: &IdedExpr, variables: &[&str]) -> Result<BTreeSet<String>, Vec<ExpressionError>> {
    let mut walk = Walk { variables: Some(variables), ..Walk::default() };
    walk.expr(expr);
    if walk.errors.is_empty() { Ok(walk.named) } else { Err(walk.errors) }
}

#[derive(Default)]
struct Walk<'e> {
    /// What there is to read, when it is not what a run has.
    variables: Option<&'e [&'e str]>,
    /// Which of them are read.
    named: BTreeSet<String>,
    reads: Reads,
    bound: Vec<&'e str>,
    nested: usize,
    depth: usize,
    errors: Vec<ExpressionError>,
}

impl<'e> Walk<'e> {
    fn expr(&mut self, expr: &'e IdedExpr) {
        self.depth += 1;
        if self.depth <= DEPTH_MAX {
            self.parts(expr);
        } else if self.depth == DEPTH_MAX + 1 {
            self.errors.push(ExpressionError::Reads {
                message: format!("more than {DEPTH_MAX} parts within one another"),
                help: Some("compute it in a skill".to_owned()),
            });
        }
        self.depth -= 1;
    }

    fn parts(&mut self, expr: &'e IdedExpr) {
        match &expr.expr {
            Expr::Ident(name) => self.ident(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => list.elements.iter().for_each(|element| self.expr(element)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(object) => object.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn entry(&mut self, entry: &'e EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.expr(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.expr(&entry.key);
                self.expr(&entry.value);
            }
        }
    }

    fn ident(&mut self, name: &'e str) {
        if name.starts_with('@') || self.bound.contains(&name) || TYPES.contains(&name) {
            return;
        }
        if let Some(variables) = self.variables {
            if variables.contains(&name) {
                self.named.insert(name.to_owned());
            } else {
                self.unknown(name, variables, "");
            }
            return;
        }
        match name {
            "input" => self.reads.input = true,
            "item" | "index" => self.reads.item = true,
            "output" => self.reads.output = true,
            "run" => self.reads.run = true,
            "steps" => self.whole_steps(),
            _ => self.unknown(name, &VARIABLES, "; an id with `-` is read as `steps[\"my-step\"]`"),
        }
    }

    fn whole_steps(&mut self) {
        self.errors.push(ExpressionError::Reads {
            message: "`steps` cannot be read as a whole, nor by a computed name".to_owned(),
            help: Some("name the step: `steps.ID.output` or `steps[\"ID\"].output`".to_owned()),
        });
    }

    fn unknown(&mut self, name: &str, variables: &[&str], more: &str) {
        let near = suggest(name, variables).map(|near| format!("did you mean `{near}`? "));
        self.errors.push(ExpressionError::Reads {
            message: format!("`{name}` is not known here"),
            help: Some(format!("{}an expression knows `{}`{more}", near.unwrap_or_default(), variables.join("`, `"))),
        });
    }

    fn is_steps(&self, expr: &IdedExpr) -> bool {
        let of_a_run = self.variables.is_none() && !self.bound.contains(&"steps");
        of_a_run && matches!(&expr.expr, Expr::Ident(name) if name == "steps")
    }

    /// The step that `expr` names, when it is `steps.ID` or `steps["ID"]`.
    fn step<'a>(&self, expr: &'a IdedExpr) -> Option<&'a str> {
        match &expr.expr {
            Expr::Select(select) if self.is_steps(&select.operand) => Some(&select.field),
            Expr::Call(call) if call.func_name == "_[_]" => match call.args.as_slice() {
                [list, key] if self.is_steps(list) => match &key.expr {
                    Expr::Literal(LiteralValue::String(id)) => Some(id.inner()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    fn select(&mut self, select: &'e SelectExpr) {
        if self.is_steps(&select.operand) {
            self.reads.steps.insert(select.field.clone());
            return;
        }
        if self.step(&select.operand).is_some() && !STEP_FIELDS.contains(&select.field.as_str()) {
            let near = suggest(&select.field, STEP_FIELDS).unwrap_or_else(|| "output".to_owned());
            self.errors.push(ExpressionError::Reads {
                message: format!("a step has no `{}`", select.field),
                help: Some(format!("`{near}` is meant? A step has `output` and `state`")),
            });
        }
        self.expr(&select.operand);
    }

    fn call(&mut self, call: &'e CallExpr) {
        if let ("_[_]", [list, key]) = (call.func_name.as_str(), call.args.as_slice())
            && self.is_steps(list)
        {
            match &key.expr {
                Expr::Literal(LiteralValue::String(id)) => {
                    self.reads.steps.insert(id.inner().to_owned());
                }
                _ => self.whole_steps(),
            }
            return;
        }
        self.function(&call.func_name);
        if let Some(target) = &call.target
            && !matches!(&target.expr, Expr::Ident(name) if LIBRARIES.contains(&name.as_str()))
        {
            self.expr(target);
        }
        call.args.iter().for_each(|arg| self.expr(arg));
    }

    fn function(&mut self, name: &str) {
        // Operators, and what macros of the libraries expand to (`math.@max`).
        let operator = name.starts_with(['_', '!', '-']) || name.contains('@');
        if operator || FUNCTIONS.contains(&name) {
            return;
        }
        let near = suggest(name, FUNCTIONS).map(|near| format!("did you mean `{near}`?"));
        self.errors.push(ExpressionError::Reads { message: format!("there is no function `{name}`"), help: near });
    }

    fn comprehension(&mut self, comprehension: &'e ComprehensionExpr) {
        self.expr(&comprehension.iter_range);
        self.nested += 1;
        if self.nested == NESTED_MAX + 1 {
            self.errors.push(ExpressionError::Reads {
                message: format!("more than {NESTED_MAX} loops over lists within one another"),
                help: Some("compute it in a skill".to_owned()),
            });
        }
        let before = self.bound.len();
        self.bound.push(&comprehension.iter_var);
        self.bound.extend(comprehension.iter_var2.as_deref());
        self.bound.push(&comprehension.accu_var);
        for part in
            [&comprehension.accu_init, &comprehension.loop_cond, &comprehension.loop_step, &comprehension.result]
        {
            self.expr(part);
        }
        self.bound.truncate(before);
        self.nested -= 1;
    }
}

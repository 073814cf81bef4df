//! The value of an expression.

use cel::{
    Context, ExecutionError, IdedExpr,
    common::ast::{Expr, LiteralValue},
};
use serde_json::{Value, json};

use super::{Expression, convert, environment};

/// What a step gives to expressions.
#[derive(Debug, Clone, Copy)]
pub struct StepFacts<'a> {
    /// Its state's name.
    pub state: &'a str,
    /// Its output; null when there is none.
    pub output: &'a Value,
}

/// What a run gives to expressions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// Its id.
    pub id: String,
    /// Its tenant.
    pub tenant: String,
    /// The lineage key.
    pub trace_id: String,
    /// Its definition's name.
    pub definition: String,
    /// Its definition's version.
    pub version: u32,
}

/// Everything that an expression can read.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The run's input.
    pub input: &'a Value,
    /// A step by its id.
    pub steps: &'a dyn Fn(&str) -> Option<StepFacts<'a>>,
    /// The item and its index, within a for-each step.
    pub item: Option<(&'a Value, usize)>,
    /// The step's own output, within a compensation.
    pub output: Option<&'a Value>,
    /// The run's facts.
    pub run: &'a RunFacts,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}` has no value: {reason}")]
pub struct EvaluateError {
    /// The expression.
    pub expression: String,
    /// Why.
    pub reason: String,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Name(String),
    Index(usize),
}

/// The segments of an expression that is only a path; none for any other.
pub(super) fn path(expr: &IdedExpr) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut expr = expr;
    loop {
        match &expr.expr {
            Expr::Ident(name) => {
                segments.push(Segment::Name(name.clone()));
                segments.reverse();
                return Some(segments);
            }
            Expr::Select(select) if !select.test => {
                segments.push(Segment::Name(select.field.clone()));
                expr = &select.operand;
            }
            Expr::Call(call) if call.func_name == "_[_]" => {
                let [list, key] = call.args.as_slice() else { return None };
                segments.push(match &key.expr {
                    Expr::Literal(LiteralValue::String(name)) => Segment::Name(name.inner().to_owned()),
                    Expr::Literal(LiteralValue::Int(at)) => Segment::Index(usize::try_from(*at.inner()).ok()?),
                    _ => return None,
                });
                expr = list;
            }
            _ => return None,
        }
    }
}

impl Expression {
    /// Its value in this scope.
    ///
    /// # Errors
    /// [`EvaluateError`] names the expression and what it did not find.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, EvaluateError> {
        match &self.path {
            Some(path) => self.walk(path, scope),
            None => self.execute(scope),
        }
    }

    fn error(&self, reason: impl Into<String>) -> EvaluateError {
        EvaluateError { expression: self.source.to_string(), reason: reason.into() }
    }

    /// A path needs no interpreter, keeps numbers as they were, and copies only what it names.
    fn walk(&self, path: &[Segment], scope: &Scope<'_>) -> Result<Value, EvaluateError> {
        let Some((Segment::Name(root), mut rest)) = path.split_first() else {
            return Err(self.error("it names nothing"));
        };
        let made;
        let mut value: &Value = match root.as_str() {
            "input" => scope.input,
            "output" => scope.output.unwrap_or(&Value::Null),
            "item" => scope.item.map_or(&Value::Null, |(item, _)| item),
            "steps" => {
                let Some((Segment::Name(id), after)) = rest.split_first() else {
                    return Err(self.error("it names no step"));
                };
                let facts = (scope.steps)(id).ok_or_else(|| self.error(format!("no step `{id}`")))?;
                match after.split_first() {
                    Some((Segment::Name(field), after)) if field == "output" => {
                        rest = after;
                        facts.output
                    }
                    _ => {
                        rest = after;
                        made = json!({ "state": facts.state, "output": facts.output });
                        &made
                    }
                }
            }
            _ => return self.execute(scope),
        };
        for segment in rest {
            value = self.child(value, segment)?;
        }
        Ok(value.clone())
    }

    fn child<'v>(&self, value: &'v Value, segment: &Segment) -> Result<&'v Value, EvaluateError> {
        let found = match (value, segment) {
            (Value::Object(fields), Segment::Name(name)) => fields.get(name),
            (Value::Array(items), Segment::Index(at)) => items.get(*at),
            _ => None,
        };
        found.ok_or_else(|| {
            if is_reference(value) {
                return self.error("the value is large and kept by reference: pass it whole to a skill, which sees it");
            }
            self.error(match segment {
                Segment::Name(name) => format!("there is no `{name}` in {}", describe(value)),
                Segment::Index(at) => format!("there is no item {at} in {}", describe(value)),
            })
        })
    }

    fn execute(&self, scope: &Scope<'_>) -> Result<Value, EvaluateError> {
        let mut context = Context::with_env(environment().clone());
        let mut put = |name: &str, value: cel::Value| context.add_variable_from_value(name, value);
        if self.reads.input {
            put("input", convert::to_cel(scope.input));
        }
        if self.reads.output {
            put("output", convert::to_cel(scope.output.unwrap_or(&Value::Null)));
        }
        if self.reads.item {
            let (item, index) = scope.item.unwrap_or((&Value::Null, 0));
            put("item", convert::to_cel(item));
            put("index", cel::Value::Int(i64::try_from(index).unwrap_or(i64::MAX)));
        }
        if self.reads.run {
            let run = scope.run;
            put(
                "run",
                convert::to_cel(&json!({
                    "id": run.id, "tenant": run.tenant, "traceId": run.trace_id,
                    "definition": run.definition, "version": run.version,
                })),
            );
        }
        if !self.reads.steps.is_empty() {
            put("steps", convert::to_cel(&self.steps(scope)));
        }
        let value = self.program.execute(&context).map_err(|error| self.error(reason(&error)))?;
        convert::to_json(&value).ok_or_else(|| self.error("its value has no JSON form"))
    }

    fn steps(&self, scope: &Scope<'_>) -> Value {
        self.reads
            .steps
            .iter()
            .filter_map(|id| {
                let facts = (scope.steps)(id)?;
                Some((id.clone(), json!({ "state": facts.state, "output": facts.output })))
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// Why it has no value, in words.
pub(super) fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no `{name}`; `has(…)` asks for it"),
        ExecutionError::UndeclaredReference(name) => format!("`{name}` is not known"),
        other => other.to_string().chars().take(200).collect(),
    }
}

/// Whether a value stands for a body in the content store.
pub(crate) fn is_reference(value: &Value) -> bool {
    value.get("$ref").is_some_and(Value::is_string)
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(fields) => {
            let names: Vec<&str> = fields.keys().take(8).map(String::as_str).collect();
            format!("a mapping with `{}`", names.join("`, `"))
        }
    }
}

//! A condition over values that are no run's: what a grader or a rule says must be true.

use std::{collections::BTreeSet, sync::Arc};

use cel::{Context, Program};
use serde_json::{Map, Value};

use super::{EvaluateError, ExpressionError, analyse, convert, environment, evaluate::reason, program};

/// A compiled condition, with the bounds of every other expression.
#[derive(Debug)]
pub struct Condition {
    source: Arc<str>,
    program: Program,
    reads: BTreeSet<String>,
}

impl Condition {
    /// Compiles a condition over these variables and no others.
    ///
    /// # Errors
    /// All mistakes that were found, at least one.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, Vec<ExpressionError>> {
        let source = source.trim();
        let program = program(source)?;
        let reads = analyse::reads_of(program.expression(), variables)?;
        Ok(Self { source: Arc::from(source), program, reads })
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it holds for these values; one that is not there is null.
    ///
    /// # Errors
    /// [`EvaluateError`] when it has no value, or one that is neither true nor false.
    pub fn holds(&self, values: &Map<String, Value>) -> Result<bool, EvaluateError> {
        let mut context = Context::with_env(environment().clone());
        for name in &self.reads {
            context.add_variable_from_value(name.as_str(), convert::to_cel(values.get(name).unwrap_or(&Value::Null)));
        }
        let no = |reason: String| EvaluateError { expression: self.source.to_string(), reason };
        let value = self.program.execute(&context).map_err(|error| no(reason(&error)))?;
        match convert::to_json(&value) {
            Some(Value::Bool(holds)) => Ok(holds),
            Some(other) => Err(no(format!("it is {other}, and neither true nor false"))),
            None => Err(no("its value has no JSON form".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VARIABLES: [&str; 2] = ["output", "calls"];

    fn holds(source: &str) -> Result<bool, String> {
        let values = json!({ "output": { "n": 3 }, "calls": [{ "skill": "text.echo" }] });
        let condition = Condition::compile(source, &VARIABLES).map_err(|errors| {
            errors.iter().map(|e| format!("{e} {}", e.help().unwrap_or_default())).collect::<String>()
        })?;
        condition.holds(values.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_condition_holds_or_not_over_its_own_variables() {
        for (source, value) in [
            ("output.n == 3", true),
            ("output.n > 3", false),
            ("calls.exists(call, call.skill == 'text.echo') && size(calls) == 1", true),
        ] {
            assert_eq!(holds(source), Ok(value), "{source}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_condition_is_told() {
        for (source, part) in [
            ("outptu.n == 3", "did you mean `output`"),
            ("steps.build.output", "an expression knows `output`, `calls`"),
            ("output.n", "it is 3, and neither true nor false"),
            ("output.m == 1", "there is no `m`"),
            ("output.n ==", "not CEL"),
        ] {
            let error = holds(source).unwrap_err();
            assert!(error.contains(part), "{source}: {error}");
        }
    }
}

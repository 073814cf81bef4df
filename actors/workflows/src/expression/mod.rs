//! Expressions: CEL in `${ … }`, what they read, and their values.
//!
//! An expression is compiled once, when its definition is. What it reads is found then, so that
//! evaluating one puts only the steps that it names before it, however many the run has.
//!
//! Never here: I/O, time, or anything that changes a run.

mod analyse;
mod condition;
mod convert;
mod evaluate;
mod template;

pub use analyse::Reads;
pub use condition::Condition;
pub(crate) use evaluate::is_reference;
pub use evaluate::{EvaluateError, RunFacts, Scope, StepFacts};
pub use template::{Template, TemplateError};

use std::sync::{Arc, OnceLock};

use cel::{Env, Program, extensions};

/// Longest text of one expression. **Units**: bytes.
pub const EXPRESSION_LEN_MAX: usize = 4096;

/// Brackets within brackets, and conditions within conditions, at most.
///
/// INVARIANT: the parser's stack bounds it. A level takes some 130 KB of it in a build without
/// optimisation, and the node's threads have 8 MiB.
const BRACKETS_MAX: u16 = 24;

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    source: Arc<str>,
    program: Program,
    reads: Reads,
    /// Set when the expression is only a path, such as `input.order.id`; no CEL is run for it.
    path: Option<Vec<evaluate::Segment>>,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Too long.
    #[error("an expression of {len} bytes; at most {EXPRESSION_LEN_MAX} are taken")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// Not CEL.
    #[error("`{source_text}` is not CEL: {message}, at character {column}")]
    Syntax {
        /// The expression.
        source_text: String,
        /// What the parser says.
        message: String,
        /// Where in the expression, from 1.
        column: usize,
    },
    /// It reads something that is not there, or in a way that is not followed.
    #[error("{message}")]
    Reads {
        /// What is wrong.
        message: String,
        /// How to mend it.
        help: Option<String>,
    },
}

impl ExpressionError {
    /// How to mend it, when that can be said.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::TooLong { .. } => Some("compute it in a skill".to_owned()),
            Self::Syntax { .. } => None,
            Self::Reads { help, .. } => help.clone(),
        }
    }
}

impl Expression {
    /// Compiles an expression and finds what it reads.
    ///
    /// # Errors
    /// All mistakes that were found, at least one.
    pub fn compile(source: &str) -> Result<Self, Vec<ExpressionError>> {
        let source = source.trim();
        let program = program(source)?;
        let reads = analyse::reads(program.expression())?;
        let path = evaluate::path(program.expression());
        Ok(Self { source: Arc::from(source), program, reads, path })
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it reads.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }
}

/// A program of a text that is short and shallow enough.
fn program(source: &str) -> Result<Program, Vec<ExpressionError>> {
    if source.len() > EXPRESSION_LEN_MAX {
        return Err(vec![ExpressionError::TooLong { len: source.len() }]);
    }
    if source.is_empty() {
        return Err(vec![ExpressionError::Reads {
            message: "an empty expression".to_owned(),
            help: Some("write what it should be, such as `input.name`".to_owned()),
        }]);
    }
    shallow(source)?;
    environment().compile(source).map_err(|errors| syntax(source, &errors))
}

/// The functions that expressions may call: CEL's own, and its string, list and math libraries.
fn environment() -> &'static Arc<Env> {
    static ENVIRONMENT: OnceLock<Arc<Env>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut env = Env::stdlib();
        for library in [extensions::strings, extensions::lists, extensions::math] {
            // Fails only when two libraries declare the same overload, which a test would show.
            let added = env.add_extension(library);
            debug_assert!(added.is_ok(), "{added:?}");
        }
        Arc::new(env)
    })
}

/// Refuses what is nested so deep that the parser would run out of stack, which nothing survives.
fn shallow(source: &str) -> Result<(), Vec<ExpressionError>> {
    // Those within texts are counted as well: the parser has the last word, at the price of a second reading.
    if source.matches(['(', '[', '{', '?']).count() <= usize::from(BRACKETS_MAX) {
        return Ok(());
    }
    let parsed = environment().parser().max_recursion_depth(BRACKETS_MAX).parse(source);
    parsed.map(drop).map_err(|errors| syntax(source, &errors))
}

fn syntax(source: &str, errors: &cel::ParseErrors) -> Vec<ExpressionError> {
    errors
        .errors
        .iter()
        .map(|error| ExpressionError::Syntax {
            source_text: source.to_owned(),
            message: first_line(&error.msg),
            column: usize::try_from(error.pos.1).unwrap_or(0).max(1),
        })
        .collect()
}

/// The parser lists every token that could stand there; people need only what stands there.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim().trim_start_matches("Syntax error: ");
    let line = line.split(" expecting ").next().unwrap_or(line);
    if line.contains("'<EOF>'") { "it ends too early".to_owned() } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn evaluate(source: &str) -> Result<Value, String> {
        let input = json!({
            "n": 3, "big": 12_345_678_901_u64, "x": 1.5, "name": "Ada", "list": [1, 2, 3],
            "people": [{"name": "Bo", "age": 5}, {"name": "Cy", "age": 50}],
            "body": {"$ref": "sha256:00", "bytes": 9},
        });
        let output = json!({"url": "http://a", "count": 2});
        let facts = RunFacts {
            id: "run-1".into(),
            tenant: "acme".into(),
            trace_id: "trace-1".into(),
            definition: "d".into(),
            version: 2,
        };
        let step = |id: &str| (id == "build").then_some(StepFacts { state: "Succeeded", output: &output });
        let scope = Scope { input: &input, steps: &step, item: None, output: None, run: &facts };
        Expression::compile(source)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?
            .evaluate(&scope)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_nested_deeper_than_the_stack_is_refused() {
        type Shape = fn(usize) -> String;
        let shapes: [(&str, Shape); 9] = [
            ("brackets", |n| format!("{}1{}", "(".repeat(n), ")".repeat(n))),
            ("open brackets", |n| "[".repeat(n)),
            ("brackets in texts", |n| format!("'{}' + {}1{}", ")".repeat(n), "(".repeat(n), ")".repeat(n))),
            ("calls", |n| format!("{}1{}", "int(".repeat(n), ")".repeat(n))),
            ("maps", |n| format!("{}1{}", "{1:".repeat(n), "}".repeat(n))),
            ("conditions", |n| format!("{}1", "true?1:".repeat(n))),
            ("sums", |n| vec!["1"; n].join("+")),
            ("fields", |n| format!("input{}", ".a".repeat(n))),
            ("places", |n| format!("input.list{}", "[0]".repeat(n))),
        ];
        // As the node's threads have.
        let compiling = std::thread::Builder::new().stack_size(8 << 20).spawn(move || {
            for (what, shape) in shapes {
                for n in [25, 300, 500, 1_000, 2_000] {
                    let source: String = shape(n).chars().take(EXPRESSION_LEN_MAX).collect();
                    let refused = Expression::compile(&source).is_err();
                    assert!(refused || n == 25, "{n} {what} were taken");
                }
                assert!(Expression::compile(&shape(20)).is_ok() || what.starts_with("open"), "20 {what} were refused");
            }
        });
        compiling.unwrap().join().unwrap();
    }

    #[test]
    fn expressions_have_the_values_that_people_expect() {
        for (source, value) in [
            ("input.n", json!(3)),
            ("input.n + 1", json!(4)),
            ("input.big", json!(12_345_678_901_u64)),
            ("input.x * 2.0", json!(3.0)),
            ("'Hello, ' + input.name", json!("Hello, Ada")),
            ("input.list[1]", json!(2)),
            ("input['name']", json!("Ada")),
            ("size(input.list) > 2", json!(true)),
            ("input.list.map(i, i * 2)", json!([2, 4, 6])),
            ("input.people.filter(p, p.age > 18).map(p, p.name)", json!(["Cy"])),
            ("steps.build.output.url", json!("http://a")),
            ("steps['build'].output.count + 1", json!(3)),
            ("steps.build.state == 'Succeeded'", json!(true)),
            ("{'a': input.n, 'b': [input.name]}", json!({"a": 3, "b": ["Ada"]})),
            ("has(input.missing) ? 1 : 2", json!(2)),
            ("run.version", json!(2)),
            ("input.name.lowerAscii()", json!("ada")),
            ("math.greatest(input.n, 10)", json!(10)),
            ("null", json!(null)),
        ] {
            assert_eq!(evaluate(source), Ok(value), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_when_it_is_compiled() {
        for (source, part) in [
            ("input.", "not CEL"),
            ("1 +", "not CEL"),
            ("inptu.n", "did you mean `input`"),
            ("steps", "name the step"),
            ("steps[input.n]", "name the step"),
            ("steps.my-step.output", "steps[\"my-step\"]"),
            ("steps.build.outptu", "`output`"),
            ("frobnicate(input)", "no function `frobnicate`"),
            ("", "empty"),
            ("input.list.map(a, input.list.map(b, input.list.map(c, a + b + c)))", "within one another"),
        ] {
            let errors = Expression::compile(source).unwrap_err();
            let text: Vec<String> = errors.iter().map(|e| format!("{e} {}", e.help().unwrap_or_default())).collect();
            assert!(text.join("\n").contains(part), "{source}: {text:?}");
        }
    }

    #[test]
    fn what_is_missing_when_it_runs_names_the_expression() {
        for (source, part) in [
            ("input.nothing", "`nothing`"),
            ("input.list[7]", "7"),
            ("input.body.field", "kept by reference"),
            ("input.name + 1", "input.name + 1"),
        ] {
            let error = evaluate(source).unwrap_err();
            assert!(error.contains(part), "{source}: {error}");
        }
    }

    #[test]
    fn a_variable_of_a_comprehension_is_not_an_unknown_name() {
        let expression = Expression::compile("input.people.exists(p, p.age > 3)").unwrap();
        assert!(expression.reads().input);
        assert!(expression.reads().steps.is_empty());
    }
}

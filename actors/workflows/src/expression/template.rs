//! Values with `${ … }` in their texts.

use serde_json::Value;

use super::{EvaluateError, Expression, ExpressionError, Reads, Scope};

/// A value whose texts may hold expressions.
#[derive(Debug)]
pub enum Template {
    /// No expression in it.
    Literal(Value),
    /// A text that is exactly one expression: its value, whatever its type.
    Whole(Box<Expression>),
    /// A text with expressions in it.
    Text(Vec<Part>),
    /// A list with expressions somewhere in it.
    List(Vec<Template>),
    /// A mapping with expressions somewhere in it.
    Map(Vec<(String, Template)>),
}

/// A part of a text.
#[derive(Debug)]
pub enum Part {
    /// As it stands.
    Plain(String),
    /// The value is put here.
    Value(Box<Expression>),
}

/// A mistake in a template, and where within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// JSON pointer within the template.
    pub pointer: String,
    /// What is wrong.
    pub error: ExpressionError,
}

impl Template {
    /// Compiles every expression in `value`.
    ///
    /// # Errors
    /// All mistakes, each with its place.
    pub fn compile(value: &Value) -> Result<Self, Vec<TemplateError>> {
        let mut errors = Vec::new();
        let template = compile(value, "", &mut errors);
        if errors.is_empty() { Ok(template) } else { Err(errors) }
    }

    /// Calls `see` with each place (a JSON pointer within the template) and what is read there.
    pub fn each_read(&self, see: &mut dyn FnMut(&str, &Reads)) {
        self.read_below("", see);
    }

    fn read_below(&self, at: &str, see: &mut dyn FnMut(&str, &Reads)) {
        match self {
            Self::Literal(_) => {}
            Self::Whole(expression) => see(at, expression.reads()),
            Self::Text(parts) => parts.iter().for_each(|part| {
                if let Part::Value(expression) = part {
                    see(at, expression.reads());
                }
            }),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.read_below(&format!("{at}/{index}"), see);
                }
            }
            Self::Map(fields) => {
                for (name, field) in fields {
                    field.read_below(&format!("{at}/{}", escape(name)), see);
                }
            }
        }
    }

    /// Its value in this scope.
    ///
    /// # Errors
    /// [`EvaluateError`] of the first expression that has no value.
    pub fn render(&self, scope: &Scope<'_>) -> Result<Value, EvaluateError> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Whole(expression) => expression.evaluate(scope)?,
            Self::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Plain(plain) => text.push_str(plain),
                        Part::Value(expression) => put(&mut text, &expression.evaluate(scope)?),
                    }
                }
                Value::String(text)
            }
            Self::List(items) => Value::Array(items.iter().map(|item| item.render(scope)).collect::<Result<_, _>>()?),
            Self::Map(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, field)| Ok((name.clone(), field.render(scope)?)))
                    .collect::<Result<_, EvaluateError>>()?,
            ),
        })
    }
}

fn put(text: &mut String, value: &Value) {
    match value {
        Value::Null => {}
        Value::String(value) => text.push_str(value),
        other => text.push_str(&other.to_string()),
    }
}

fn compile(value: &Value, pointer: &str, errors: &mut Vec<TemplateError>) -> Template {
    match value {
        Value::String(text) => compile_text(text, pointer, errors),
        Value::Array(items) => {
            let items: Vec<Template> =
                items.iter().enumerate().map(|(at, item)| compile(item, &format!("{pointer}/{at}"), errors)).collect();
            if items.iter().all(is_literal) && !holds_escape(value) {
                Template::Literal(value.clone())
            } else {
                Template::List(items)
            }
        }
        Value::Object(fields) => {
            let compiled: Vec<(String, Template)> = fields
                .iter()
                .map(|(name, field)| (name.clone(), compile(field, &format!("{pointer}/{}", escape(name)), errors)))
                .collect();
            if compiled.iter().all(|(_, field)| is_literal(field)) && !holds_escape(value) {
                Template::Literal(value.clone())
            } else {
                Template::Map(compiled)
            }
        }
        other => Template::Literal(other.clone()),
    }
}

/// A key as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn is_literal(template: &Template) -> bool {
    matches!(template, Template::Literal(_))
}

/// Whether a `$${` somewhere still has to become `${`.
fn holds_escape(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("$${"),
        Value::Array(items) => items.iter().any(holds_escape),
        Value::Object(fields) => fields.values().any(holds_escape),
        _ => false,
    }
}

fn compile_text(text: &str, pointer: &str, errors: &mut Vec<TemplateError>) -> Template {
    if !text.contains("${") {
        return Template::Literal(Value::String(text.to_owned()));
    }
    let mut fail = |error| errors.push(TemplateError { pointer: pointer.to_owned(), error });
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        let inner = after.get(2..).unwrap_or_default();
        if let Some(before) = before.strip_suffix('$') {
            plain.push_str(before);
            plain.push_str("${");
            rest = inner;
            continue;
        }
        plain.push_str(before);
        let Some(end) = closing_brace(inner) else {
            fail(ExpressionError::Reads {
                message: "a `${` without its `}`".to_owned(),
                help: Some("close it, or write `$${` for the characters themselves".to_owned()),
            });
            return Template::Literal(Value::Null);
        };
        if !plain.is_empty() {
            parts.push(Part::Plain(std::mem::take(&mut plain)));
        }
        match Expression::compile(inner.get(..end).unwrap_or_default()) {
            Ok(expression) => parts.push(Part::Value(Box::new(expression))),
            Err(mistakes) => mistakes.into_iter().for_each(&mut fail),
        }
        rest = inner.get(end + 1..).unwrap_or_default();
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Plain(plain));
    }
    assemble(parts)
}

fn assemble(mut parts: Vec<Part>) -> Template {
    if parts.len() == 1 {
        match parts.pop() {
            Some(Part::Value(expression)) => return Template::Whole(expression),
            Some(Part::Plain(plain)) => return Template::Literal(Value::String(plain)),
            None => {}
        }
    }
    Template::Text(parts)
}

/// Where the brace that closes an expression stands; braces and quotes within it are looked over.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::RunFacts, *};

    fn render(value: &Value) -> Value {
        let input = json!({"n": 3, "name": "Ada", "list": [1]});
        let facts = RunFacts::default();
        let scope = Scope { input: &input, steps: &|_| None, item: None, output: None, run: &facts };
        Template::compile(value).unwrap().render(&scope).unwrap()
    }

    #[test]
    fn a_text_that_is_one_expression_keeps_its_type() {
        for (written, value) in [
            (json!("${input.n}"), json!(3)),
            (json!("${ input.list }"), json!([1])),
            (json!("n is ${input.n}"), json!("n is 3")),
            (json!("${input.name}-${input.n}"), json!("Ada-3")),
            (json!("$${input.n}"), json!("${input.n}")),
            (json!({"a": "$${x}"}), json!({"a": "${x}"})),
            (json!("costs 5$"), json!("costs 5$")),
            (json!("${ {'a': '}'} }"), json!({"a": "}"})),
            (json!({"a": ["${input.n}", 2], "b": true}), json!({"a": [3, 2], "b": true})),
            (json!("list ${input.list}"), json!("list [1]")),
        ] {
            assert_eq!(render(&written), value, "{written}");
        }
    }

    #[test]
    fn every_mistake_is_found_with_its_place() {
        let errors = Template::compile(&json!({"a": "${inptu.x}", "b": ["ok", "${1 +}"], "c": "${open"})).unwrap_err();
        let places: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(places, ["/a", "/b/1", "/c"]);
    }
}

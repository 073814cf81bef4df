//! Whether a text has the shape that a JSON Schema says, told with places and the nearest key.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::Value;

use crate::yaml::{Mistake, Node, suggest};

/// Mistakes that are told; the rest come when these are mended.
const MISTAKES_MAX: usize = 50;

/// Every mistake of `node` against `schema`, in the order of the text.
pub fn mistakes(node: &Node, schema: &Value) -> Vec<Mistake> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => return vec![Mistake::new(node.span, format!("the schema of this file cannot be read: {error}"))],
    };
    let value = node.to_json();
    let mut found: Vec<Mistake> =
        validator.iter_errors(&value).flat_map(|error| told(&error, node, schema)).take(MISTAKES_MAX).collect();
    found.sort();
    found
}

fn told(error: &ValidationError<'_>, node: &Node, schema: &Value) -> Vec<Mistake> {
    let pointer = error.instance_path().to_string();
    let at = node.nearest(&pointer);
    let place = pointer.rsplit('/').next().filter(|last| !last.is_empty()).unwrap_or("the whole");
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = known(schema, &error.schema_path().to_string());
            unexpected.iter().map(|key| unknown(at, key, &known)).collect()
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![Mistake::new(at.span, format!("`{name}` is missing")).with_help(format!("add `{name}:`"))]
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let given = at.as_str().unwrap_or_default();
            let help = suggest(given, &options).map_or_else(
                || format!("one of {} is expected", options.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            vec![Mistake::new(at.span, format!("`{place}` cannot be {}", shown(at))).with_help(help)]
        }
        ValidationErrorKind::Type { .. } if at.as_str().is_none() && wants_text(schema, error) => {
            let mistake = Mistake::new(at.span, format!("`{place}` is a text, and this is {}", at.kind_name()));
            vec![mistake.with_help("write it in quotes")]
        }
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::OneOfMultipleValid { .. } => {
            let what = match pointer.is_empty() {
                true => "say one of `stdio` and `http`: how the server is reached",
                false => "say one of `output` and `failure`: what comes of it",
            };
            vec![Mistake::new(at.span, what)]
        }
        _ => vec![Mistake::new(at.span, format!("`{place}`: {}", short(&error.to_string())))],
    }
}

/// The keys that a mapping may have whose schema holds this `additionalProperties`.
fn known(schema: &Value, additional: &str) -> Vec<String> {
    let object = additional.rsplit_once('/').map_or("", |(object, _)| object);
    let properties = schema.pointer(&format!("{object}/properties")).and_then(Value::as_object);
    properties.into_iter().flat_map(|properties| properties.keys().cloned()).collect()
}

fn unknown(mapping: &Node, key: &str, known: &[String]) -> Mistake {
    let span = mapping.entry(key).map_or(mapping.span, |(key, _)| key.span);
    let help = suggest(key, known)
        .map_or_else(|| format!("known are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
    let mistake = Mistake::new(span, format!("`{key}` is not known here"));
    // A schema that stands elsewhere is not looked up.
    if known.is_empty() { mistake } else { mistake.with_help(help) }
}

fn wants_text(schema: &Value, error: &ValidationError<'_>) -> bool {
    schema.pointer(&error.schema_path().to_string()).is_some_and(|kind| kind == "string")
}

fn shown(node: &Node) -> String {
    node.as_str().map_or_else(|| node.kind_name().to_owned(), |text| format!("`{}`", short(text)))
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

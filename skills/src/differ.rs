//! In what two values differ, place by place.

use serde_json::Value;

/// Most differences that are found; two values that differ more are strangers.
const FOUND_MAX: usize = 200;

/// Longest value that is shown. **Units**: characters.
const CHARS_MAX: usize = 80;

/// One place where two values differ. What is not there is null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A JSON pointer.
    pub at: String,
    /// What the first has there, shortened.
    pub first: String,
    /// What the second has there, shortened.
    pub second: String,
}

/// In what two values differ; 200 places at most.
pub fn differences(first: &Value, second: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    differ(first, second, String::new(), &mut found);
    found
}

fn differ(first: &Value, second: &Value, at: String, found: &mut Vec<Difference>) {
    if found.len() >= FOUND_MAX || first == second {
        return;
    }
    match (first, second) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                differ(value, right.get(key).unwrap_or(&Value::Null), format!("{at}/{key}"), found);
            }
            for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                differ(&Value::Null, value, format!("{at}/{key}"), found);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for place in 0..left.len().max(right.len()) {
                let of = |items: &[Value]| items.get(place).cloned().unwrap_or(Value::Null);
                differ(&of(left), &of(right), format!("{at}/{place}"), found);
            }
        }
        (first, second) => found.push(Difference { at, first: show(first), second: show(second) }),
    }
}

/// A value as JSON in backticks, shortened.
pub fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((cut, _)) => format!("`{}…`", text.get(..cut).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

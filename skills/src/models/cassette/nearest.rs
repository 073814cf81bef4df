//! Why a request was not found: the entry that is most like it, and how it differs.

use serde_json::Value;

/// Most differences that are shown.
const SHOWN_MAX: usize = 5;

/// Most differences that are counted; two requests that differ more are strangers.
const COUNTED_MAX: usize = 200;

/// Longest value that is shown. **Units**: characters.
const CHARS_MAX: usize = 80;

/// The place of the candidate that is most like `asked`, and the differences in words.
pub(super) fn nearest<'a>(
    asked: &Value,
    candidates: impl Iterator<Item = (usize, &'a Value)>,
) -> Option<(usize, Vec<String>)> {
    let counted = candidates.map(|(place, candidate)| {
        let mut found = Vec::new();
        differ(candidate, asked, String::new(), &mut found);
        (place, found)
    });
    let (place, mut found) = counted.min_by_key(|(_, found)| found.len())?;
    let more = found.len().saturating_sub(SHOWN_MAX);
    found.truncate(SHOWN_MAX);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    Some((place, found))
}

fn differ(recorded: &Value, asked: &Value, at: String, found: &mut Vec<String>) {
    if found.len() >= COUNTED_MAX || recorded == asked {
        return;
    }
    match (recorded, asked) {
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
        (recorded, asked) => found.push(format!("`{at}` was {} and is {}", show(recorded), show(asked))),
    }
}

fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((cut, _)) => format!("`{}…`", text.get(..cut).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_entry_with_the_fewest_differences_is_shown_with_them() {
        let asked = json!({"model": "m", "messages": [{"content": "where?"}]});
        let far = json!({"model": "x", "messages": [], "tools": []});
        let near = json!({"model": "m", "messages": [{"content": "when?"}]});
        let (place, found) = nearest(&asked, [(0, &far), (1, &near)].into_iter()).unwrap();
        assert_eq!(place, 1);
        assert_eq!(found, ["`/messages/0/content` was `\"when?\"` and is `\"where?\"`"]);
    }
}

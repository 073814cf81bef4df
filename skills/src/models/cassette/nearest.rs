//! Why a request was not found: the entry that is most like it, and how it differs.

use serde_json::Value;

use crate::differ::{Difference, differences};

/// Most differences that are shown.
const SHOWN_MAX: usize = 5;

/// The place of the candidate that is most like `asked`, and the differences in words.
pub(super) fn nearest<'a>(
    asked: &Value,
    candidates: impl Iterator<Item = (usize, &'a Value)>,
) -> Option<(usize, Vec<String>)> {
    let counted = candidates.map(|(place, candidate)| (place, differences(candidate, asked)));
    let (place, found) = counted.min_by_key(|(_, found)| found.len())?;
    let was = |Difference { at, first, second }: &Difference| format!("`{at}` was {first} and is {second}");
    let mut told: Vec<String> = found.iter().take(SHOWN_MAX).map(was).collect();
    if found.len() > SHOWN_MAX {
        told.push(format!("and {} more", found.len() - SHOWN_MAX));
    }
    Some((place, told))
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

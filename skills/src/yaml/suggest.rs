//! "Did you mean": the nearest of the words that would have been right.

/// The candidate nearest to `word`, when one is near enough to be meant.
///
/// Near enough is one edit for every three letters, and at least one; swapping two neighbours is
/// one edit. Of equally near candidates the first wins.
///
/// **Cost** grows with the length of `word` times the length of all candidates.
pub fn suggest<I, S>(word: &str, candidates: I) -> Option<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<str>,
{
    let wanted: Vec<char> = word.to_lowercase().chars().take(LETTERS_MAX).collect();
    let allowed = (wanted.len() / 3).max(1);
    let mut best: Option<(usize, String)> = None;
    for candidate in candidates {
        let candidate = candidate.as_ref();
        let letters: Vec<char> = candidate.to_lowercase().chars().take(LETTERS_MAX).collect();
        let edits = distance(&wanted, &letters);
        let nearer = best.as_ref().is_none_or(|(least, _)| edits < *least);
        if edits <= allowed && nearer {
            best = Some((edits, candidate.to_owned()));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Longer words are compared by their beginning only.
const LETTERS_MAX: usize = 64;

/// Edits between two words: insert, delete, replace, or swap two neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, right) in b.iter().enumerate() {
            let at = |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut edits = (at(&last, j + 1) + 1).min(at(&row, j) + 1).min(at(&last, j) + usize::from(left != right));
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(right) && b.get(j - 1) == Some(left);
            if swapped {
                edits = edits.min(at(&before, j - 1) + 1);
            }
            row.push(edits);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn the_nearest_word_is_suggested_and_a_stranger_is_not() {
        let words = ["entities", "editions", "states", "title"];
        for (typed, meant) in [
            ("entites", Some("entities")),
            ("editons", Some("editions")),
            ("tilte", Some("title")),
            ("STATES", Some("states")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(suggest(typed, words).as_deref(), meant, "{typed}");
        }
    }

    #[test]
    fn a_swap_of_neighbours_is_one_edit() {
        assert_eq!(suggest("nmae", ["name"]).as_deref(), Some("name"));
    }
}

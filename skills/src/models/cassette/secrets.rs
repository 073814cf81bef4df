//! What looks like a key: nothing that does is written to a cassette.

/// How keys begin, and how many signs of a key must follow.
const SHAPES: [(&str, usize); 10] = [
    ("sk-", 16),
    ("Bearer ", 16),
    ("AKIA", 16),
    ("AIza", 30),
    ("ghp_", 20),
    ("gho_", 20),
    ("github_pat_", 20),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("PRIVATE KEY-----", 0),
];

/// Where something in the bytes looks like a key, or is this one.
pub(super) fn find(bytes: &[u8], secret: &str) -> Option<usize> {
    if let Some(at) = places(bytes, secret.as_bytes()).next() {
        return Some(at);
    }
    SHAPES.into_iter().find_map(|(begins, least)| {
        places(bytes, begins.as_bytes()).find(|at| {
            let rest = bytes.get(at + begins.len()..).unwrap_or_default();
            // Words of a language have hyphens too: `task-` is no key.
            let alone = at.checked_sub(1).and_then(|before| bytes.get(before)).is_none_or(|byte| !is_of_key(*byte));
            alone && rest.iter().take_while(|byte| is_of_key(**byte)).count() >= least
        })
    })
}

fn places<'a>(bytes: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let windows = (!wanted.is_empty()).then(|| bytes.windows(wanted.len()));
    windows.into_iter().flatten().enumerate().filter(move |(_, window)| *window == wanted).map(|(at, _)| at)
}

fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_key_is_found_and_other_words_are_not() {
        for text in [
            "my key is sk-abcdefghijklmnop1234",
            "{\"authorization\":\"Bearer abcdefghijklmnop\"}",
            "AKIAABCDEFGHIJKLMNOP",
            "-----BEGIN RSA PRIVATE KEY-----",
            "the local one is hunter2",
        ] {
            assert!(find(text.as_bytes(), "hunter2").is_some(), "{text}");
        }
        for text in
            ["a task-force-of-many-people-went", "sk-short", "Bearer of good news", "risk-averse-people-everywhere"]
        {
            assert_eq!(find(text.as_bytes(), "hunter2"), None, "{text}");
        }
        assert_eq!(find(b"anything", ""), None);
    }
}

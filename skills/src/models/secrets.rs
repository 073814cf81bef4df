//! What looks like a key: nothing that does is written to a cassette, or said to a model.

use std::borrow::Cow;

/// What a model reads in place of what looks like a key.
const REMOVED: &str = "[a key was here]";

/// The end of the line before and after a private key in a text.
const PEM: &str = "PRIVATE KEY-----";

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
    (PEM, 0),
];

/// Where something in the bytes looks like a key, or is this one.
pub fn find(bytes: &[u8], secret: &str) -> Option<usize> {
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

/// The text without what looks like a key.
///
/// **Cost** grows with the text, and with the number of keys in it.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut left = text;
    let mut told = String::new();
    while let Some(at) = find(left.as_bytes(), "") {
        let (before, key) = left.split_at_checked(at).unwrap_or((left, ""));
        told.push_str(before);
        told.push_str(REMOVED);
        left = key.get(length(key)..).unwrap_or_default();
    }
    if told.is_empty() {
        return Cow::Borrowed(text);
    }
    told.push_str(left);
    Cow::Owned(told)
}

/// How long the key is that a text begins with. A private key ends where its last line does.
fn length(text: &str) -> usize {
    if let Some(body) = text.strip_prefix(PEM) {
        return body.find(PEM).map_or(text.len(), |end| end + 2 * PEM.len());
    }
    let begins = SHAPES.iter().filter(|(begins, _)| text.starts_with(begins)).map(|(begins, _)| begins.len());
    let begins = begins.max().unwrap_or_default().max(1);
    let rest = text.bytes().skip(begins).take_while(|byte| is_of_key(*byte)).count();
    begins + rest
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

    #[test]
    fn a_text_is_told_without_its_keys_and_otherwise_as_it_is() {
        for (text, told) in [
            ("it is sk-abcdefghijklmnop1234, ü", "it is [a key was here], ü"),
            ("Bearer abcdefghijklmnop ghp_abcdefghijklmnopqrst", "[a key was here] [a key was here]"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nbye", "-----BEGIN [a key was here]\nbye"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE", "-----BEGIN [a key was here]"),
            ("sk-short, and a task-force-of-many-people-went", "sk-short, and a task-force-of-many-people-went"),
        ] {
            assert_eq!(redact(text), told);
        }
    }
}

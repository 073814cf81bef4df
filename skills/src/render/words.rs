//! Names and texts as Rust writes them.

/// `in_progress` as the name of a type or variant: `InProgress`.
pub(super) fn pascal(name: &str) -> String {
    name.split(['_', '-'])
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>())
        })
        .collect()
}

/// A text as a string literal.
pub(super) fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for letter in text.chars() {
        match letter {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            control if control.is_control() || turns(control) => {
                literal.push_str(&format!("\\u{{{:x}}}", u32::from(control)));
            }
            plain => literal.push(plain),
        }
    }
    literal.push('"');
    literal
}

/// Letters that would turn the reading direction, and so hide what code says.
pub(crate) fn turns(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// A text as a comment of one line.
pub(super) fn comment(text: &str) -> String {
    text.split(|letter: char| letter.is_control() || turns(letter) || letter.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A text as it stands in a page.
pub(super) fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{comment, literal, pascal};

    #[test]
    fn names_and_texts_are_written_as_rust_reads_them() {
        assert_eq!(pascal("in_progress"), "InProgress");
        assert_eq!(literal("a \"b\"\\\n{c}"), r#""a \"b\"\\\n{c}""#);
        assert_eq!(literal("x\u{202e}y"), r#""x\u{202e}y""#);
        assert_eq!(comment("one\n//! two"), "one //! two");
    }
}

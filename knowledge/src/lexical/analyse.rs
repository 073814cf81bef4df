//! Words of texts and of code.
//!
//! Two fields have a body's words. Prose words are parts of names as well: `HTTPServer::shut_down` gives `http`,
//! `server`, `shut`, `down`, lowered, without the commonest words, stemmed. Names that have parts are kept whole
//! beside them (`httpserver`, `shut_down`), so that whoever asks for the exact name finds it first. Digits stay
//! with their letters: `sha256` is a word.

use tantivy::tokenizer::{
    Language, LowerCaser, RemoveLongFilter, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream, Tokenizer,
};

/// Longer words are no words: lines of base64, hashes.
const WORD_BYTES_MAX: usize = 64;

/// A question of so many words may be the name of something, whatever it looks like.
const SHORT_QUESTION_WORDS: usize = 3;

/// Words as the fields of prose have them.
pub(super) const WORDS: &str = "words";
/// Names of several parts, whole.
pub(super) const NAMES: &str = "names";

pub(super) fn words() -> TextAnalyzer {
    let builder =
        TextAnalyzer::builder(Cut { names: false }).filter(RemoveLongFilter::limit(WORD_BYTES_MAX)).filter(LowerCaser);
    match StopWordFilter::new(Language::English) {
        Some(common) => builder.filter(common).filter(Stemmer::new(Language::English)).build(),
        None => builder.filter(Stemmer::new(Language::English)).build(),
    }
}

pub(super) fn names() -> TextAnalyzer {
    TextAnalyzer::builder(Cut { names: true })
        .filter(RemoveLongFilter::limit(WORD_BYTES_MAX))
        .filter(LowerCaser)
        .build()
}

/// What an analyser makes of a text, in order.
pub(super) fn terms(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    analyzer.token_stream(text).process(&mut |token| terms.push(token.text.clone()));
    terms
}

/// Names in a question as they were written, lowered: what a definition may be called. In a sentence only what no
/// word of a language looks like is a name (`take_turn`, `TakeTurn`); a question of three words or fewer may be one
/// in each of them.
pub(super) fn asked_names(text: &str) -> Vec<String> {
    let words = runs(text);
    let is_short = words.len() <= SHORT_QUESTION_WORDS;
    let names = words.into_iter().filter(|(start, end)| is_short || parts(text, *start, *end).len() > 1);
    names.filter_map(|(start, end)| text.get(start..end)).map(str::to_lowercase).collect()
}

#[derive(Clone)]
struct Cut {
    names: bool,
}

struct Tokens {
    found: std::vec::IntoIter<(usize, usize)>,
    text: String,
    token: Token,
}

impl Tokenizer for Cut {
    type TokenStream<'a> = Tokens;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens {
        let mut found = Vec::new();
        for (start, end) in runs(text) {
            let parts = parts(text, start, end);
            match (self.names, parts.len()) {
                (true, 0 | 1) => {}
                (true, _) => found.push((start, end)),
                (false, _) => found.extend(parts),
            }
        }
        Tokens { found: found.into_iter(), text: text.to_owned(), token: Token::default() }
    }
}

impl TokenStream for Tokens {
    fn advance(&mut self) -> bool {
        let Some((start, end)) = self.found.next() else {
            return false;
        };
        self.token.offset_from = start;
        self.token.offset_to = end;
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text.clear();
        self.token.text.push_str(self.text.get(start..end).unwrap_or_default());
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

/// Letters, digits and `_`, as far as they go on.
fn runs(text: &str) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (start, c.is_alphanumeric() || c == '_') {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                runs.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    runs.extend(start.map(|from| (from, text.len())));
    runs
}

/// The parts of a name: at `_`, before a capital behind a small letter, and before the last capital of several
/// when a small letter follows.
fn parts(text: &str, start: usize, end: usize) -> Vec<(usize, usize)> {
    let run = text.get(start..end).unwrap_or_default();
    let mut parts = Vec::new();
    let mut from = start;
    let mut before = '_';
    let mut characters = run.char_indices().peekable();
    while let Some((offset, c)) = characters.next() {
        let at = start + offset;
        let next_is_small = characters.peek().is_some_and(|(_, next)| next.is_lowercase());
        let hump = c.is_uppercase()
            && (before.is_lowercase() || before.is_ascii_digit() || before.is_uppercase() && next_is_small);
        if c == '_' || hump {
            if from < at {
                parts.push((from, at));
            }
            from = if c == '_' { at + 1 } else { at };
        }
        before = c;
    }
    if from < end {
        parts.push((from, end));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_where_a_reader_would() {
        for (text, found) in [
            ("HTTPServer::shut_down(v2)", "httpserver|shut_down"),
            ("the quick fox", ""),
            ("__init__ sha256 parseJSON", "parsejson"),
        ] {
            assert_eq!(terms(&mut names(), text).join("|"), found, "{text}");
        }
        for (text, found) in [
            ("HTTPServer::shut_down(v2)", "http|server|shut|down|v2"),
            ("the running of budgets", "run|budget"),
            ("__init__ sha256 parseJSON", "init|sha256|pars|json"),
            ("Größe 中文 don't", "größe|中文|don|t"),
        ] {
            assert_eq!(terms(&mut words(), text).join("|"), found, "{text}");
        }
    }

    #[test]
    fn a_plain_word_of_a_sentence_is_no_name() {
        assert_eq!(asked_names("Which handler takes too long in take_turn or TakeTurn?"), ["take_turn", "taketurn"]);
        assert_eq!(asked_names("budget ledger"), ["budget", "ledger"]);
    }

    #[test]
    fn a_line_without_end_is_no_word() {
        assert_eq!(terms(&mut words(), &"a".repeat(1_000)), Vec::<String>::new());
    }
}

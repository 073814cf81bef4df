//! Reads the keys of one mapping and remembers which it has seen.

use crate::yaml::{Key, Kind, Mistake, Node, suggest};

/// The entries of a mapping; anything else is a mistake and has none.
pub(super) fn entries<'a>(node: &'a Node, what: &str, mistakes: &mut Vec<Mistake>) -> &'a [(Key, Node)] {
    if let Some(entries) = node.as_map() {
        return entries;
    }
    let message = format!("{what} must be a mapping, and this is {}", node.kind_name());
    mistakes.push(Mistake::new(node.span, message).with_help("write `key: value` lines"));
    &[]
}

/// A plain value as text; none inside when it is null, none at all when it is a list or mapping.
pub(super) fn plain(node: &Node) -> Option<Option<String>> {
    match &node.kind {
        Kind::Null => Some(None),
        Kind::Bool(value) => Some(Some(value.to_string())),
        Kind::Int(value) => Some(Some(value.to_string())),
        Kind::Float(value) => Some(Some(value.to_string())),
        Kind::String(value) => Some(Some(value.clone())),
        Kind::Seq(_) | Kind::Map(_) => None,
    }
}

/// The keys of one mapping.
pub(super) struct Fields<'a> {
    node: &'a Node,
    what: &'a str,
    entries: &'a [(Key, Node)],
    known: Vec<&'static str>,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(node: &'a Node, what: &'a str, mistakes: &'a mut Vec<Mistake>) -> Self {
        let entries = entries(node, what, mistakes);
        Self { node, what, entries, known: Vec::new(), mistakes }
    }

    /// Tells every key that nobody has asked for.
    pub(super) fn done(self) {
        for (key, _) in self.entries {
            if self.known.contains(&key.name.as_str()) {
                continue;
            }
            let help = match suggest(&key.name, &self.known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known are: {}", self.known.join(", ")),
            };
            let message = format!("{} has no key `{}`", first_words(self.what), key.name);
            self.mistakes.push(Mistake::new(key.span, message).with_help(help));
        }
    }

    /// A key that must have this value.
    pub(super) fn constant(&mut self, key: &'static str, value: &str) {
        let found = self.text(key);
        if !found.is_empty() && found != value {
            let node = self.find(key).unwrap_or(self.node);
            let message = format!("`{key}` is `{found}`, and this program reads `{value}`");
            self.mistakes.push(Mistake::new(node.span, message).with_help(format!("write `{key}: {value}`")));
        }
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, key: &'static str) -> String {
        match self.look(key) {
            Some(node) => self.as_text(key, node),
            None => self.missing(key),
        }
    }

    /// A text that may be left out.
    pub(super) fn text_or(&mut self, key: &'static str, default: &str) -> String {
        match self.look(key) {
            Some(node) => self.as_text(key, node),
            None => default.to_owned(),
        }
    }

    /// One of several words, which must be there.
    pub(super) fn word(&mut self, key: &'static str, words: &[&str]) -> String {
        let word = self.text(key);
        self.check_word(key, word, words)
    }

    /// One of several words, which may be left out.
    pub(super) fn word_or(&mut self, key: &'static str, words: &[&str], default: &str) -> String {
        let word = self.text_or(key, default);
        self.check_word(key, word, words)
    }

    /// A list of texts that must be there; one text alone is a list of it.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<String> {
        if self.look(key).is_none() {
            self.missing(key);
        }
        self.texts_or(key, &[])
    }

    /// A list of texts that may be left out.
    pub(super) fn texts_or(&mut self, key: &'static str, default: &[String]) -> Vec<String> {
        let Some(node) = self.look(key) else {
            return default.to_vec();
        };
        match node.as_seq() {
            Some(items) => items.iter().map(|item| self.as_text(key, item)).collect(),
            None => vec![self.as_text(key, node)],
        }
    }

    /// A truth value that is false when left out.
    pub(super) fn boolean(&mut self, key: &'static str) -> bool {
        let Some(node) = self.look(key) else {
            return false;
        };
        node.as_bool().unwrap_or_else(|| {
            self.wrong(key, node, "true or false");
            false
        })
    }

    /// A whole number that may be left out.
    pub(super) fn integer(&mut self, key: &'static str) -> Option<i64> {
        let node = self.look(key)?;
        if node.as_int().is_none() {
            self.wrong(key, node, "a whole number");
        }
        node.as_int()
    }

    /// A plain value as text, which may be left out.
    pub(super) fn value(&mut self, key: &'static str) -> Option<String> {
        let node = self.look(key)?;
        plain(node).unwrap_or_else(|| {
            self.wrong(key, node, "a plain value");
            None
        })
    }

    /// A part that may be left out.
    pub(super) fn one<T>(&mut self, key: &'static str, read: impl FnOnce(&Node, &mut Vec<Mistake>) -> T) -> Option<T> {
        let node = self.look(key)?;
        Some(read(node, self.mistakes))
    }

    /// A part that must be there.
    pub(super) fn needed<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node, &mut Vec<Mistake>) -> T,
    ) -> Option<T> {
        if self.look(key).is_none() {
            self.missing(key);
        }
        self.one(key, read)
    }

    /// A list of parts of which there must be at least one.
    pub(super) fn items<T>(&mut self, key: &'static str, read: impl FnMut(&Node, &mut Vec<Mistake>) -> T) -> Vec<T> {
        if self.look(key).is_none() {
            self.missing(key);
        }
        let items = self.optional_items(key, read);
        if let Some(node) = self.find(key)
            && node.as_seq().is_some_and(<[Node]>::is_empty)
        {
            let message = format!("`{key}` is an empty list");
            self.mistakes.push(Mistake::new(node.span, message).with_help("write at least one"));
        }
        items
    }

    /// A list of parts that may be left out.
    pub(super) fn optional_items<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&Node, &mut Vec<Mistake>) -> T,
    ) -> Vec<T> {
        let Some(node) = self.look(key) else {
            return Vec::new();
        };
        let Some(items) = node.as_seq() else {
            self.wrong(key, node, "a list");
            return Vec::new();
        };
        items.iter().map(|item| read(item, self.mistakes)).collect()
    }

    /// The value of a key, which is known from now on.
    pub(super) fn look(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.find(key)
    }

    /// Tells a mistake about the whole mapping.
    pub(super) fn complain(&mut self, message: String, help: &str) {
        self.mistakes.push(Mistake::new(self.node.span, message).with_help(help));
    }

    fn find(&self, key: &str) -> Option<&'a Node> {
        let (_, node) = self.entries.iter().find(|(known, _)| known.name == key)?;
        Some(node)
    }

    fn check_word(&mut self, key: &'static str, word: String, words: &[&str]) -> String {
        if !word.is_empty() && !words.contains(&word.as_str()) {
            let node = self.find(key).unwrap_or(self.node);
            let help = match suggest(&word, words) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known are: {}", words.join(", ")),
            };
            let message = format!("`{key}` is `{word}`, which is not known");
            self.mistakes.push(Mistake::new(node.span, message).with_help(help));
        }
        word
    }

    fn as_text(&mut self, key: &str, node: &Node) -> String {
        match plain(node) {
            Some(Some(text)) if !text.trim().is_empty() => text.trim().to_owned(),
            Some(Some(_)) => String::new(),
            _ => {
                self.wrong(key, node, "a text");
                String::new()
            }
        }
    }

    fn wrong(&mut self, key: &str, node: &Node, wanted: &str) {
        let message = format!("`{key}` must be {wanted}, and this is {}", node.kind_name());
        self.mistakes.push(Mistake::new(node.span, message).with_help(format!("write {wanted}")));
    }

    fn missing(&mut self, key: &str) -> String {
        // A mapping that is none has been told already.
        if self.node.as_map().is_some() {
            let message = format!("{} lacks `{key}`", first_words(self.what));
            self.mistakes.push(Mistake::new(self.node.span, message).with_help(format!("add `{key}: …`")));
        }
        String::new()
    }
}

fn first_words(what: &str) -> &str {
    what.split(':').next().unwrap_or(what)
}

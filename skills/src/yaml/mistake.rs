//! What was wrong in a text, where, and how to mend it.

use std::fmt;

use super::Span;

/// One mistake in a source text.
///
/// Its `Display` is `file:line:column: message (help)`, which editors and terminals turn into a
/// link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The file the text came from, when known.
    pub file: Option<String>,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// What is wrong: lower case, user data in backticks.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

impl Mistake {
    /// A mistake at a place, without file and help.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { file: None, line: span.line, column: span.column, message: message.into(), help: None }
    }

    /// The same mistake with a hint that says how to mend it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same mistake with the name of the file it is in.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Mistake {}

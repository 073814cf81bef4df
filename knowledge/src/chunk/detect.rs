//! What a document is, by its name and its first bytes, and whether it is one at all.

use super::Limits;

/// What a document is made of, which says where it may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Headings, paragraphs, fences, tables.
    Markdown,
    /// The same with tags.
    Html,
    /// Items of Rust.
    Rust,
    /// Functions and classes of Python.
    Python,
    /// TypeScript and JavaScript, with or without tags in it.
    TypeScript,
    /// An OpenAPI or Swagger description, as YAML or JSON.
    OpenApi,
    /// Protocol buffers.
    Protobuf,
    /// Lines.
    Text,
}

impl Kind {
    /// As labels and reports name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Rust => "rust",
            Self::Python => "python",
            Self::TypeScript => "typescript",
            Self::OpenApi => "openapi",
            Self::Protobuf => "protobuf",
            Self::Text => "text",
        }
    }

    /// Whether its words are mostly names.
    pub const fn is_code(self) -> bool {
        matches!(self, Self::Rust | Self::Python | Self::TypeScript | Self::Protobuf)
    }
}

/// Why a document is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// A zero byte stands in it.
    #[error("binary: a zero byte stands at {at}")]
    Binary {
        /// Where the first one is.
        at: usize,
    },
    /// Not text in UTF-8.
    #[error("not UTF-8: the byte at {at} begins no character")]
    NotUtf8 {
        /// Where reading ended.
        at: usize,
    },
    /// Larger than the limit.
    #[error("too large: {bytes} bytes, and {limit} are read at most")]
    TooLarge {
        /// The document's size.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// Its name is one that keys are kept under, or something in it looks like a key.
    #[error("looks like a secret: {0}")]
    Secret(&'static str),
}

/// Names that keys are kept under, whole or as an ending.
const KEY_NAMES: [&str; 8] =
    [".netrc", ".npmrc", ".pypirc", ".htpasswd", "id_rsa", "id_ed25519", "id_ecdsa", "credentials"];
const KEY_ENDINGS: [&str; 6] = ["pem", "key", "p12", "pfx", "jks", "keystore"];

/// How keys begin, and how many signs of a key must follow. Two halves, so that this file is read.
const KEY_SHAPES: [(&str, &str, usize); 6] = [
    ("AK", "IA", 16),
    ("gh", "p_", 30),
    ("github_", "pat_", 30),
    ("xox", "b-", 20),
    ("sk-", "proj-", 20),
    ("AI", "za", 34),
];

/// What a document is, and its text.
///
/// # Errors
/// A reason to leave it out, which a report can tell.
pub fn detect<'a>(path: &str, bytes: &'a [u8], limits: &Limits) -> Result<(Kind, &'a str), Skipped> {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    if name == ".env" || name.starts_with(".env.") && !name.ends_with("example") {
        return Err(Skipped::Secret("a file of environment variables"));
    }
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if KEY_NAMES.contains(&name.as_str()) || KEY_ENDINGS.contains(&ending) {
        return Err(Skipped::Secret("keys are kept under such names"));
    }
    if bytes.len() > limits.document_bytes {
        return Err(Skipped::TooLarge { bytes: bytes.len(), limit: limits.document_bytes });
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(Skipped::Binary { at });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Skipped::NotUtf8 { at: error.valid_up_to() })?;
    if let Some(why) = secret(text) {
        return Err(Skipped::Secret(why));
    }
    Ok((kind(ending, text), text))
}

fn kind(ending: &str, text: &str) -> Kind {
    match ending {
        "md" | "markdown" | "mdx" => Kind::Markdown,
        "html" | "htm" | "xhtml" => Kind::Html,
        "rs" => Kind::Rust,
        "py" | "pyi" => Kind::Python,
        "ts" | "tsx" | "mts" | "cts" | "js" | "jsx" | "mjs" | "cjs" => Kind::TypeScript,
        "proto" => Kind::Protobuf,
        "yaml" | "yml" | "json" if describes_an_interface(text) => Kind::OpenApi,
        "" if text.trim_start().get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype")) => Kind::Html,
        _ => Kind::Text,
    }
}

/// `openapi: 3…` or `"swagger": "2…` within the first lines, at the start of a line.
fn describes_an_interface(text: &str) -> bool {
    let start = text.char_indices().nth(2_000).map_or(text, |(at, _)| text.get(..at).unwrap_or(text));
    start.split(['\n', '{', ',']).map(|line| line.trim().trim_matches('"')).any(|line| {
        ["openapi", "swagger"].iter().any(|word| {
            line.strip_prefix(word).is_some_and(|rest| {
                let rest = rest.trim_start_matches('"').trim_start();
                rest.strip_prefix(':')
                    .is_some_and(|version| version.trim().trim_matches(['"', '\'']).starts_with(['2', '3']))
            })
        })
    })
}

fn secret(text: &str) -> Option<&'static str> {
    // The line that a key's file begins with; a text that only speaks of it has it within a line.
    let header = text.lines().any(|line| {
        let line = line.trim_end();
        line.starts_with("-----BEGIN ") && line.ends_with("PRIVATE KEY-----")
    });
    if header {
        return Some("a private key stands in it");
    }
    for (first, second, least) in KEY_SHAPES {
        for (at, _) in text.match_indices(first) {
            let begins = text.get(..at).and_then(|before| before.chars().next_back()).is_none_or(|c| !is_of_key(c));
            let rest = text.get(at + first.len()..).and_then(|rest| rest.strip_prefix(second));
            if begins && rest.is_some_and(|rest| looks_drawn(rest, least)) {
                return Some("a key of a service stands in it");
            }
        }
    }
    None
}

/// Enough signs of a key, digits and letters among them: examples such as `xxxxxxxx` are no keys.
fn looks_drawn(rest: &str, least: usize) -> bool {
    let key: Vec<char> = rest.chars().take_while(|c| is_of_key(*c)).collect();
    let mut distinct = key.clone();
    distinct.sort_unstable();
    distinct.dedup();
    key.len() >= least && distinct.len() >= 8 && key.iter().any(char::is_ascii_digit)
}

const fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

//! The files of a cassette: `index.jsonl` with a line for each entry, and beside it the exact bytes
//! of each request and answer.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key;

const INDEX: &str = "index.jsonl";

/// One recorded answer; a line of the index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Counts equal keys, from 0.
    pub(super) ordinal: u32,
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) path: String,
    pub(super) recorded_at: String,
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body_sha256: String,
    /// The connection broke at the body's end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) broken: bool,
    pub(super) pieces: Vec<Piece>,
}

/// Where a piece of the body ended, and after which pause it came. **Units**: bytes, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece(pub(super) u64, pub(super) u64);

/// Why a cassette cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CassetteError {
    /// A file cannot be read or written.
    #[error("the cassette's file `{}` cannot be used: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line of the index is not an entry.
    #[error("line {line} of the cassette's index `{}` is no entry: {error}", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        error: serde_json::Error,
    },
    /// The body is not the one that was recorded.
    #[error("the body `{}` was changed after it was recorded: record it again", path.display())]
    Changed {
        /// The body.
        path: PathBuf,
    },
}

/// Names and contents of files that are part of the program.
pub(super) type Embedded = &'static [(&'static str, &'static [u8])];

pub(super) struct Folder {
    path: PathBuf,
    /// What is read instead of the disk.
    embedded: Option<Embedded>,
}

impl Folder {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, embedded: None }
    }

    pub(super) fn embedded(name: &str, files: Embedded) -> Self {
        Self { path: PathBuf::from(name), embedded: Some(files) }
    }

    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn bytes(&self, path: &Path) -> Result<Vec<u8>, CassetteError> {
        let Some(files) = self.embedded else {
            return fs::read(path).map_err(|error| file(path, error));
        };
        let found = files.iter().find(|(name, _)| self.path.join(name) == path);
        found.map(|(_, bytes)| bytes.to_vec()).ok_or_else(|| file(path, io::ErrorKind::NotFound.into()))
    }

    /// The entries with what their requests meant.
    pub(super) fn read(&self) -> Result<Vec<(Entry, Value)>, CassetteError> {
        let index = self.path.join(INDEX);
        let text = self.bytes(&index)?;
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(number, line)| {
                let entry: Entry = serde_json::from_str(line).map_err(|error| CassetteError::Index {
                    path: index.clone(),
                    line: number + 1,
                    error,
                })?;
                let request = self.bytes(&self.request(&entry))?;
                Ok((entry, key::meant(&request)))
            })
            .collect()
    }

    /// The same, made when it is not there.
    pub(super) fn made_and_read(&self) -> Result<Vec<(Entry, Value)>, CassetteError> {
        if self.path.join(INDEX).exists() { self.read() } else { self.emptied() }
    }

    /// An empty cassette. Files of entries that no index names any more are overwritten or harmless.
    pub(super) fn emptied(&self) -> Result<Vec<(Entry, Value)>, CassetteError> {
        fs::create_dir_all(&self.path).map_err(|error| file(&self.path, error))?;
        let index = self.path.join(INDEX);
        fs::write(&index, "").map_err(|error| file(&index, error))?;
        Ok(Vec::new())
    }

    /// Writes an entry: its bytes before the line that names them.
    pub(super) fn add(&self, entry: &Entry, request: &[u8], body: &[u8]) -> Result<(), CassetteError> {
        for (path, bytes) in [(self.request(entry), request), (self.answer(entry), body)] {
            fs::write(&path, bytes).map_err(|error| file(&path, error))?;
        }
        let index = self.path.join(INDEX);
        let line = serde_json::to_string(entry).unwrap_or_default();
        let opened = fs::OpenOptions::new().append(true).open(&index);
        opened.and_then(|mut index| writeln!(index, "{line}")).map_err(|error| file(&index, error))
    }

    /// The bytes of an answer.
    pub(super) fn body(&self, entry: &Entry) -> Result<Vec<u8>, CassetteError> {
        let path = self.answer(entry);
        let body = self.bytes(&path)?;
        if key::hex(&body) == entry.body_sha256 { Ok(body) } else { Err(CassetteError::Changed { path }) }
    }

    fn request(&self, entry: &Entry) -> PathBuf {
        self.path.join(format!("{}.request.json", stem(entry)))
    }

    fn answer(&self, entry: &Entry) -> PathBuf {
        self.path.join(format!("{}.answer", stem(entry)))
    }
}

fn stem(entry: &Entry) -> String {
    let key: String = entry.key.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    format!("{key}-{}", entry.ordinal)
}

fn file(path: &Path, error: io::Error) -> CassetteError {
    CassetteError::File { path: path.to_owned(), error }
}

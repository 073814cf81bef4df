//! The writing end of one log.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use mesh_kernel::{envelope::TenantId, ports::Clock};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{
    LineKind, LogId, LogIdError, LogLine, Progress,
    store::open_to_append,
    topic::{Topic, Topics},
};

/// Largest log of one attempt. **Units**: bytes; what comes after is counted and left out.
pub const LOG_BYTES_MAX: u64 = 1024 * 1024;

/// Longest text of one line. **Units**: bytes; the rest of it is left out.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;

/// How much an attempt logged; the lines themselves are in the log store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogRef {
    /// Lines.
    pub lines: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Whether lines were left out because the bound was reached.
    pub truncated: bool,
}

/// Where a skill tells what it does. Cheap to clone; all clones write one log.
///
/// **Cost**: one small write to a file for each line, on the caller's thread; nothing waits for the
/// disk. The file is made with the first line, so an attempt that says nothing costs no file. A log that
/// cannot be written is given up with one warning: no step fails because of it.
#[derive(Clone)]
pub struct LogWriter {
    to: To,
}

#[derive(Clone)]
enum To {
    Nowhere,
    File(Arc<Open>),
    Listener(Arc<Listener>),
}

type Listener = dyn Fn(&str, Option<Progress>) + Send + Sync;

struct Open {
    place: Place,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// Where a log lies, and who must be told of it.
pub(super) struct Place {
    /// Of all logs.
    pub(super) folder: Arc<Path>,
    pub(super) tenant: TenantId,
    pub(super) id: LogId,
    pub(super) topics: Arc<Topics>,
}

impl Place {
    /// Its file.
    pub(super) fn path(&self) -> Result<PathBuf, LogIdError> {
        Ok(self.folder.join(self.tenant.as_str()).join(self.id.path()?))
    }
}

struct State {
    /// The file and those who read it, from the first line on.
    file: Option<(File, Arc<Topic>)>,
    given_up: bool,
    so_far: LogRef,
}

impl LogWriter {
    /// A writer whose lines go nowhere.
    pub fn silent() -> Self {
        Self { to: To::Nowhere }
    }

    /// A writer whose lines go to a function: for work that several attempts wait for.
    pub fn telling(listener: impl Fn(&str, Option<Progress>) + Send + Sync + 'static) -> Self {
        Self { to: To::Listener(Arc::new(listener)) }
    }

    pub(super) fn new(place: Place, clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(State { file: None, given_up: false, so_far: LogRef::default() });
        Self { to: To::File(Arc::new(Open { place, clock, state })) }
    }

    /// The skill itself says something.
    pub fn note(&self, text: impl AsRef<str>) {
        self.line(LineKind::Note, text.as_ref());
    }

    /// How far it is.
    pub fn progress(&self, text: impl AsRef<str>, done: u64, total: u64) {
        self.put(LineKind::Progress, text.as_ref(), Some(Progress { done, total }));
    }

    /// A line of any kind but progress.
    pub fn line(&self, kind: LineKind, text: &str) {
        self.put(kind, text, None);
    }

    /// How much was logged so far.
    pub fn so_far(&self) -> LogRef {
        match &self.to {
            To::File(open) => open.state.lock().so_far,
            To::Nowhere | To::Listener(_) => LogRef::default(),
        }
    }

    fn put(&self, kind: LineKind, text: &str, progress: Option<Progress>) {
        let open = match &self.to {
            To::Nowhere => return,
            To::Listener(listener) => return listener(&clean(text), progress),
            To::File(open) => open,
        };
        let line = LogLine { at: open.clock.now(), kind, text: clean(text), progress };
        let heard = open.state.lock().put(&open.place, &line);
        if let Some(topic) = heard {
            topic.touch(&open.place.id);
        }
    }
}

impl std::fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.to {
            To::File(open) => f.debug_tuple("LogWriter").field(&open.place.id).finish(),
            To::Listener(_) => f.write_str("LogWriter(telling)"),
            To::Nowhere => f.write_str("LogWriter(silent)"),
        }
    }
}

impl State {
    /// Writes the line, or gives the log up. Who has news.
    fn put(&mut self, place: &Place, line: &LogLine) -> Option<Arc<Topic>> {
        if self.given_up {
            return None;
        }
        self.write(place, line).unwrap_or_else(|error| {
            tracing::warn!(log = ?place.id, %error, "a log cannot be written and is given up; free some space");
            self.file = None;
            self.given_up = true;
            self.so_far.truncated = true;
            None
        })
    }

    /// Writes the line, or the note that lines are missing from here on.
    fn write(&mut self, place: &Place, line: &LogLine) -> io::Result<Option<Arc<Topic>>> {
        if self.file.is_none() {
            let (file, so_far) = open_to_append(&place.path().map_err(io::Error::other)?)?;
            self.so_far = so_far;
            self.file = Some((file, place.topics.of(&place.tenant, &place.id.run)));
        }
        if self.so_far.truncated {
            return Ok(None);
        }
        let mut text = line.encode();
        if self.so_far.bytes.saturating_add(text.len() as u64) > LOG_BYTES_MAX - NOTE_BYTES {
            self.so_far.truncated = true;
            text = LogLine { at: line.at, kind: LineKind::Note, text: CUT.to_owned(), progress: None }.encode();
        }
        let Some((file, topic)) = &mut self.file else { return Ok(None) };
        file.write_all(&text)?;
        self.so_far.lines += 1;
        self.so_far.bytes += text.len() as u64;
        Ok(Some(topic.clone()))
    }
}

/// Kept free for the note that says that the log was cut.
const NOTE_BYTES: u64 = 256;

pub(super) const CUT: &str = "the log was cut here: an attempt's log takes at most 1 MiB";

/// One line of at most [`TEXT_BYTES_MAX`], without the characters that steer a terminal.
fn clean(text: &str) -> String {
    let cut = text.floor_char_boundary(TEXT_BYTES_MAX);
    let (kept, rest) = text.split_at(cut);
    let mut line: String = kept
        .trim_end_matches(['\r', '\n'])
        .chars()
        .map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c })
        .collect();
    if !rest.is_empty() {
        line.push_str(" …");
    }
    line
}

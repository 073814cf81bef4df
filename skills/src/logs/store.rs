//! The folder of logs: opening one to write, reading, listing, following, removing.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use mesh_kernel::{envelope::TenantScope, ports::Clock};
use serde::Serialize;

use super::{
    LogId, LogIdError, LogLine, LogRef, LogWriter,
    id::escape,
    topic::{Topic, Topics},
    writer::{CUT, LOG_BYTES_MAX, Place},
};

/// Why a log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No file can be named after it.
    #[error(transparent)]
    Id(#[from] LogIdError),
    /// The operating system refused.
    #[error("the log `{path}` cannot be used: {source}")]
    Io {
        /// Below the folder of logs.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A part of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// Whole lines, in order.
    pub lines: Vec<LogLine>,
    /// Where the next read goes on. **Units**: bytes from the beginning.
    pub next: u64,
    /// Whether there was more when this was read.
    pub more: bool,
}

/// A log in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// Which attempt it belongs to.
    pub id: LogId,
    /// Its length on disk.
    pub bytes: u64,
}

/// All logs of a node, below one folder: `tenant/run/step/item-attempt.ndjson`.
pub struct LogStore {
    folder: Arc<Path>,
    clock: Arc<dyn Clock>,
    topics: Arc<Topics>,
}

impl LogStore {
    /// The clock that lines are timed by.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Opens the folder, making it when it is not there.
    ///
    /// # Errors
    /// [`LogError::Io`] when it cannot be made.
    pub fn open(folder: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Arc<Self>, LogError> {
        let folder: PathBuf = folder.into();
        fs::create_dir_all(&folder).map_err(|source| LogError::Io { path: folder.display().to_string(), source })?;
        Ok(Arc::new(Self { folder: folder.into(), clock, topics: Arc::default() }))
    }

    /// A log to write, of an attempt that nobody has begun.
    ///
    /// **Cost**: nothing on the disk; the file is made with the first line.
    pub fn first_writer(&self, scope: &TenantScope, id: LogId) -> LogWriter {
        LogWriter::new(self.place(scope, id), self.clock.clone())
    }

    /// A log to write. One that is there already goes on at its end: the attempt was asked for
    /// again after a crash.
    ///
    /// **Cost**: a look at the disk; the file is made with the first line.
    ///
    /// # Errors
    /// [`LogError::Id`] when the id names no file.
    pub fn writer(&self, scope: &TenantScope, id: &LogId) -> Result<LogWriter, LogError> {
        let place = self.place(scope, id.clone());
        let written = fs::metadata(place.path()?).is_ok_and(|file| file.len() > 0);
        let writer = LogWriter::new(place, self.clock.clone());
        if written {
            writer.note("asked for again: the outcome of the lines above was never recorded");
        }
        Ok(writer)
    }

    /// Reads whole lines from `from` on, about `bytes_max` of them. A log that was never written
    /// is empty.
    ///
    /// # Errors
    /// [`LogError`] when the id names no file or the disk refuses.
    pub fn read(&self, scope: &TenantScope, id: &LogId, from: u64, bytes_max: usize) -> Result<LogPage, LogError> {
        let path = self.path(scope, id)?;
        match read_lines(&path, from, bytes_max) {
            Ok(page) => Ok(page),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(LogPage { next: from, ..LogPage::default() }),
            Err(source) => Err(self.io(&path, source)),
        }
    }

    /// The logs of a run, by step, item and attempt.
    ///
    /// # Errors
    /// [`LogError`] when the run names no folder or the disk refuses.
    pub fn list(&self, scope: &TenantScope, run: &str) -> Result<Vec<LogEntry>, LogError> {
        let folder = self.run_folder(scope, run)?;
        let mut entries = list_run(&folder, run).map_err(|source| self.io(&folder, source))?;
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(entries)
    }

    /// Removes all logs of a run. None there is no error.
    ///
    /// # Errors
    /// [`LogError`] when the disk refuses.
    pub fn remove(&self, scope: &TenantScope, run: &str) -> Result<(), LogError> {
        let folder = self.run_folder(scope, run)?;
        match fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(self.io(&folder, source)),
            _ => Ok(()),
        }
    }

    /// Removes all logs of a tenant. None there is no error.
    ///
    /// # Errors
    /// [`LogError`] when the disk refuses.
    pub fn erase(&self, scope: &TenantScope) -> Result<(), LogError> {
        let folder = self.folder.join(scope.tenant().as_str());
        match fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(self.io(&folder, source)),
            _ => Ok(()),
        }
    }

    pub(super) fn topic(&self, scope: &TenantScope, run: &str) -> Arc<Topic> {
        self.topics.of(scope.tenant(), run)
    }

    fn place(&self, scope: &TenantScope, id: LogId) -> Place {
        Place { folder: self.folder.clone(), tenant: scope.tenant().clone(), id, topics: self.topics.clone() }
    }

    fn path(&self, scope: &TenantScope, id: &LogId) -> Result<PathBuf, LogError> {
        Ok(self.place(scope, id.clone()).path()?)
    }

    fn run_folder(&self, scope: &TenantScope, run: &str) -> Result<PathBuf, LogError> {
        Ok(self.folder.join(scope.tenant().as_str()).join(escape(run)?))
    }

    fn io(&self, path: &Path, source: io::Error) -> LogError {
        let below = path.strip_prefix(&self.folder).unwrap_or(path);
        LogError::Io { path: below.display().to_string(), source }
    }
}

impl std::fmt::Debug for LogStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogStore").field("folder", &self.folder).finish_non_exhaustive()
    }
}

pub(super) fn open_to_append(path: &Path) -> io::Result<(File, LogRef)> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    let mut text = Vec::new();
    // Bounded by what a writer ever wrote.
    (&mut file).take(2 * LOG_BYTES_MAX).read_to_end(&mut text)?;
    if text.last().is_some_and(|last| *last != b'\n') {
        // A crash tore the last line; it must not swallow the next.
        file.write_all(b"\n")?;
        text.push(b'\n');
    }
    let so_far = LogRef {
        lines: text.iter().filter(|b| **b == b'\n').count() as u64,
        bytes: text.len() as u64,
        truncated: text.windows(CUT.len()).any(|part| part == CUT.as_bytes()),
    };
    Ok((file, so_far))
}

fn read_lines(path: &Path, from: u64, bytes_max: usize) -> io::Result<LogPage> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from))?;
    // Room for at least one whole line, however long JSON makes it.
    let room = bytes_max.max(8 * super::TEXT_BYTES_MAX) as u64;
    let mut text = Vec::new();
    file.take(room).read_to_end(&mut text)?;
    let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
    let lines = text
        .get(..whole)
        .unwrap_or_default()
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(LogLine::decode)
        .collect();
    let next = from + whole as u64;
    Ok(LogPage { lines, next, more: whole > 0 && next < length })
}

fn list_run(folder: &Path, run: &str) -> io::Result<Vec<LogEntry>> {
    let mut entries = Vec::new();
    let steps = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(entries),
        other => other?,
    };
    for step in steps {
        let step = step?;
        if !step.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(step.path())? {
            let file = file?;
            let (step, name) = (step.file_name(), file.file_name());
            let id = step.to_str().zip(name.to_str()).and_then(|(s, f)| LogId::parse(run, s, f));
            if let Some(id) = id {
                entries.push(LogEntry { id, bytes: file.metadata()?.len() });
            }
        }
    }
    Ok(entries)
}

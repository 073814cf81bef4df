//! What the workload's folder remembers of its process, and the lock that keeps it single.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{error::ProcessError, identity::ProcessId};

/// Read from the end of an output file, for messages. **Units**: bytes.
const TAIL_BYTES: u64 = 4 * 1024;

/// Output files longer than this are emptied by [`Folder::trim`]. **Units**: bytes.
const OUTPUT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What is known of the process. Written before it is started, so that one that was started just
/// before a crash is known by what it runs, and found by its lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) commit: String,
    pub(super) program: PathBuf,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) process: Option<ProcessId>,
}

/// The workload's folder: `process.lock`, `process.json`, `stdout.log`, `stderr.log`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folder<'a>(pub(super) &'a Path);

impl Folder<'_> {
    pub(super) fn make(self) -> Result<(), ProcessError> {
        fs::create_dir_all(self.0).map_err(|source| self.io("", source))
    }

    pub(super) fn lock_path(self) -> PathBuf {
        self.0.join("process.lock")
    }

    /// Takes the lock. It belongs to the open file, so the process that gets the file as its
    /// standard input holds it for as long as it lives, whatever becomes of us.
    pub(super) fn try_lock(self) -> Result<Option<File>, ProcessError> {
        let path = self.lock_path();
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| self.io("process.lock", source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(self.io("process.lock", source)),
        }
    }

    pub(super) fn read(self) -> Option<Record> {
        // A record that cannot be read is none: the lock says whether something runs.
        serde_json::from_slice(&fs::read(self.0.join("process.json")).ok()?).ok()
    }

    pub(super) fn write(self, record: &Record) -> Result<(), ProcessError> {
        let write = || {
            let new = self.0.join("process.json.new");
            fs::write(&new, serde_json::to_vec(record)?)?;
            fs::rename(new, self.0.join("process.json"))
        };
        write().map_err(|source| self.io("process.json", source))
    }

    /// Empty output files for a process that is about to start; the last one's errors are kept as
    /// `stderr.1.log`.
    pub(super) fn outputs(self) -> Result<(File, File), ProcessError> {
        let open = |name: &str| {
            let path = self.0.join(name);
            // Appended to, so that it can be emptied while the process writes.
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            file.set_len(0)?;
            Ok(file)
        };
        let _first_start = fs::rename(self.0.join("stderr.log"), self.0.join("stderr.1.log"));
        let out = open("stdout.log").map_err(|source| self.io("stdout.log", source))?;
        let err = open("stderr.log").map_err(|source| self.io("stderr.log", source))?;
        Ok((out, err))
    }

    /// The address in the ready line, when the process has written it: the first line of its
    /// output that is a JSON object with a `url`.
    pub(super) fn url(self) -> Option<String> {
        let mut text = String::new();
        let file = File::open(self.0.join("stdout.log")).ok()?;
        file.take(64 * 1024).read_to_string(&mut text).ok()?;
        let whole = text.rsplit_once('\n')?.0;
        whole.lines().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(line.get("url")?.as_str()?.to_owned())
        })
    }

    /// The end of what the process wrote to its standard error.
    pub(super) fn tail(self) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(self.0.join("stderr.log"))?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
            let mut text = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).trim().to_owned())
        };
        read().unwrap_or_default()
    }

    pub(super) fn trim(self) {
        for name in ["stdout.log", "stderr.log"] {
            let path = self.0.join(name);
            let long = fs::metadata(&path).is_ok_and(|file| file.len() > OUTPUT_BYTES_MAX);
            // The ready line stands at the head of the output; the record has no copy of it.
            if long && name == "stderr.log" {
                let _refused = File::options().append(true).open(path).and_then(|file| file.set_len(0));
            }
        }
    }

    pub(super) fn io(self, name: &str, source: io::Error) -> ProcessError {
        ProcessError::Io { path: self.0.join(name).display().to_string(), source }
    }
}

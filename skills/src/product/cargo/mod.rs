//! Cargo as a guarded job: its progress, its errors and the tests that it ran, read from what it
//! prints.

mod progress;
mod tests_run;

use std::{collections::VecDeque, path::Path};

use tokio_util::sync::CancellationToken;

use super::{
    runner::{self, Job, Limits, Stream},
    toolchain::{Reach, Toolchain},
};
use crate::{
    contract::Failure,
    logs::{LineKind, LogWriter},
};

use progress::Bar;
pub use tests_run::{Broken, Tests};

/// Lines of errors that a failure carries; the log has them all.
const ERROR_LINES_MAX: usize = 40;

/// Where cargo works, and what it may use.
#[derive(Debug, Clone)]
pub struct Cargo<'a> {
    /// The programs and their environment.
    pub toolchain: &'a Toolchain,
    /// Home and temporary folder of its processes; made when it is not there.
    pub home: &'a Path,
    /// The workspace.
    pub source: &'a Path,
    /// The target folder.
    pub target: &'a Path,
    /// What each command may use.
    pub limits: Limits,
}

/// What a command that succeeded has printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// How many units it compiled.
    pub compiled: u64,
    /// The tests that it ran.
    pub tests: Tests,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whether its exit code was 0.
    pub success: bool,
    /// What it printed, read.
    pub ran: Ran,
    /// The lines of its errors.
    pub errors: String,
}

impl Cargo<'_> {
    /// Runs one command, telling lines and "n of m" to the log.
    ///
    /// **Cancel safety**: when dropped, the whole process group is killed.
    ///
    /// # Errors
    /// A [`Failure`] when it cannot be run to its end; its exit code is for the caller.
    pub async fn run(
        &self,
        args: &[&str],
        reach: Reach,
        log: &LogWriter,
        cancelled: &CancellationToken,
    ) -> Result<Ended, Failure> {
        std::fs::create_dir_all(self.home)
            .map_err(|error| Failure::external("product.io", format!("`{}`: {error}", self.home.display())))?;
        let job = Job {
            program: "cargo",
            args: args.iter().map(Into::into).collect(),
            folder: self.source,
            env: self.toolchain.cargo_env(self.home, self.target, reach),
            limits: self.limits,
        };
        log.note(format!("cargo {}", args.join(" ")));
        let mut reader = Reader { log, bar: Bar::default(), errors: VecDeque::new(), ran: Ran::default() };
        let status = runner::run(&job, cancelled, |stream, line| reader.line(stream, line)).await?;
        let Reader { errors, ran, .. } = reader;
        let errors = Vec::from(errors).join("\n");
        if status.code() == Some(127) {
            return Err(Failure::external(
                "cargo.missing",
                "`cargo` was not found: install a Rust toolchain (https://rustup.rs) and start the node from a shell that finds it",
            ));
        }
        Ok(Ended { success: status.success(), ran, errors })
    }

    /// Runs one command that must succeed.
    ///
    /// # Errors
    /// A validation failure with cargo's errors when it does not.
    pub async fn must(
        &self,
        args: &[&str],
        reach: Reach,
        log: &LogWriter,
        cancelled: &CancellationToken,
    ) -> Result<Ran, Failure> {
        let ended = self.run(args, reach, log, cancelled).await?;
        if ended.success {
            return Ok(ended.ran);
        }
        let name = args.first().copied().unwrap_or_default();
        Err(failed(name, &ended.errors))
    }
}

/// What cargo's errors mean for a retry: the network and the system's limits are not the source's
/// fault.
fn failed(name: &str, errors: &str) -> Failure {
    let text = format!("`cargo {name}` failed:\n{errors}");
    let has = |words: &[&str]| words.iter().any(|word| errors.contains(word));
    if has(&["No space left on device", "SIGKILL", "SIGABRT", "memory allocation of", "Cannot allocate memory"]) {
        return Failure::resource("cargo.resources", text);
    }
    if has(&[
        "failed to download",
        "Could not resolve host",
        "network failure",
        "spurious network error",
        "failed to query replaced source",
    ]) {
        let hint = "the network is needed once, to fetch the crates of the template";
        return Failure::external("cargo.network", format!("{text}\n({hint})"));
    }
    Failure::validation("cargo.failed", text)
}

struct Reader<'a> {
    log: &'a LogWriter,
    bar: Bar,
    errors: VecDeque<String>,
    ran: Ran,
}

impl Reader<'_> {
    fn line(&mut self, stream: Stream, line: &str) {
        if stream == Stream::Err && self.progress(line) {
            return;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        match stream {
            Stream::Out => {
                self.ran.tests.line(line);
                self.log.line(LineKind::Out, line);
            }
            Stream::Err => {
                self.error(line);
                self.log.line(LineKind::Err, line);
            }
        }
    }

    /// Whether the line was cargo's bar, which is told as numbers.
    fn progress(&mut self, line: &str) -> bool {
        let Some(step) = Bar::read(line) else { return false };
        if let Some(step) = self.bar.news(step) {
            self.log.progress(format!("compiling {}", step.units), step.done, step.total);
        }
        true
    }

    /// Keeps what a person needs of a failed build: from the first error on, or the last lines.
    fn error(&mut self, line: &str) {
        let status = line.trim_start();
        if status.starts_with("Compiling ") {
            self.ran.compiled += 1;
            return;
        }
        let begun = self.errors.front().is_some_and(|first| first.starts_with("error"));
        if begun && self.errors.len() >= ERROR_LINES_MAX {
            return;
        }
        if !begun && line.starts_with("error") {
            self.errors.clear();
        }
        if self.errors.len() >= ERROR_LINES_MAX {
            self.errors.pop_front();
        }
        self.errors.push_back(line.to_owned());
    }
}

#[cfg(test)]
mod tests;

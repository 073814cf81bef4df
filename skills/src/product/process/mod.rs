//! A product as a process of its own: started once, adopted after our restart, never doubled.
//!
//! It lives in its own process group and outlives us. Its standard input is the workload's lock
//! file, locked by us before it starts: the system keeps that lock for as long as the process (and
//! nobody else) has the file open, so a second one cannot be started by anyone, and one that was
//! started just before a crash is found. Its output goes to files, so its ready line can be read by
//! whoever adopts it.
//!
//! Never here: whether it should run, and when to start it again; that is its entity's business.

mod error;
mod identity;
mod record;

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use tokio::process::{Child, Command};

pub use error::ProcessError;
pub use identity::ProcessId;
use record::{Folder, Record};

use crate::contract::{ANY_PORT, WorkloadSpec};

/// How often the output is looked at while a process starts.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// How often the holder of a lock is looked for.
const HOLDER_LOOKS: u32 = 80;

/// How long to wait for a killed process to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// A process that runs and said that it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Which process.
    pub process: ProcessId,
    /// Where it listens, from its ready line.
    pub url: String,
    /// The commit that its program was built from.
    pub commit: String,
    /// Whether it was running before we looked.
    pub adopted: bool,
}

/// Makes sure that what `spec` describes runs: adopts it when it does, replaces another commit's
/// process, starts it when there is none. Never two.
///
/// `port` is where it listened before: it gets that one again unless somebody else has taken it.
///
/// **Cancel safety**: when dropped while a process starts, that process goes on and is adopted by
/// the next call.
///
/// # Errors
/// [`ProcessError`] when it is not ready in time or ends before.
pub async fn ensure(spec: &WorkloadSpec, port: Option<u16>) -> Result<Running, ProcessError> {
    if let Some(running) = adopt(&spec.state, spec.ready_within).await? {
        let record = Folder(&spec.state).read();
        let same = record.is_some_and(|r| r.commit == spec.commit && r.program == spec.program && r.args == spec.args);
        if same {
            return Ok(running);
        }
        stop(&running.process, Duration::from_secs(10)).await?;
    }
    spawn(spec, port).await
}

/// The process of this workload folder, when one is alive and ready; waits for one that is
/// starting. One that is not ready in time is stopped.
///
/// # Errors
/// [`ProcessError`] when the folder cannot be used or something unknown holds the lock.
pub async fn adopt(state: &Path, ready_within: Duration) -> Result<Option<Running>, ProcessError> {
    let folder = Folder(state);
    folder.make()?;
    let Holder::Process(process) = holder(folder).await? else { return Ok(None) };
    let Some(url) = ready(folder, &process, ready_within).await else {
        stop(&process, Duration::ZERO).await?;
        return Ok(None);
    };
    let commit = folder.read().map(|record| record.commit).unwrap_or_default();
    Ok(Some(Running { process, url, commit, adopted: true }))
}

/// Starts the process, on `port` when that is free, and waits for its ready line.
///
/// # Errors
/// [`ProcessError::Running`] when one runs already; the others when it does not become ready.
pub async fn spawn(spec: &WorkloadSpec, port: Option<u16>) -> Result<Running, ProcessError> {
    let folder = Folder(&spec.state);
    folder.make()?;
    let lock = match holder(folder).await? {
        Holder::Nobody(lock) => lock,
        Holder::Process(process) => return Err(ProcessError::Running(process.pid)),
    };
    let (out, err) = folder.outputs()?;
    let mut record =
        Record { commit: spec.commit.clone(), program: spec.program.clone(), args: spec.args.clone(), process: None };
    folder.write(&record)?;
    let program = spec.program.display().to_string();
    let start = |source| ProcessError::Start { program: program.clone(), source };
    let mut child = command(spec, port.filter(is_free))
        .stdin(Stdio::from(lock))
        .stdout(Stdio::from(out))
        .stderr(Stdio::from(err))
        .spawn()
        .map_err(start)?;
    let process = child.id().and_then(ProcessId::of);
    record.process.clone_from(&process);
    folder.write(&record)?;
    let Some(process) = process else {
        return Err(ended(folder, &program, &mut child).await);
    };
    match ready(folder, &process, spec.ready_within).await {
        // The child is dropped and goes on; the runtime reaps it when it ends.
        Some(url) => Ok(Running { process, url, commit: spec.commit.clone(), adopted: false }),
        None if process.is_alive() => {
            stop(&process, Duration::ZERO).await?;
            let (within, tail) = (spec.ready_within, folder.tail());
            Err(ProcessError::NotReady { program, within, tail })
        }
        None => Err(ended(folder, &program, &mut child).await),
    }
}

/// Whether this very process is alive, and not a later one with its pid.
pub fn is_same_process(process: &ProcessId) -> bool {
    process.is_alive()
}

/// Stops a process: asks it, waits for `grace`, then kills its whole group. One that has ended is
/// stopped.
///
/// # Errors
/// [`ProcessError::Unkillable`] when it is still there after that.
pub async fn stop(process: &ProcessId, grace: Duration) -> Result<(), ProcessError> {
    if !grace.is_zero() {
        process.terminate();
        if tokio::time::timeout(grace, process.ended()).await.is_ok() {
            return Ok(());
        }
    }
    process.kill_group();
    tokio::time::timeout(KILLED_WITHIN, process.ended()).await.map_err(|_| ProcessError::Unkillable(process.pid))
}

/// Stops whatever runs in this workload folder.
///
/// # Errors
/// [`ProcessError`] when it cannot be found or does not end.
pub async fn stop_in(state: &Path, grace: Duration) -> Result<(), ProcessError> {
    let folder = Folder(state);
    if !state.exists() {
        return Ok(());
    }
    match holder(folder).await? {
        Holder::Process(process) => stop(&process, grace).await?,
        Holder::Nobody(_) => return Ok(()),
    }
    // Looking again ends what it left behind.
    holder(folder).await.map(drop)
}

/// The end of what the process of this folder wrote to its standard error.
pub fn last_words(state: &Path) -> String {
    Folder(state).tail()
}

/// Empties an error output that has grown past 8 MiB. Whoever watches the process calls it now and
/// then.
pub fn trim_output(state: &Path) {
    Folder(state).trim();
}

/// Who holds the lock of a workload folder.
enum Holder {
    /// Nobody did; we do.
    Nobody(File),
    /// A living process of ours.
    Process(ProcessId),
}

/// INVARIANT: no answer is taken from the record alone. The lock says whether something runs; the
/// record only says which process it is and, when a crash left it without one, `/proc` does.
async fn holder(folder: Folder<'_>) -> Result<Holder, ProcessError> {
    // A process that is just being started by another thread holds a copy of every open file
    // until it executes its program, and one that ends holds its own for a moment: look again.
    for _ in 0..HOLDER_LOOKS {
        let lock = folder.try_lock()?;
        let recorded = folder.read().and_then(|record| record.process);
        let found = identity::holder_of(&folder.lock_path());
        match (lock, recorded, found) {
            (Some(lock), _, _) => {
                end_leftovers(folder);
                return Ok(Holder::Nobody(lock));
            }
            (None, Some(recorded), _) if recorded.is_alive() => return Ok(Holder::Process(recorded)),
            // The process has ended, so whoever holds its lock is what it left behind.
            (None, Some(_), _) => end_leftovers(folder),
            (None, None, Some(found)) => return Ok(Holder::Process(found)),
            (None, None, None) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(ProcessError::Held(folder.0.display().to_string()))
}

/// Ends what a process that is gone has started: it serves nobody.
fn end_leftovers(folder: Folder<'_>) {
    identity::users_of(folder.0).iter().for_each(ProcessId::kill_group);
}

/// Whether nobody listens there now. Who takes it in the moment after makes the start fail, and the
/// next one finds it taken.
fn is_free(port: &u16) -> bool {
    std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, *port)).is_ok()
}

fn command(spec: &WorkloadSpec, port: Option<u16>) -> Command {
    let address = port.map_or_else(|| ANY_PORT.to_owned(), |port| format!("127.0.0.1:{port}"));
    let mut command = limited(&spec.program, spec.memory_max);
    command
        .args(spec.args.iter().map(|argument| if argument == ANY_PORT { &address } else { argument }))
        .current_dir(&spec.folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", &spec.folder)
        .env("LANG", "C.UTF-8")
        .envs(&spec.env)
        .process_group(0)
        .kill_on_drop(false);
    command
}

/// The start of a program whose data memory is bounded, and of which no core is dumped; without a bound it is
/// started as it is. **Units**: bytes.
pub(crate) fn limited(program: &Path, memory_max: Option<u64>) -> Command {
    let Some(bytes) = memory_max else { return Command::new(program) };
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "ulimit -c 0 && ulimit -d \"$1\" && shift && exec \"$@\"", "sh"])
        .arg((bytes / 1024).to_string())
        .arg(program);
    shell
}

/// Waits for the ready line; `None` when the process ended or the time is over.
async fn ready(folder: Folder<'_>, process: &ProcessId, within: Duration) -> Option<String> {
    let look = async {
        loop {
            // Alive is asked before the look, so that the last words of one that ends are seen.
            let alive = process.is_alive();
            match folder.url() {
                Some(url) if alive => return Some(url),
                None if alive => tokio::time::sleep(LOOK_EVERY).await,
                _ => return None,
            }
        }
    };
    tokio::time::timeout(within, look).await.ok().flatten()
}

async fn ended(folder: Folder<'_>, program: &str, child: &mut Child) -> ProcessError {
    let how = match tokio::time::timeout(KILLED_WITHIN, child.wait()).await {
        Ok(Ok(status)) => status.to_string(),
        _ => "unknown".to_owned(),
    };
    ProcessError::Ended { program: program.to_owned(), how, tail: folder.tail() }
}

#[cfg(test)]
mod tests;

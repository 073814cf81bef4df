//! The process of a server that is spoken to over its standard input and output.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use mesh_kernel::task;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStderr, ChildStdin, ChildStdout},
};

use super::reach::Secret;
use crate::{
    contract::Failure,
    product::process::{ProcessId, limited},
};

/// What is kept of what a process has written to its standard error. **Units**: bytes.
const WORDS_BYTES_MAX: usize = 2 * 1024;

/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// A process in a group of its own. Dropping it ends the group.
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
    words: Arc<Mutex<Vec<u8>>>,
    secrets: Vec<String>,
}

/// The ends of its pipes.
pub(super) type Pipes = (ChildStdout, ChildStdin);

impl Process {
    /// Starts it, with the environment that was declared and nothing else but a path.
    ///
    /// # Errors
    /// When there is no such program.
    pub(super) fn start(
        command: &str,
        args: &[String],
        env: Vec<(String, Secret)>,
        memory_max: u64,
    ) -> Result<(Self, Pipes), Failure> {
        let failed = |what: String| Failure::external("mcp.start", format!("`{command}` cannot be started: {what}"));
        let mut starting = limited(Path::new(command), Some(memory_max));
        let (names, secrets): (Vec<_>, Vec<_>) = env.into_iter().unzip();
        starting
            .args(args)
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .envs(names.iter().zip(secrets.iter().map(|secret| &secret.whole)))
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = starting.spawn().map_err(|error| failed(error.to_string()))?;
        let group = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("it has no pipes".to_owned()));
        };
        let words = Arc::<Mutex<Vec<u8>>>::default();
        if let Some(errors) = child.stderr.take() {
            task::spawn("mcp-words", keep(errors, words.clone()));
        }
        let secrets = secrets.into_iter().map(|secret| secret.value).collect();
        Ok((Self { child, group, words, secrets }, (output, input)))
    }

    /// The end of what it has written to its standard error, without what nobody may see.
    pub(super) fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.words.lock()).trim().to_owned();
        let hidden = self.secrets.iter().filter(|secret| !secret.is_empty());
        hidden.fold(text, |text, secret| text.replace(secret, "***"))
    }

    /// Ends it: asks it, and kills its group a little later.
    pub(super) async fn stop(self) {
        // Not waited for by its parent until the group is killed: so long its number is nobody else's.
        if let Some(process) = self.child.id().and_then(ProcessId::of) {
            self.signal(Signal::TERM);
            let _late = tokio::time::timeout(GRACE, process.ended()).await;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group.filter(|_| self.child.id().is_some()) {
            let _gone = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

async fn keep(mut errors: ChildStderr, words: Arc<Mutex<Vec<u8>>>) {
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = errors.read(&mut piece).await {
        let mut words = words.lock();
        words.extend(piece.iter().take(length));
        let over = words.len().saturating_sub(WORDS_BYTES_MAX);
        words.drain(..over);
    }
}

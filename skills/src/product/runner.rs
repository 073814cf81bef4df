//! A process that does one thing for us, with limits, and that never outlives us.
//!
//! It runs in a process group of its own below a small guard in `sh`. The guard's standard input is
//! a pipe that only we hold open: when we end, in whatever way, the pipe closes and the guard kills
//! the whole group. So no build is orphaned by a crash, and none is doubled by the restart after it.

use std::{
    ffi::OsString,
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

use crate::contract::Failure;

/// `$1` data limit and `$2` file limit (or `-`), then the command.
///
/// The command itself gets no standard input; the loop that waits for the pipe to close is the only
/// one that has it.
const GUARD: &str = r#"
[ "$1" = - ] || ulimit -d "$1" || exit 125
[ "$2" = - ] || ulimit -f "$2" || exit 125
ulimit -c 0
shift 2
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
( read -r _ <&3; kill -KILL -$$ ) >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait "$child"
code=$?
kill "$guard" 2>/dev/null
exit "$code"
"#;

/// How long output is read after the process ended; what still holds it open is killed then.
const DRAIN: Duration = Duration::from_secs(2);

/// Longest line that is told; the rest of it is left out. **Units**: bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// What to run, and what it may use.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The program, by name or path.
    pub program: &'a str,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its working folder.
    pub folder: &'a Path,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// What it may use.
    pub limits: Limits,
}

/// What a job may use. Memory and file size hold for each of its processes, not for all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long it may run.
    pub time: Duration,
    /// Largest data segment of each process. **Units**: bytes; `None` is no limit of ours.
    pub memory: Option<u64>,
    /// Largest file that a process may write. **Units**: bytes; `None` is no limit of ours.
    pub file: Option<u64>,
    /// Most that it may print. **Units**: bytes.
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(30 * 60), memory: Some(8 << 30), file: Some(4 << 30), output: 64 << 20 }
    }
}

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Runs the job to its end and tells each line; a carriage return ends one too.
///
/// **Cancel safety**: when dropped, the whole group is killed.
///
/// # Errors
/// A [`Failure`] when it cannot be started, is cancelled, takes too long or prints too much. An exit
/// code is no error here.
pub async fn run(
    job: &Job<'_>,
    cancelled: &CancellationToken,
    mut on_line: impl FnMut(Stream, &str) + Send,
) -> Result<ExitStatus, Failure> {
    let mut child = command(job).spawn().map_err(|error| cannot_start(job, &error))?;
    let group = Group(child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)));
    // Waiting for a child closes its standard input, which the guard takes for our end.
    let alive = child.stdin.take();
    let mut out = Lines::new(child.stdout.take());
    let mut err = Lines::new(child.stderr.take());
    let ended = {
        let mut printed = 0;
        let work = pump(&mut child, &mut out, &mut err, |stream, lines, bytes| {
            printed += bytes;
            lines.for_each(|line| on_line(stream, &line));
            printed <= job.limits.output
        });
        tokio::select! {
            ended = tokio::time::timeout(job.limits.time, work) => ended,
            () = cancelled.cancelled() => return Err(Failure::cancelled()),
        }
    };
    let status = match ended {
        Ok(Ok(Pumped::Ended(status))) => status,
        Ok(Ok(Pumped::TooMuch)) => return Err(too_much(job)),
        Ok(Err(error)) => return Err(Failure::external("process.io", format!("`{}`: {error}", job.program))),
        Err(_) => return Err(too_slow(job)),
    };
    group.disarm();
    drop(alive);
    Ok(status)
}

fn command(job: &Job<'_>) -> Command {
    let limit = |bytes: Option<u64>, unit: u64| bytes.map_or_else(|| "-".to_owned(), |b| (b / unit).to_string());
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", GUARD, "guard"])
        .arg(limit(job.limits.memory, 1024))
        .arg(limit(job.limits.file, 512))
        .arg(job.program)
        .args(&job.args)
        .current_dir(job.folder)
        .env_clear()
        .envs(job.env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Kills the group when dropped, unless the process has ended by itself.
struct Group(Option<Pid>);

impl Group {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

enum Pumped {
    Ended(ExitStatus),
    TooMuch,
}

/// Reads both outputs until the process has ended and they are closed. `told` says whether to go on.
async fn pump(
    child: &mut Child,
    out: &mut Lines,
    err: &mut Lines,
    mut told: impl FnMut(Stream, &mut dyn Iterator<Item = String>, u64) -> bool,
) -> io::Result<Pumped> {
    let group = Group(child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)));
    let status = loop {
        let (stream, bytes) = tokio::select! {
            read = read(out, err), if !(out.done && err.done) => read?,
            ended = child.wait() => break ended?,
        };
        let lines = if stream == Stream::Out { &mut *out } else { &mut *err };
        if !told(stream, &mut lines.take(), bytes) {
            return Ok(Pumped::TooMuch);
        }
    };
    let rest = async {
        while !(out.done && err.done) {
            let (stream, bytes) = read(out, err).await?;
            let lines = if stream == Stream::Out { &mut *out } else { &mut *err };
            told(stream, &mut lines.take(), bytes);
        }
        io::Result::Ok(())
    };
    match tokio::time::timeout(DRAIN, rest).await {
        Ok(read) => read?,
        // A process that was left behind holds the output open; dropping the group kills it.
        Err(_) => return Ok(Pumped::Ended(status)),
    }
    group.disarm();
    Ok(Pumped::Ended(status))
}

/// Reads whichever has something. **Cancel safety**: nothing is lost.
async fn read(out: &mut Lines, err: &mut Lines) -> io::Result<(Stream, u64)> {
    Ok(tokio::select! {
        bytes = out.fill(), if !out.done => (Stream::Out, bytes?),
        bytes = err.fill(), if !err.done => (Stream::Err, bytes?),
        else => return Err(io::ErrorKind::UnexpectedEof.into()),
    })
}

/// Lines out of a pipe. A carriage return ends a line as a line feed does.
struct Lines {
    pipe: Option<Box<dyn AsyncRead + Send + Unpin>>,
    rest: Vec<u8>,
    chunk: Vec<u8>,
    done: bool,
}

impl Lines {
    fn new(pipe: Option<impl AsyncRead + Send + Unpin + 'static>) -> Self {
        Self {
            done: pipe.is_none(),
            pipe: pipe.map(|pipe| Box::new(pipe) as _),
            rest: Vec::new(),
            chunk: Vec::with_capacity(LINE_BYTES_MAX),
        }
    }

    /// Reads once. **Cancel safety**: nothing is lost.
    async fn fill(&mut self) -> io::Result<u64> {
        let Some(pipe) = &mut self.pipe else {
            return std::future::pending().await;
        };
        let read = pipe.read_buf(&mut self.chunk).await?;
        self.done = read == 0;
        Ok(read as u64)
    }

    /// The whole lines of what was read.
    fn take(&mut self) -> std::vec::IntoIter<String> {
        let mut lines = Vec::new();
        for byte in std::mem::take(&mut self.chunk) {
            match byte {
                b'\n' | b'\r' => lines.push(std::mem::take(&mut self.rest)),
                _ if self.rest.len() < LINE_BYTES_MAX => self.rest.push(byte),
                _ => {}
            }
        }
        if self.done {
            lines.push(std::mem::take(&mut self.rest));
        }
        self.chunk = Vec::with_capacity(LINE_BYTES_MAX);
        let text: Vec<_> = lines
            .into_iter()
            .filter(|line| !line.is_empty())
            .map(|line| String::from_utf8_lossy(&line).into_owned())
            .collect();
        text.into_iter()
    }
}

fn cannot_start(job: &Job<'_>, error: &io::Error) -> Failure {
    Failure::external(
        "process.start",
        format!("`{}` cannot be started with `/bin/sh` in `{}`: {error}", job.program, job.folder.display()),
    )
}

fn too_much(job: &Job<'_>) -> Failure {
    Failure::resource(
        "process.output",
        format!("`{}` printed more than {} bytes and was stopped", job.program, job.limits.output),
    )
}

fn too_slow(job: &Job<'_>) -> Failure {
    Failure::timeout(
        "process.time",
        format!("`{}` took longer than {:?} and was stopped", job.program, job.limits.time),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contract::FailureClass, product::process::ProcessId};

    fn job(script: &str) -> Job<'static> {
        Job {
            program: "/bin/sh",
            args: vec!["-c".into(), script.into()],
            folder: Path::new("/"),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            limits: Limits { time: Duration::from_secs(20), ..Limits::default() },
        }
    }

    async fn lines(job: &Job<'_>) -> Result<(Option<i32>, Vec<String>), Failure> {
        let mut seen = Vec::new();
        let status = run(job, &CancellationToken::new(), |_, line| seen.push(line.to_owned())).await?;
        Ok((status.code(), seen))
    }

    #[tokio::test]
    async fn lines_and_exit_code_are_told() {
        let (code, seen) = lines(&job("printf 'a\\rb\\nc'; exit 7")).await.unwrap();
        assert_eq!((code, seen), (Some(7), vec!["a".into(), "b".into(), "c".into()]));
        let (_, env) = lines(&job("env")).await.unwrap();
        assert!(!env.iter().any(|line| line.starts_with("CARGO")), "{env:?}");
        let (code, _) = lines(&job("kill -9 $$")).await.unwrap();
        assert_eq!(code, Some(128 + 9));
    }

    #[tokio::test]
    async fn time_and_output_are_bounded() {
        let mut slow = job("sleep 600");
        slow.limits.time = Duration::from_millis(100);
        assert_eq!(lines(&slow).await.unwrap_err().class, FailureClass::Timeout);
        let mut chatty = job("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done");
        chatty.limits.output = 10_000;
        assert_eq!(lines(&chatty).await.unwrap_err().class, FailureClass::Resource);
        let (_, seen) = lines(&job("head -c 100000 /dev/zero | tr '\\0' x")).await.unwrap();
        assert_eq!(seen.iter().map(String::len).sum::<usize>(), LINE_BYTES_MAX);
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let mut hog = job("x=x; while :; do x=$x$x; done");
        hog.limits.memory = Some(64 << 20);
        let (code, _) = lines(&hog).await.unwrap();
        assert!(code.is_some_and(|code| code != 0));
    }

    #[tokio::test]
    async fn the_whole_group_dies_with_whoever_waits_for_it() {
        for how in ["drop", "cancel"] {
            let (tell, told) = tokio::sync::oneshot::channel();
            let mut tell = Some(tell);
            let cancelled = CancellationToken::new();
            let token = cancelled.clone();
            let running = mesh_kernel::task::spawn("job", async move {
                let job = job("sleep 600 & echo $!; wait");
                run(&job, &token, |_, line| {
                    if let Some(tell) = tell.take() {
                        tell.send(line.to_owned()).unwrap();
                    }
                })
                .await
            });
            let pid = tokio::time::timeout(Duration::from_secs(10), told).await.unwrap().unwrap();
            let grandchild = ProcessId::of(pid.parse().unwrap()).unwrap();
            if how == "drop" {
                running.abort();
            } else {
                cancelled.cancel();
            }
            tokio::time::timeout(Duration::from_secs(10), grandchild.ended()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_guard_alone_kills_the_group_when_the_pipe_closes() {
        // All that a SIGKILL leaves of us is a closed pipe.
        let job = job("sleep 600 & echo $!; wait");
        let mut child = command(&job).kill_on_drop(false).spawn().unwrap();
        let mut out = Lines::new(child.stdout.take());
        out.fill().await.unwrap();
        let pid = out.take().next().unwrap().parse().unwrap();
        let grandchild = ProcessId::of(pid).unwrap();
        drop(child.stdin.take());
        tokio::time::timeout(Duration::from_secs(10), grandchild.ended()).await.unwrap();
        child.wait().await.unwrap();
    }

    #[tokio::test]
    async fn a_process_left_behind_does_not_hold_the_job_open() {
        let (code, seen) = lines(&job("setsid sleep 30 & sleep 600 & echo done")).await.unwrap();
        assert_eq!((code, seen), (Some(0), vec!["done".into()]));
    }
}

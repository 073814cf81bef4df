//! A command that goes on telling until it is cut, such as `mesh tail`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// Lines of output that may wait for the test.
const LINES_MAX: usize = 10_000;

/// How long a command in slow motion runs between two looks: shorter than one flush of a disk.
const GLIMPSE: Duration = Duration::from_micros(200);

/// A running command and the lines that it has printed. Dropping it kills it.
#[derive(Debug)]
pub struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    /// Starts it with its output told line by line.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no stdout")?;
        let (tell, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until the process is gone.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn terminate(&self) -> Result<()> {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        ensure!(sent.success(), "SIGTERM could not be sent to {}", self.pid());
        Ok(())
    }

    /// Lets it run in slow motion until this holds, and leaves it standing still: stopped, looked at, let
    /// go on for a moment. So a moment of milliseconds is hardly ever missed. Its children run on.
    ///
    /// # Errors
    /// When it ends, or the moment does not come in time; a watchdog, not a measure.
    pub fn freeze_when(&self, at_most: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let pid = Pid::from_raw(self.pid().try_into()?).context("no process")?;
        let began = Instant::now();
        loop {
            kill_process(pid, Signal::STOP)?;
            // Answered when each of its threads stands still.
            let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED)?.context("it is not ours")?;
            ensure!(status.stopped(), "it ended: {status:?}");
            if holds()? {
                return Ok(());
            }
            ensure!(began.elapsed() < at_most, "the moment did not come");
            kill_process(pid, Signal::CONT)?;
            std::thread::sleep(GLIMPSE);
        }
    }

    /// The next line for which this holds; a watchdog, not a measure.
    ///
    /// # Errors
    /// When none comes in time; says what came instead.
    pub fn wait_for(&self, at_most: Duration, holds: impl Fn(&str) -> bool) -> Result<String> {
        let (began, mut passed) = (Instant::now(), Vec::new());
        while let Ok(line) = self.lines.recv_timeout(at_most.saturating_sub(began.elapsed())) {
            if holds(&line) {
                return Ok(line);
            }
            passed.push(line);
        }
        bail!("the line did not come; these did: {passed:#?}")
    }

    /// Waits until it ends by itself, and answers its status and the lines that nobody has read.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn end(mut self, at_most: Duration) -> Result<(i32, Vec<String>)> {
        let began = Instant::now();
        while began.elapsed() < at_most {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status.code().unwrap_or(-1), self.lines.iter().collect()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("it did not end: {:#?}", self.lines.try_iter().collect::<Vec<_>>())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

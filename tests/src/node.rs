//! The real binary, as a child process on a data folder.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{Client, Follower};

/// How a node is started.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// The binary: `env!("CARGO_BIN_EXE_mesh")` of the test.
    pub binary: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// More settings, as `MESH_…` variables.
    pub settings: Vec<(String, String)>,
    /// Where gRPC is served; any free port when it is 0.
    pub listen: SocketAddr,
    /// Where its standard error goes; ours when nothing is said.
    pub stderr: Option<PathBuf>,
}

impl NodeOptions {
    /// The binary on a data folder, everything else at its default.
    pub fn new(binary: &str, data: &Path) -> Self {
        Self {
            binary: binary.into(),
            data: data.to_path_buf(),
            settings: Vec::new(),
            listen: ([127, 0, 0, 1], 0).into(),
            stderr: None,
        }
    }
}

/// A running node. Dropping it kills it.
#[derive(Debug)]
pub struct Node {
    child: Child,
    options: NodeOptions,
    /// Where gRPC is served, as `http://…`.
    pub grpc: String,
    /// Where the pages are served, as `http://…`.
    pub http: String,
    /// The first page, with a log-in that works once.
    pub page: String,
}

impl Node {
    /// Starts `mesh up` and waits for its ready line.
    ///
    /// # Errors
    /// When it ends or says nothing within 30 s.
    pub fn start(options: &NodeOptions) -> Result<Self> {
        let mut child =
            command(options).spawn().with_context(|| format!("cannot start {}", options.binary.display()))?;
        let stdout = child.stdout.take().context("no stdout")?;
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            let _ = tell.send(lines.next());
            // Drained, so that the node never waits for a reader.
            lines.for_each(drop);
        });
        let line = match told.recv_timeout(Duration::from_secs(30)) {
            Ok(Some(line)) => line?,
            other => {
                let _ = child.kill();
                bail!("the node did not say that it is ready: {other:?}, status {:?}", child.wait());
            }
        };
        let ready: serde_json::Value = serde_json::from_str(&line).with_context(|| format!("ready line: {line}"))?;
        let address = |name: &str| -> Result<String> {
            Ok(ready.get(name).and_then(|v| v.as_str()).with_context(|| format!("no `{name}` in {line}"))?.to_owned())
        };
        Ok(Self {
            grpc: address("grpc")?,
            http: address("http")?,
            page: address("page")?,
            child,
            options: options.clone(),
        })
    }

    /// Starts `mesh up` and kills it after a while, ready or not.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_and_kill(options: &NodeOptions, after: Duration) -> Result<()> {
        let mut child = command(options).stdout(Stdio::null()).spawn()?;
        std::thread::sleep(after);
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// The key of the first start: operator and admin of tenant `default`.
    ///
    /// # Errors
    /// When the node has not written it.
    pub fn key(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.options.data.join("operator.key"))?.trim().to_owned())
    }

    /// A client with the first key.
    ///
    /// # Errors
    /// When the node cannot be reached.
    pub async fn client(&self) -> Result<Client> {
        Client::connect(&self.grpc, &self.key()?).await
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

    /// Waits until it ends by itself; a watchdog, not a measure.
    ///
    /// # Errors
    /// When it does not.
    pub async fn wait_for_end(&mut self, at_most: Duration) -> Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(began.elapsed() < at_most, "the node has not ended within {at_most:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends a signal by its name, such as `STOP`.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) -> Result<()> {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status()?;
        ensure!(sent.success(), "SIG{name} could not be sent");
        Ok(())
    }

    /// SIGTERM, and waits for the drain; answers how long it took.
    ///
    /// # Errors
    /// When it does not end within a minute, or ends with another status than 0.
    pub fn terminate(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.signal("TERM")?;
        while began.elapsed() < Duration::from_secs(60) {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the node ended with {status}");
                return Ok(began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("the node did not end within a minute of SIGTERM")
    }

    /// Starts a command that goes on telling, against this node's data folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn follow(&self, arguments: &[&str]) -> Result<Follower> {
        let mut command = Command::new(&self.options.binary);
        command.args(arguments).arg("--data").arg(&self.options.data).env_remove("MESH_API_KEY");
        Follower::start(command)
    }

    /// Runs the command line against this node's data folder and answers status, stdout and stderr.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn mesh(&self, arguments: &[&str]) -> Result<(i32, String, String)> {
        let output = Command::new(&self.options.binary)
            .args(arguments)
            .arg("--data")
            .arg(&self.options.data)
            .env_remove("MESH_API_KEY")
            .stdin(Stdio::null())
            .output()?;
        Ok((
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ))
    }
}

fn command(options: &NodeOptions) -> Command {
    let mut command = Command::new(&options.binary);
    command
        .args(["up", "--output", "json", "--listen", &options.listen.to_string(), "--data"])
        .arg(&options.data)
        // Whoever runs the tests may have models of their own.
        .env_remove("OPENAI_BASE_URL")
        .env_remove("OPENAI_API_KEY")
        .env_remove("OPENAI_MODEL")
        .env_remove("MESH_API_KEY")
        .envs(options.settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let stderr = options.stderr.as_ref().map(|path| File::options().create(true).append(true).open(path));
    match stderr {
        Some(Ok(file)) => command.stderr(file),
        _ => command.stderr(Stdio::inherit()),
    };
    command
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

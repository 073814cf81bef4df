//! Peers whose SDK is in Python: a script that starts them and runs the loop itself.
//!
//! It says one line of JSON when it is ready, and then answers each line with one:
//! `{"in_flight", "seconds"}` with `{"runs": [seconds…], "time"}`, and `{"finished": true}` with
//! `{"finished": n}`. It ends when its standard input does.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result};
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{measure::Slot, side::Side};

/// A script and its pipes.
pub(crate) struct Scripted {
    name: &'static str,
    ready: Ready,
    /// Killed with us.
    _child: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

#[derive(Deserialize)]
struct Ready {
    version: String,
    servers: Vec<u32>,
    #[serde(default)]
    helpers: Vec<u32>,
}

#[derive(Deserialize)]
struct Measured {
    runs: Vec<f64>,
    time: f64,
}

#[derive(Deserialize)]
struct Finished {
    finished: u64,
}

impl Scripted {
    /// Starts a script with its arguments.
    ///
    /// # Errors
    /// When it ends, or says nothing within a minute.
    pub(crate) async fn start(
        name: &'static str,
        python: &Path,
        script: &Path,
        arguments: &[&str],
        work: &Path,
    ) -> Result<Self> {
        let folder = work.join(name);
        std::fs::create_dir_all(&folder)?;
        let log = std::fs::File::create(work.join(format!("{name}.log")))?;
        let mut child = Command::new(python)
            .arg(script)
            .arg(&folder)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", script.display()))?;
        let ask = child.stdin.take().context("no standard input")?;
        let mut answers = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let ready = tokio::time::timeout(Duration::from_secs(60), next(&mut answers)).await;
        let ready = ready.with_context(|| format!("{name} did not come up"))??;
        Ok(Self { name, ready, _child: child, ask, answers })
    }

    async fn tell<Answer: DeserializeOwned>(&mut self, ask: Value) -> Result<Answer> {
        self.ask.write_all(format!("{ask}\n").as_bytes()).await?;
        self.ask.flush().await?;
        next(&mut self.answers).await.with_context(|| format!("{} was asked for {ask}", self.name))
    }
}

async fn next<Answer: DeserializeOwned>(answers: &mut Lines<BufReader<ChildStdout>>) -> Result<Answer> {
    // A library may print; what is ours begins with a brace.
    loop {
        let line = answers.next_line().await?.context("the script has ended; its log says why")?;
        if line.starts_with('{') {
            return serde_json::from_str(&line).with_context(|| format!("the script said {line}"));
        }
    }
}

impl Side for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> String {
        self.ready.version.clone()
    }

    fn servers(&self) -> Vec<u32> {
        self.ready.servers.clone()
    }

    fn helpers(&self) -> Vec<u32> {
        self.ready.helpers.clone()
    }

    fn measure(&mut self, in_flight: usize, length: Duration) -> LocalBoxFuture<'_, Result<Slot>> {
        Box::pin(async move {
            let ask = json!({"in_flight": in_flight, "seconds": length.as_secs_f64()});
            let measured: Measured = self.tell(ask).await?;
            let runs: Vec<_> = measured.runs.into_iter().map(Duration::from_secs_f64).collect();
            Ok(Slot { ended: runs.len(), runs, time: Duration::from_secs_f64(measured.time) })
        })
    }

    fn finished(&mut self) -> LocalBoxFuture<'_, Result<u64>> {
        Box::pin(async move { Ok(self.tell::<Finished>(json!({"finished": true})).await?.finished) })
    }
}

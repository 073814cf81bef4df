//! k6, a load tool that none of us wrote, as a child that submits runs.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// What a k6 that has ended says of its requests.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    /// Runs that were taken.
    pub(crate) taken: u64,
    /// Requests that were told to wait, with `RESOURCE_EXHAUSTED`.
    pub(crate) to_wait: u64,
    /// Requests that failed in another way.
    pub(crate) failed: u64,
}

/// A k6 that submits.
pub(crate) struct K6(Child);

/// What it submits, and how fast.
pub(crate) struct Submits<'a> {
    /// The binary.
    pub(crate) k6: &'a Path,
    /// What it does.
    pub(crate) script: &'a Path,
    /// Where gRPC is served, and the key.
    pub(crate) door: (String, String),
    /// The definition's name.
    pub(crate) definition: &'a str,
    /// The input of each run.
    pub(crate) input: Value,
    /// **Units**: runs per second.
    pub(crate) rate: u32,
    /// For how long. **Units**: seconds.
    pub(crate) seconds: u64,
}

impl K6 {
    /// Begins to submit.
    ///
    /// # Errors
    /// When k6 cannot be started.
    pub(crate) fn start(submits: &Submits<'_>) -> Result<Self> {
        let settings = json!({
            "address": submits.door.0.trim_start_matches("http://"), "key": submits.door.1,
            "definition": submits.definition, "input": submits.input,
            "rate": submits.rate, "seconds": submits.seconds,
        });
        let mut command = Command::new(submits.k6);
        command.args(["run", "--quiet", "--no-usage-report", "--address", "127.0.0.1:0"]).arg(submits.script);
        command.env("SUBMIT", settings.to_string()).stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(Self(command.spawn().with_context(|| format!("cannot start {}", submits.k6.display()))?))
    }

    /// Waits until it has ended; it does so by itself.
    ///
    /// # Errors
    /// When it ends badly or says nothing.
    pub(crate) async fn end(self) -> Result<Told> {
        let ended = tokio::task::spawn_blocking(move || self.0.wait_with_output()).await??;
        let said = String::from_utf8_lossy(&ended.stdout);
        ensure!(ended.status.success(), "k6 ended with {}: {said}", ended.status);
        let line = said.lines().rev().find(|line| line.starts_with('{')).with_context(|| format!("k6 said {said}"))?;
        let told: Value = serde_json::from_str(line)?;
        let count = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or_default();
        Ok(Told { taken: count("taken"), to_wait: count("toldToWait"), failed: count("failed") })
    }
}

/// The version that runs.
pub(crate) fn version(k6: &Path) -> Result<String> {
    let said = Command::new(k6).arg("version").output().with_context(|| format!("cannot start {}", k6.display()))?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    Ok(said.split_whitespace().nth(1).unwrap_or_default().trim_start_matches('v').to_owned())
}

//! The steps of ours in a process of its own, as Restate's are: what `value.pass` does, in a worker.

use std::{
    env,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};
use mesh_worker::{Skill, Worker};
use serde_json::json;

/// What the steps call.
pub(crate) const SKILL: &str = "bench.pass";

/// A worker that ends with its owner.
pub(crate) struct Process(Child);

impl Process {
    /// Starts this program as a worker of the node.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(url: &str, key: &str) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["worker", "--url", url]).env("MESH_API_KEY", key).stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self(command.spawn().context("starting the worker")?))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Works until it is killed.
///
/// # Errors
/// When the node refuses it.
pub(crate) async fn run(options: &crate::options::Worker) -> Result<()> {
    let value = json!({ "type": "object", "required": ["value"], "additionalProperties": false,
                        "properties": { "value": {} } });
    let pass = Skill::pure(SKILL, "1.0.0", "Gives back the value that it got.").takes(value.clone()).gives(value);
    Worker::new(&options.url, &env::var("MESH_API_KEY").context("MESH_API_KEY is not set")?)
        .named("bench")
        .concurrency(options.concurrency)
        .skill(pass, |call| async move { Ok(call.input) })
        .run(std::future::pending())
        .await
        .map_err(Into::into)
}

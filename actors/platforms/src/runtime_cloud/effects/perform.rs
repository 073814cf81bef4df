//! The performer: start, watch, stop.

use std::{path::Path, time::Duration};

use mesh_kernel::{
    BoxFuture,
    entity::{EffectRequest, encode_tagged},
    ports::{
        Effects, Outcome,
        effects::{Concurrency, EffectCall},
    },
};
use mesh_skills::{
    contract::WorkloadSpec,
    product::process::{self, ProcessId},
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::runtime_cloud::{
    machines::workload::{HANDLER, Work},
    messages::{Exit, ExitKind, WorkloadCommand as Command},
};

/// How long a product has to end by itself when it is asked to.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// How often a running process' output is looked at, so that it does not fill the disk.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// How long to wait before a stop that did not work is tried again.
const STOP_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What becomes of running products when the node stops in order.
///
/// That a product shall run is a fact either way: the next start of the node adopts it or starts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnShutdown {
    /// They go on and are adopted: a restart of the node is no downtime of a product.
    Leave,
    /// They stop with the node and leave nothing behind.
    #[default]
    Stop,
}

/// Performs what workloads want.
///
/// A repeated start adopts what an earlier one began, a repeated watch finds the process or its end,
/// a repeated stop finds nothing left: each may be asked again after a crash.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEffects {
    on_shutdown: OnShutdown,
}

impl ProcessEffects {
    /// A performer that does this with running products when it is cancelled.
    pub fn new(on_shutdown: OnShutdown) -> Self {
        Self { on_shutdown }
    }

    async fn work(&self, work: Work, cancelled: &CancellationToken) -> Option<Command> {
        let done = match &work {
            Work::Start { incarnation, launch, port } => {
                cancelled.run_until_cancelled(start(*incarnation, launch, *port)).await
            }
            Work::Watch { incarnation, process, folder } => {
                cancelled.run_until_cancelled(watch(*incarnation, process, folder)).await
            }
            // A stop that was begun is finished: it is bounded, and half a stop helps nobody.
            Work::Stop { incarnation, folder } => stop(*incarnation, folder, cancelled).await,
        };
        if done.is_none() && self.on_shutdown == OnShutdown::Stop {
            self.stop_on_cancel(&work).await;
        }
        done
    }

    /// Cancelled: the node stops, or the workload wants something else and stops it anyway.
    async fn stop_on_cancel(&self, work: &Work) {
        let folder = match work {
            Work::Start { launch, .. } => &launch.state,
            Work::Watch { folder, .. } => folder,
            Work::Stop { .. } => return,
        };
        if let Err(error) = process::stop_in(folder, STOP_GRACE).await {
            tracing::warn!(%error, "a process was left behind; the next start adopts or stops it");
        }
    }
}

impl Effects for ProcessEffects {
    fn handlers(&self) -> Vec<&'static str> {
        vec![HANDLER]
    }

    /// Watching costs a file descriptor and no thread, so the bound is on those.
    fn concurrency(&self) -> Concurrency {
        Concurrency { total: 4096, per_tenant: 1024, grace: STOP_GRACE + Duration::from_secs(15) }
    }

    fn perform(&self, call: EffectCall) -> BoxFuture<'_, Option<Outcome>> {
        Box::pin(async move {
            let work: Work = match serde_json::from_slice(&call.request.input) {
                Ok(work) => work,
                Err(error) => return self.failed(&call.request, &error.to_string()),
            };
            tell(&self.work(work, &call.cancelled).await?)
        })
    }

    /// A bug of the performer counts as a failed start, so that the workload tries again; what is
    /// left of the process is found by its lock.
    fn failed(&self, request: &EffectRequest, reason: &str) -> Option<Outcome> {
        let incarnation = request.attempt;
        if request.key.as_str().ends_with(".stop") {
            return tell(&Command::RecordProcessStop { incarnation });
        }
        let message = format!("the performer failed: {reason}");
        tell(&ended(incarnation, ExitKind::NotStarted, message))
    }
}

fn tell(command: &Command) -> Option<Outcome> {
    encode_tagged(command, 1).inspect_err(|error| tracing::error!(%error, "an outcome cannot be told")).ok()
}

fn ended(incarnation: u32, how: ExitKind, message: String) -> Command {
    Command::RecordProcessExit { incarnation, exit: Exit { how, message } }
}

async fn start(incarnation: u32, launch: &WorkloadSpec, port: Option<u16>) -> Command {
    match process::ensure(launch, port).await {
        Ok(running) => Command::RecordProcessStart {
            incarnation,
            process: running.process,
            url: running.url,
            adopted: running.adopted,
        },
        Err(error) => ended(incarnation, ExitKind::NotStarted, error.to_string()),
    }
}

/// Waits for the end. A process that is gone at once died while nobody looked.
async fn watch(incarnation: u32, process: &ProcessId, folder: &Path) -> Command {
    let how = match process.is_alive() {
        true => ExitKind::Exited,
        false => ExitKind::Lost,
    };
    while timeout(TRIM_EVERY, process.ended()).await.is_err() {
        process::trim_output(folder);
    }
    ended(incarnation, how, process::last_words(folder))
}

/// Stops whatever holds the workload's folder, and says so only when nothing does any more.
async fn stop(incarnation: u32, folder: &Path, cancelled: &CancellationToken) -> Option<Command> {
    loop {
        match process::stop_in(folder, STOP_GRACE).await {
            Ok(()) => return Some(Command::RecordProcessStop { incarnation }),
            Err(error) => tracing::error!(%error, "a process does not stop; tried again"),
        }
        cancelled.run_until_cancelled(sleep(STOP_AGAIN_AFTER)).await?;
    }
}

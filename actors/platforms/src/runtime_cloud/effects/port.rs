//! The port: a skill asks, the workload answers.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use mesh_kernel::{
    BoxFuture,
    entity::{Decider, encode_tagged},
    envelope::{Address, ErrorKind, Refusal},
    path::{Caller, Command, Mesh},
};
use mesh_skills::contract::{Call, Failure, WorkloadSpec, WorkloadState, WorkloadStatus, Workloads};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::runtime_cloud::{
    machines::workload::WorkloadMachine,
    messages::{Spec, WorkloadCommand},
};

/// How often the workload's published view is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What comes on top of `ready_within`: stopping the process of the version before.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Starts that may fail before whoever waits is told.
const FAILURES_MAX: u32 = 2;

/// Answers skills that want a product to run. The kernel is handed in after it was made, for the
/// performers of skills are a part of it.
#[derive(Clone, Default)]
pub struct WorkloadsPort {
    mesh: Arc<OnceLock<Mesh>>,
}

/// What the port reads of a workload's view.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    state: String,
    url: Option<String>,
    commit: Option<String>,
    process: Option<Process>,
    incarnation: u32,
    generation: u32,
    failures: u32,
    last_exit: Option<Exit>,
}

#[derive(Debug, Deserialize)]
struct Process {
    pid: u32,
}

#[derive(Debug, Deserialize)]
struct Exit {
    message: String,
}

impl WorkloadsPort {
    /// Says which kernel to ask. Once, before the first skill runs.
    pub fn connect(&self, mesh: Mesh) {
        if self.mesh.set(mesh).is_err() {
            tracing::error!("the port of workloads was connected twice; the first one stays");
        }
    }

    fn asker<'a>(&'a self, call: &Call, name: &str) -> Result<Asker<'a>, Failure> {
        let Some(mesh) = self.mesh.get() else {
            return Err(Failure::internal(
                "workload.unconnected",
                "the node has not connected its workloads yet: try again",
            ));
        };
        let address = Address::new(call.tenant(), WorkloadMachine::KIND, name)
            .map_err(|error| Failure::validation("workload.name", error.to_string()))?;
        let caller = mesh.on_behalf("runtime-cloud", &call.scope, &call.cause);
        Ok(Asker { mesh, caller, address })
    }
}

struct Asker<'a> {
    mesh: &'a Mesh,
    caller: Caller,
    address: Address,
}

impl Asker<'_> {
    /// Sends a command of the same trace and activity as the call.
    async fn send(&self, call: &Call, command: &WorkloadCommand) -> Result<(), Failure> {
        let payload =
            encode_tagged(command, 1).map_err(|error| Failure::internal("workload.command", error.to_string()))?;
        let command = Command {
            correlation: Some(call.cause.correlation_id.clone()),
            trace: Some(call.cause.trace_id.clone()),
            causation: Some(call.cause.event_id.clone()),
            project: call.cause.project_id.clone(),
            what: None,
            ..Command::new(self.address.clone(), payload)
        };
        let sent = self.mesh.send(&self.caller, command).await;
        sent.map(drop).map_err(|refusal| failure(&refusal))
    }

    async fn look(&self) -> Result<Option<Seen>, Failure> {
        let answer = self.mesh.query(&self.caller, &self.address, "GetWorkload", "").await;
        match answer {
            Ok(viewed) => read(viewed.view).map(Some),
            Err(refusal) if refusal.kind == ErrorKind::NotFound => Ok(None),
            Err(refusal) => Err(failure(&refusal)),
        }
    }

    /// Looks until `done` answers, at most this long.
    async fn wait<T>(
        &self,
        at_most: Duration,
        done: impl Fn(&Seen) -> Option<Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let looking = async {
            loop {
                if let Some(answer) = self.look().await?.as_ref().and_then(&done) {
                    return answer;
                }
                sleep(LOOK_EVERY).await;
            }
        };
        if let Ok(answer) = timeout(at_most, looking).await {
            return answer;
        }
        let state = self.look().await?.map_or_else(|| "absent".to_owned(), |seen| seen.state);
        let text = format!("the workload is still `{state}` after {at_most:?}: see its last exit, then retry");
        Err(Failure::timeout("workload.slow", text))
    }
}

impl Workloads for WorkloadsPort {
    fn ensure_running<'a>(
        &'a self,
        call: &'a Call,
        spec: WorkloadSpec,
    ) -> BoxFuture<'a, Result<WorkloadStatus, Failure>> {
        Box::pin(call.unless_cancelled(async move {
            let asker = self.asker(call, &spec.name)?;
            let (commit, within) = (spec.commit.clone(), spec.ready_within + STOP_WITHIN);
            let run = call.run.clone();
            let spec = Spec { run, launch: spec };
            asker.send(call, &WorkloadCommand::StartWorkload { spec }).await?;
            asker.wait(within, |seen| running(seen, &commit)).await
        }))
    }

    fn stop<'a>(&'a self, call: &'a Call, name: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(call.unless_cancelled(async move {
            let asker = self.asker(call, name)?;
            if asker.look().await?.is_none() {
                return Ok(());
            }
            let reason = format!("step `{}` of {}", call.step, call.run);
            asker.send(call, &WorkloadCommand::StopWorkload { reason }).await?;
            let stopped = |seen: &Seen| matches!(seen.state.as_str(), "Stopped" | "Absent").then_some(Ok(()));
            asker.wait(STOP_WITHIN, stopped).await
        }))
    }

    fn status<'a>(&'a self, call: &'a Call, name: &'a str) -> BoxFuture<'a, Result<Option<WorkloadStatus>, Failure>> {
        Box::pin(async move { Ok(self.asker(call, name)?.look().await?.as_ref().map(status)) })
    }
}

/// Whether the wait is over: it runs what was asked for, or keeps failing.
fn running(seen: &Seen, commit: &str) -> Option<Result<WorkloadStatus, Failure>> {
    if seen.commit.as_deref() != Some(commit) {
        let text = "another version was asked for meanwhile: apply the blueprint again";
        return Some(Err(Failure::external("workload.replaced", text)));
    }
    if seen.state == "Running" {
        return Some(Ok(status(seen)));
    }
    if seen.state == "Stopped" {
        return Some(Err(Failure::external("workload.stopped", "it was stopped meanwhile: start it again")));
    }
    (seen.failures >= FAILURES_MAX).then(|| {
        let why = seen.last_exit.as_ref().map_or("", |exit| exit.message.as_str());
        let text = format!("it failed {} times in a row; the last time: {why}", seen.failures);
        Err(Failure::external("workload.crashing", text))
    })
}

fn status(seen: &Seen) -> WorkloadStatus {
    let state = match seen.state.as_str() {
        "Running" => WorkloadState::Running,
        "Waiting" => WorkloadState::Restarting,
        "CrashLooping" => WorkloadState::CrashLooping,
        "Starting" => WorkloadState::Starting,
        _ => WorkloadState::Stopped,
    };
    WorkloadStatus {
        state,
        url: seen.url.clone(),
        commit: seen.commit.clone().unwrap_or_default(),
        pid: seen.process.as_ref().map(|process| process.pid),
        restarts: seen.incarnation.saturating_sub(seen.generation),
        last_error: seen.last_exit.as_ref().map(|exit| exit.message.clone()),
    }
}

fn read(view: Value) -> Result<Seen, Failure> {
    serde_json::from_value(view)
        .map_err(|error| Failure::internal("workload.view", format!("a workload's view: {error}")))
}

fn failure(refusal: &Refusal) -> Failure {
    let code = format!("workload.{}", refusal.code.to_ascii_lowercase());
    match refusal.kind {
        ErrorKind::InvalidArgument | ErrorKind::PermissionDenied | ErrorKind::FailedPrecondition => {
            Failure::validation(&code, refusal.message.clone())
        }
        ErrorKind::ResourceExhausted => Failure::resource(&code, refusal.message.clone()),
        ErrorKind::Internal | ErrorKind::Unimplemented => Failure::internal(&code, refusal.message.clone()),
        _ => Failure::external(&code, refusal.message.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A view as the machine shows it.
    fn seen(state: &str, commit: &str, failures: u32) -> Seen {
        let exit = (failures > 0).then(|| json!({ "how": "exited", "message": "no such table" }));
        let up = state == "Running";
        read(json!({
            "product": "booking",
            "desired": "Running",
            "state": state,
            "since": "2027-01-15T08:00:00Z",
            "url": up.then_some("http://127.0.0.1:4000"),
            "process": up.then(|| json!({ "pid": 7, "started": 1, "boot": "b" })),
            "commit": commit,
            "generation": 1,
            "incarnation": 1 + failures,
            "failures": failures,
            "lastExit": exit,
        }))
        .unwrap()
    }

    #[test]
    fn whoever_waits_is_told_as_soon_as_it_is_decided() {
        let rows = [
            ("it starts", seen("Starting", "c1", 0), None),
            ("the old version is stopped first", seen("Stopping", "c1", 0), None),
            ("it runs", seen("Running", "c1", 0), Some(Ok(()))),
            ("it failed once", seen("Waiting", "c1", 1), None),
            ("it runs after a failure", seen("Running", "c1", 1), Some(Ok(()))),
            ("it keeps failing", seen("Waiting", "c1", 2), Some(Err("workload.crashing"))),
            ("it was stopped", seen("Stopped", "c1", 0), Some(Err("workload.stopped"))),
            ("another version took over", seen("Running", "c2", 0), Some(Err("workload.replaced"))),
        ];
        for (what, seen, expected) in rows {
            let answer = running(&seen, "c1").map(|answer| answer.map(drop).map_err(|failure| failure.code));
            assert_eq!(answer, expected.map(|answer| answer.map_err(str::to_owned)), "{what}");
        }
    }

    #[test]
    fn a_failure_says_what_the_process_said_last() {
        let failure = running(&seen("Waiting", "c1", 2), "c1").unwrap().unwrap_err();
        assert!(failure.message.contains("no such table"), "{failure}");
    }

    #[test]
    fn a_status_counts_restarts_and_not_starts() {
        let status = status(&seen("Running", "c1", 2));
        assert_eq!((status.state, status.restarts, status.pid), (WorkloadState::Running, 2, Some(7)));
    }
}

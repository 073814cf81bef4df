//! The port through which a skill asks for a running product.
//!
//! That a product should run is a fact of its workload entity, which outlives the step that asked
//! and the node itself; the platform that owns such entities implements this port.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use mesh_kernel::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{Call, Failure};

/// An argument that asks for any free port of this machine; whoever starts the process may put a
/// port in its place.
pub const ANY_PORT: &str = "127.0.0.1:0";

/// What should run, as the workload entity records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSpec {
    /// The product's name; also the workload's.
    pub name: String,
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its working folder, absolute.
    pub folder: PathBuf,
    /// Its whole environment beside `PATH` and `HOME`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Where its lock, its record and its output lie, absolute: one folder for each workload.
    pub state: PathBuf,
    /// The commit that the program was built from; another one means another process.
    pub commit: String,
    /// How long it may take to say that it is ready.
    #[serde(default = "ready_within", with = "seconds")]
    pub ready_within: Duration,
    /// Largest data segment of the process. **Units**: bytes; `None` leaves the system's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<u64>,
}

fn ready_within() -> Duration {
    Duration::from_secs(30)
}

/// What a workload is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadState {
    /// It was asked for and is not ready yet.
    Starting,
    /// It said that it is ready.
    Running,
    /// It ended and is started again after a pause.
    Restarting,
    /// It ended so often that the pauses are long.
    CrashLooping,
    /// Nobody wants it to run.
    Stopped,
}

/// A workload as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// What it is doing.
    pub state: WorkloadState,
    /// Where it listens, when it is running.
    #[serde(default)]
    pub url: Option<String>,
    /// The commit that runs or should run.
    pub commit: String,
    /// The process, when there is one.
    #[serde(default)]
    pub pid: Option<u32>,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u32,
    /// Why it ended the last time.
    #[serde(default)]
    pub last_error: Option<String>,
}

/// Products as running processes. The call carries scope, cause and cancellation.
pub trait Workloads: Send + Sync + 'static {
    /// Records that this should run and waits until it does.
    ///
    /// # Errors
    /// A [`Failure`] when it is not running within `spec.ready_within` (and a little more).
    fn ensure_running<'a>(
        &'a self,
        call: &'a Call,
        spec: WorkloadSpec,
    ) -> BoxFuture<'a, Result<WorkloadStatus, Failure>>;

    /// Records that it should not run and waits until it does not. One that never ran is stopped.
    ///
    /// # Errors
    /// A [`Failure`] when it would not stop.
    fn stop<'a>(&'a self, call: &'a Call, name: &'a str) -> BoxFuture<'a, Result<(), Failure>>;

    /// What it is doing; `None` when it was never asked for.
    ///
    /// # Errors
    /// A [`Failure`] when its owner cannot be asked.
    fn status<'a>(&'a self, call: &'a Call, name: &'a str) -> BoxFuture<'a, Result<Option<WorkloadStatus>, Failure>>;
}

/// Whole seconds in JSON, a duration in memory.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        value.as_secs().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_secs(u64::deserialize(from)?))
    }
}

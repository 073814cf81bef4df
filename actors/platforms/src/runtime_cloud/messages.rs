//! What a workload is told, and what it announces.

use mesh_kernel::envelope::Timestamp;
use mesh_skills::{contract::WorkloadSpec, product::process::ProcessId};
use serde::{Deserialize, Serialize};

/// What shall run, and because of which run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// The run that asked for it.
    #[serde(default)]
    pub run: String,
    /// How to start it.
    pub launch: WorkloadSpec,
}

/// How a process ended, or why none began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// What happened.
    pub how: ExitKind,
    /// Details for people: exit code, signal, the last lines that it wrote.
    #[serde(default)]
    pub message: String,
}

/// What happened to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitKind {
    /// It could not be started, or never said that it was ready.
    NotStarted,
    /// It ended while we watched.
    Exited,
    /// It was gone when the node came back.
    Lost,
}

/// What a workload is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum WorkloadCommand {
    /// This shall run from now on.
    StartWorkload {
        /// What shall run.
        spec: Spec,
    },
    /// What ran last shall run again, or go on.
    ServeWorkload {},
    /// Nothing shall run.
    StopWorkload {
        /// Why, for people.
        #[serde(default)]
        reason: String,
    },
    /// A process is up and answers.
    RecordProcessStart {
        /// Which start this is the outcome of.
        incarnation: u32,
        /// The process.
        process: ProcessId,
        /// Where it answers.
        url: String,
        /// Whether it ran already.
        #[serde(default)]
        adopted: bool,
    },
    /// A process ended by itself, or none could be started.
    RecordProcessExit {
        /// Which start this is the outcome of.
        incarnation: u32,
        /// How it ended.
        exit: Exit,
    },
    /// The process was stopped as asked.
    RecordProcessStop {
        /// Which start's process.
        incarnation: u32,
    },
    /// The timer of this workload is due.
    FireTimer {
        /// `restart`.
        name: String,
        /// When it was due.
        due: Timestamp,
    },
}

/// What a workload announces.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum WorkloadEvent {
    /// Something shall run.
    WorkloadRequested {
        /// Grows with each request.
        generation: u32,
        /// What shall run.
        spec: Spec,
    },
    /// Nothing shall run.
    WorkloadStopRequested {
        /// Why.
        reason: String,
    },
    /// A process was started and answers.
    ProcessStarted {
        /// Which start.
        incarnation: u32,
        /// The process.
        process: ProcessId,
        /// Where it answers.
        url: String,
    },
    /// A process that ran already was found and taken over.
    ProcessAdopted {
        /// Which start.
        incarnation: u32,
        /// The process.
        process: ProcessId,
        /// Where it answers.
        url: String,
    },
    /// A process ended by itself, or none could be started.
    ProcessExited {
        /// Which start.
        incarnation: u32,
        /// How it ended.
        exit: Exit,
        /// Failures in a row.
        failures: u32,
        /// When it is started again; at once when absent.
        restart_at: Option<Timestamp>,
    },
    /// The wait is over: it is started again.
    WorkloadRestarted {
        /// Which start.
        incarnation: u32,
    },
    /// The process was stopped as asked.
    ProcessStopped {
        /// Which start's process.
        incarnation: u32,
    },
}

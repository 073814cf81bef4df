//! The workload: one product's process, kept as it is desired.

use std::path::PathBuf;

use mesh_kernel::{
    entity::{Cause, Decider, EffectRequest, Recorded, TimerRequest, Wants},
    envelope::{Address, IdempotencyKey, Kind, Timestamp},
};
use mesh_skills::{contract::WorkloadSpec, product::process::ProcessId};
use serde::{Deserialize, Serialize};

use crate::runtime_cloud::{
    Config, Error,
    messages::{Exit, ExitKind, Spec, WorkloadCommand as Command, WorkloadEvent as Event},
};

/// The performer of a workload's effects.
pub const HANDLER: &str = "process";
const RESTART: &str = "restart";
/// **Units**: characters of a reason or of what a process said last.
const TEXT_LEN_MAX: usize = 4_000;

/// Decides for workloads.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkloadMachine {
    /// How often and how soon to try again.
    pub config: Config,
}

/// What is true of a workload.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    product: String,
    /// What ran last, or runs, or shall run.
    spec: Option<Spec>,
    desired: bool,
    generation: u32,
    /// Counts the starts, over all generations.
    incarnation: u32,
    phase: Phase,
    failures: u32,
    last_exit: Option<Exit>,
    /// Where it listened the last time: its address shall stay the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    stop_reason: String,
}

/// What is true of its process.
///
/// INVARIANT: a start is wanted only where no process of ours can be left: at the beginning, after
/// an exit, after a stop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "phase")]
enum Phase {
    #[default]
    Idle,
    Starting {
        since: Timestamp,
    },
    Running {
        since: Timestamp,
        process: ProcessId,
        url: String,
    },
    Stopping {
        since: Timestamp,
    },
    Waiting {
        since: Timestamp,
        until: Timestamp,
    },
}

/// What the performer of [`HANDLER`] is asked; JSON in `EffectRequest.input`.
///
/// The incarnation comes back with the outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "action")]
pub enum Work {
    /// Start it, or take over what runs of it already, and wait until it answers.
    Start {
        /// Which start.
        incarnation: u32,
        /// What to start.
        launch: WorkloadSpec,
        /// Where it listened before, to be taken again when it is free.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
    },
    /// Watch the process until it ends.
    Watch {
        /// Which start.
        incarnation: u32,
        /// The process.
        process: ProcessId,
        /// Where its lock, its record and its output lie.
        folder: PathBuf,
    },
    /// Stop whatever of it is left.
    Stop {
        /// Which start.
        incarnation: u32,
        /// Where its lock, its record and its output lie.
        folder: PathBuf,
    },
}

impl Decider for WorkloadMachine {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = Kind { platform: "runtime-cloud", name: "workload" };
    const CONTROL: &'static [&'static str] = &["FireTimer", "StopWorkload"];

    fn initial(&self, address: &Address) -> State {
        State { product: address.id().to_owned(), ..State::default() }
    }

    fn decide(&self, state: &State, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
        match command {
            Command::StartWorkload { spec } => Ok(start(state, spec)),
            Command::ServeWorkload {} => match &state.spec {
                Some(spec) => Ok(start(state, spec.clone())),
                None => Err(Error::NeverStarted { product: state.product.clone() }),
            },
            Command::StopWorkload { reason } => Ok(stop(state, &reason)),
            Command::RecordProcessStart { incarnation, process, url, adopted } => {
                check_current(state, incarnation, matches!(state.phase, Phase::Starting { .. }))?;
                Ok(vec![match adopted {
                    true => Event::ProcessAdopted { incarnation, process, url },
                    false => Event::ProcessStarted { incarnation, process, url },
                }])
            }
            Command::RecordProcessExit { incarnation, exit } => {
                let up = matches!(state.phase, Phase::Starting { .. } | Phase::Running { .. });
                check_current(state, incarnation, up)?;
                Ok(vec![self.exited(state, exit, cause.at)])
            }
            Command::RecordProcessStop { incarnation } => {
                check_current(state, incarnation, matches!(state.phase, Phase::Stopping { .. }))?;
                Ok(vec![Event::ProcessStopped { incarnation }])
            }
            Command::FireTimer { name, due } => Ok(fire(state, &name, due)),
        }
    }

    fn evolve(&self, state: &mut State, event: Event, recorded: &Recorded<'_>) {
        let at = recorded.at;
        match event {
            Event::WorkloadRequested { generation, spec } => requested(state, generation, spec, at),
            Event::WorkloadStopRequested { reason } => {
                state.desired = false;
                state.stop_reason = reason;
                give_up_process(state, at);
            }
            Event::ProcessStarted { process, url, .. } | Event::ProcessAdopted { process, url, .. } => {
                state.port = port_of(&url).or(state.port);
                state.phase = Phase::Running { since: at, process, url };
            }
            Event::ProcessExited { exit, failures, restart_at, .. } => {
                state.failures = failures;
                state.last_exit = Some(exit);
                match restart_at {
                    Some(until) => state.phase = Phase::Waiting { since: at, until },
                    None => begin(state, at),
                }
            }
            Event::WorkloadRestarted { .. } => begin(state, at),
            Event::ProcessStopped { .. } if state.desired => begin(state, at),
            Event::ProcessStopped { .. } => state.phase = Phase::Idle,
        }
    }

    fn wants(&self, state: &State) -> Wants {
        let mut wants = Wants::default();
        if let Phase::Waiting { until, .. } = state.phase {
            wants.timers.push(TimerRequest { due: until, name: RESTART.to_owned() });
        }
        wants.effects.extend(work(state).and_then(|work| effect(state, &work)));
        wants
    }

    fn view(&self, state: &State, _what: &str) -> serde_json::Value {
        let (since, url, process, next) = match &state.phase {
            Phase::Idle => (None, None, None, None),
            Phase::Starting { since } => (Some(since), None, None, None),
            Phase::Running { since, process, url } => (Some(since), Some(url), Some(process), None),
            Phase::Stopping { since } => (Some(since), None, None, None),
            Phase::Waiting { since, until } => (Some(since), None, None, Some(until)),
        };
        serde_json::json!({
            "product": state.product,
            "desired": if state.desired { "Running" } else { "Stopped" },
            "state": self.shown(state),
            "since": since,
            "url": url,
            "process": process,
            "nextStart": next,
            "commit": state.spec.as_ref().map(|spec| &spec.launch.commit),
            "run": state.spec.as_ref().map(|spec| &spec.run),
            "generation": state.generation,
            "incarnation": state.incarnation,
            "failures": state.failures,
            "lastExit": state.last_exit,
            "stopReason": state.stop_reason,
        })
    }
}

impl WorkloadMachine {
    fn shown(&self, state: &State) -> &'static str {
        let looping = state.failures >= self.config.loop_after;
        match state.phase {
            Phase::Idle if state.spec.is_none() => "Absent",
            Phase::Idle => "Stopped",
            Phase::Starting { .. } | Phase::Waiting { .. } if looping => "CrashLooping",
            Phase::Starting { .. } => "Starting",
            Phase::Running { .. } => "Running",
            Phase::Stopping { .. } => "Stopping",
            Phase::Waiting { .. } => "Waiting",
        }
    }

    /// Counts the failure, unless the process was up long enough, and says when to try again.
    fn exited(&self, state: &State, mut exit: Exit, now: Timestamp) -> Event {
        let stable = match state.phase {
            Phase::Running { since, .. } => now.since(since) >= self.config.stable_after,
            _ => false,
        };
        let failures = if stable { 1 } else { state.failures + 1 };
        // What died with the machine or while nobody looked has not failed to start.
        let at_once = exit.how == ExitKind::Lost && failures == 1;
        let restart_at = (!at_once).then(|| now.plus(self.config.backoff(failures)));
        exit.message = cut(&exit.message);
        Event::ProcessExited { incarnation: state.incarnation, exit, failures, restart_at }
    }
}

/// A process that is up with the same content goes on; anything else is a new generation.
fn start(state: &State, spec: Spec) -> Vec<Event> {
    let same = state.spec.as_ref().is_some_and(|known| known.launch == spec.launch);
    let waits = matches!(state.phase, Phase::Waiting { .. } | Phase::Idle);
    if state.desired && same && !waits {
        return Vec::new();
    }
    vec![Event::WorkloadRequested { generation: state.generation + 1, spec }]
}

fn stop(state: &State, reason: &str) -> Vec<Event> {
    match state.desired {
        true => vec![Event::WorkloadStopRequested { reason: cut(reason) }],
        false => Vec::new(),
    }
}

fn fire(state: &State, name: &str, due: Timestamp) -> Vec<Event> {
    match state.phase {
        Phase::Waiting { until, .. } if name == RESTART && until == due => {
            vec![Event::WorkloadRestarted { incarnation: state.incarnation + 1 }]
        }
        _ => Vec::new(),
    }
}

fn check_current(state: &State, incarnation: u32, expected: bool) -> Result<(), Error> {
    if incarnation == state.incarnation && expected {
        return Ok(());
    }
    Err(Error::Late { product: state.product.clone(), incarnation, current: state.incarnation })
}

fn requested(state: &mut State, generation: u32, spec: Spec, at: Timestamp) {
    let before = state.spec.replace(spec);
    state.generation = generation;
    state.desired = true;
    state.failures = 0;
    state.stop_reason.clear();
    match state.phase {
        Phase::Idle | Phase::Waiting { .. } => begin(state, at),
        // What runs is stopped first, so that two never write to the same files.
        _ if before.is_some() => give_up_process(state, at),
        _ => {}
    }
}

fn begin(state: &mut State, at: Timestamp) {
    state.incarnation += 1;
    state.phase = Phase::Starting { since: at };
}

fn give_up_process(state: &mut State, at: Timestamp) {
    match state.phase {
        Phase::Running { .. } | Phase::Starting { .. } => {
            state.phase = Phase::Stopping { since: at };
        }
        Phase::Stopping { .. } => {}
        Phase::Waiting { .. } | Phase::Idle => state.phase = Phase::Idle,
    }
}

/// The port of an address such as `http://127.0.0.1:40001`.
fn port_of(url: &str) -> Option<u16> {
    url.trim_end_matches('/').rsplit_once(':')?.1.parse().ok()
}

fn work(state: &State) -> Option<Work> {
    let launch = &state.spec.as_ref()?.launch;
    let (incarnation, folder) = (state.incarnation, launch.state.clone());
    match &state.phase {
        Phase::Idle | Phase::Waiting { .. } => None,
        Phase::Starting { .. } => Some(Work::Start { incarnation, launch: launch.clone(), port: state.port }),
        Phase::Running { process, .. } => Some(Work::Watch { incarnation, process: process.clone(), folder }),
        Phase::Stopping { .. } => Some(Work::Stop { incarnation, folder }),
    }
}

fn effect(state: &State, work: &Work) -> Option<EffectRequest> {
    let action = match work {
        Work::Start { .. } => "start",
        Work::Watch { .. } => "watch",
        Work::Stop { .. } => "stop",
    };
    let key = format!("{}.{}.{action}", state.product, state.incarnation);
    Some(EffectRequest {
        key: IdempotencyKey::parse(&key).ok()?,
        handler: HANDLER,
        attempt: state.incarnation,
        input: serde_json::to_vec(work).ok()?.into(),
        timeout: None,
    })
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_LEN_MAX).collect()
}

#[cfg(test)]
mod tests;

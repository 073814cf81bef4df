//! The blueprint: numbered versions of one text, and the run that makes each of them.

mod change;

use mesh_kernel::{
    entity::{Cause, Decider, Recorded},
    envelope::{Address, Kind, Timestamp},
    ports::Digest,
};
use mesh_workflows::run::run_id;
use serde::{Deserialize, Serialize};

use crate::control_plane::{
    BlueprintError as Error,
    messages::{BlueprintCommand as Command, BlueprintEvent as Event, ChangeKind, RunState, Source},
};

/// Versions that the state remembers; the journal keeps all.
const VERSIONS_MAX: usize = 100;

/// Decides for blueprints.
#[derive(Debug, Clone, Copy, Default)]
pub struct BlueprintMachine;

/// What is true of a blueprint.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    name: String,
    /// Oldest first; the last one is the latest.
    versions: Vec<Version>,
    /// The text of the latest version.
    source: Option<Source>,
    /// The last version whose run succeeded: what tenants' files look like.
    released: Option<Released>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    number: u32,
    digest: Digest,
    change: ChangeKind,
    applied_at: Timestamp,
    applied_by: String,
    /// How many runs were asked for; part of the next run's id.
    runs: u32,
    run: Option<Run>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    id: String,
    state: RunState,
    since: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Released {
    version: u32,
    digest: Digest,
    source: Source,
}

impl Decider for BlueprintMachine {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = Kind { platform: "control-plane", name: "blueprint" };

    fn initial(&self, address: &Address) -> State {
        State { name: address.id().to_owned(), ..State::default() }
    }

    fn decide(&self, state: &State, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
        match command {
            Command::ApplyBlueprint { name, digest, source, base, sentences } => {
                check_name(state, &name)?;
                let given = Given { digest, source, sentences };
                match state.versions.last() {
                    Some(latest) if latest.digest == digest => Ok(apply_again(state, latest, given, cause)),
                    latest => apply(state, latest, given, base, cause),
                }
            }
            Command::RecordRun { run, state: now } => Ok(record_run(state, run, now, cause)),
        }
    }

    fn evolve(&self, state: &mut State, event: Event, recorded: &Recorded<'_>) {
        match event {
            Event::BlueprintApplied { version, digest, source, change, .. } => {
                add_version(state, version, digest, change, recorded);
                state.source = Some(source);
            }
            Event::ProductRunRequested { version, run, .. } => {
                if let Some(found) = state.versions.iter_mut().find(|v| v.number == version) {
                    found.runs += 1;
                    found.run = Some(Run { id: run, state: RunState::Running, since: recorded.at });
                }
            }
            Event::ProductRunRetryRequested { run, .. } => {
                run_moved(state, &run, RunState::Running, recorded.at);
            }
            Event::ProductServingRequested { .. } => {}
            Event::ProductRunRecorded { run, state: now, at } => run_moved(state, &run, now, at),
        }
    }

    /// The usual view lists the versions; `source` shows the latest and the released text.
    fn view(&self, state: &State, what: &str) -> serde_json::Value {
        let latest = state.versions.last();
        if what == "source" {
            return serde_json::json!({
                "name": state.name,
                "latest": latest.map(|v| serde_json::json!({
                    "version": v.number, "digest": v.digest, "source": state.source,
                })),
                "released": state.released,
            });
        }
        let released = state.released.as_ref();
        serde_json::json!({
            "name": state.name,
            "latest": latest,
            "released": released.map(|r| serde_json::json!({ "version": r.version, "digest": r.digest })),
            "versions": state.versions,
        })
    }

    fn size_hint(&self, state: &State) -> usize {
        let text = |source: &Source| match source {
            Source::Inline(text) => text.len(),
            Source::Stored { .. } => 0,
        };
        512 + state.versions.len() * 256
            + state.source.as_ref().map_or(0, text)
            + state.released.as_ref().map_or(0, |released| text(&released.source))
    }
}

/// The text that was applied, as its run will need it.
struct Given {
    digest: Digest,
    source: Source,
    sentences: Vec<String>,
}

fn check_name(state: &State, name: &str) -> Result<(), Error> {
    if name == state.name {
        return Ok(());
    }
    Err(Error::Misaddressed { name: name.chars().take(80).collect(), id: state.name.clone() })
}

/// The latest version once more: go on with its run, wherever that stands.
fn apply_again(state: &State, latest: &Version, given: Given, cause: &Cause) -> Vec<Event> {
    let (name, version) = (state.name.clone(), latest.number);
    let Some(run) = &latest.run else {
        return vec![request_run(state, latest.number, given, 0, cause)];
    };
    let id = run.id.clone();
    match run.state {
        RunState::Running => Vec::new(),
        RunState::Failed => vec![Event::ProductRunRetryRequested { version, run: id }],
        RunState::Succeeded => vec![Event::ProductServingRequested { name, version, run: id }],
        RunState::Cancelled => {
            vec![request_run(state, version, given, latest.runs, cause)]
        }
    }
}

fn apply(
    state: &State,
    latest: Option<&Version>,
    given: Given,
    base: Option<Digest>,
    cause: &Cause,
) -> Result<Vec<Event>, Error> {
    if let Some(Version { number, run: Some(run), .. }) = latest
        && run.state == RunState::Running
    {
        return Err(Error::Busy { version: *number, run: run.id.clone() });
    }
    let change = change::check(state, given.digest, &given.source, base)?;
    let version = latest.map_or(1, |latest| latest.number + 1);
    let name = state.name.clone();
    let (digest, source) = (given.digest, given.source.clone());
    let run = request_run(state, version, given, 0, cause);
    Ok(vec![Event::BlueprintApplied { version, name, digest, source, change }, run])
}

fn request_run(state: &State, version: u32, given: Given, runs_before: u32, cause: &Cause) -> Event {
    // The same version and number always name the same run, so a repeated request makes no second.
    let request_id = format!("blueprint:{}:{version}:{}", state.name, runs_before + 1);
    let run = run_id(cause.address.tenant(), &request_id);
    let Given { digest, source, sentences } = given;
    Event::ProductRunRequested { name: state.name.clone(), version, digest, source, run, request_id, sentences }
}

/// What a run says of itself is taken as it comes; runs that are not ours say nothing here.
fn record_run(state: &State, run: String, now: RunState, cause: &Cause) -> Vec<Event> {
    let known = state.versions.iter().filter_map(|version| version.run.as_ref());
    match known.into_iter().find(|known| known.id == run) {
        Some(known) if known.state != now => {
            vec![Event::ProductRunRecorded { run, state: now, at: cause.at }]
        }
        _ => Vec::new(),
    }
}

fn add_version(state: &mut State, number: u32, digest: Digest, change: ChangeKind, recorded: &Recorded<'_>) {
    state.versions.push(Version {
        number,
        digest,
        change,
        applied_at: recorded.at,
        applied_by: recorded.principal.answerable().to_owned(),
        runs: 0,
        run: None,
    });
    let surplus = state.versions.len().saturating_sub(VERSIONS_MAX);
    state.versions.drain(..surplus);
}

fn run_moved(state: &mut State, run: &str, now: RunState, at: Timestamp) {
    let latest = state.versions.last().map(|version| version.number);
    let Some((version, found)) = state.versions.iter_mut().find_map(|version| {
        let head = (version.number, version.digest);
        version.run.as_mut().filter(|known| known.id == run).map(|known| (head, known))
    }) else {
        return;
    };
    (found.state, found.since) = (now, at);
    if now == RunState::Succeeded && latest == Some(version.0) {
        state.released = state.source.clone().map(|source| Released { version: version.0, digest: version.1, source });
    }
}

#[cfg(test)]
mod tests;

//! Watching runs: one, or all that match a filter, with no event lost or doubled.
//!
//! One run is read from its own history and then followed, and its cursor is the version of its last
//! event. A filter follows the tenant's journal, and its cursor is a place there.

use std::collections::{BTreeMap, VecDeque};

use futures_util::{Stream, stream};
use mesh_kernel::{
    envelope::{Envelope, ErrorKind, Refusal},
    follow::Seen,
    path::{Caller, Past},
};
use mesh_proto::v1::{self, RunState, WatchStart, watch_runs_request::Target, watch_runs_response::Item};
use mesh_workflows::run::KIND;
use tonic::Status;

use super::{Answers, run_address};
use crate::gateway::{
    GatewayState,
    convert::run::{event, state_after},
    cursor, filter,
    follow::{Follow, Found},
    lists::RunFilter,
    open::kept_open,
    status::{refused_field, status},
};

/// Runs whose definition a stream remembers; it asks again for older ones.
const REMEMBERED_MAX: usize = 10_000;

type Told = Result<v1::WatchRunsResponse, Status>;

/// One run's events, from its history and then live.
pub(super) struct RunFollow {
    follow: Follow,
    history: VecDeque<Past>,
    subject: String,
    /// The version of the last event that was handed out.
    version: u64,
    /// The state into which the last event took it that changed it.
    state: RunState,
    caught_up: bool,
}

/// What [`RunFollow::next`] comes upon.
enum Step {
    Event(Box<v1::RunEvent>),
    CaughtUp(u64),
}

impl RunFollow {
    /// Follows a run behind the event with this version.
    ///
    /// # Errors
    /// `NotFound` when there is no such run.
    pub(super) async fn new(state: &GatewayState, caller: &Caller, run: &str, behind: u64) -> Result<Self, Refusal> {
        let address = run_address(caller, run)?;
        // First the place, then the history: what is recorded between the two comes twice and is told
        // by its version, and nothing falls between them.
        let follow = Follow::new(state, caller, "", WatchStart::Now)?;
        let history = match state.mesh.history(caller, &address, 1).await {
            // An archived run is there, and there is nothing to watch.
            Err(refusal) if refusal.kind == ErrorKind::NotFound => {
                state.mesh.query(caller, &address, "WatchRuns", "").await?;
                Err(super::archived(run))
            }
            history => history,
        };
        let mut history: VecDeque<_> = history?.into();
        let mut follower = Self {
            follow,
            subject: address.as_str().to_owned(),
            history: VecDeque::new(),
            version: behind,
            state: RunState::Unspecified,
            caught_up: false,
        };
        while history.front().is_some_and(|past| past.version <= behind) {
            let Some(past) = history.pop_front() else { break };
            follower.note(&past.envelope);
        }
        follower.history = history;
        Ok(follower)
    }

    async fn next(&mut self) -> Result<Step, Refusal> {
        loop {
            if let Some(past) = self.history.pop_front() {
                return Ok(Step::Event(self.hand_out(&past.envelope, past.version, 0)));
            }
            match self.follow.next().await? {
                Found::Event(seen, _) if self.is_next(&seen) => {
                    let told = self.hand_out(&seen.envelope, seen.version, seen.position.0);
                    return Ok(Step::Event(told));
                }
                Found::Event(..) => {}
                Found::CaughtUp(position, _) => {
                    self.caught_up = true;
                    return Ok(Step::CaughtUp(position.0));
                }
            }
        }
    }

    fn is_next(&self, seen: &Seen) -> bool {
        seen.version > self.version && seen.envelope.headers.subject.as_str() == self.subject
    }

    fn hand_out(&mut self, envelope: &Envelope, version: u64, position: u64) -> Box<v1::RunEvent> {
        self.version = version;
        self.note(envelope);
        Box::new(event(envelope, version, position))
    }

    fn note(&mut self, envelope: &Envelope) {
        if let Some(state) = state_after(envelope) {
            self.state = state;
        }
    }

    /// Whether everything was handed out and the run has ended.
    fn is_over(&self) -> bool {
        self.caught_up
            && self.history.is_empty()
            && matches!(self.state, RunState::Succeeded | RunState::Failed | RunState::Cancelled)
    }

    /// Waits until the run has ended.
    ///
    /// **Cancel safety**: a dropped future loses nothing.
    ///
    /// # Errors
    /// When the journal cannot be read, or the node stops.
    pub(super) async fn ended(&mut self) -> Result<(), Refusal> {
        while !self.is_over() {
            self.next().await?;
        }
        Ok(())
    }
}

/// The events that a request asks for.
///
/// # Errors
/// `NotFound` when there is no such run; a cursor or filter that cannot be read.
pub(super) async fn watch(
    state: &GatewayState,
    caller: &Caller,
    request: v1::WatchRunsRequest,
) -> Result<Answers<v1::WatchRunsResponse>, Refusal> {
    let permit = state.mesh.admit_stream(caller, "WatchRuns")?;
    match &request.target {
        Some(Target::RunId(run)) => {
            let behind = match request.cursor.as_str() {
                "" if request.start() == WatchStart::Now => now(state, caller, run).await?,
                "" => 0,
                token => cursor::open_version(token)?,
            };
            let follow = RunFollow::new(state, caller, run, behind).await?;
            Ok(Box::pin(kept_open(one(follow, request.keep_open), permit)))
        }
        Some(Target::Filter(text)) => {
            let filter = watchable(text)?;
            let follow = Follow::new(state, caller, &request.cursor, request.start())?;
            let runs = Matching { state: state.clone(), caller: caller.clone(), filter, known: BTreeMap::new() };
            Ok(Box::pin(kept_open(matching(follow, runs), permit)))
        }
        None => Err(refused_field("target", "`run_id` or `filter` is expected; an empty filter takes all runs")),
    }
}

async fn now(state: &GatewayState, caller: &Caller, run: &str) -> Result<u64, Refusal> {
    let address = run_address(caller, run)?;
    Ok(state.mesh.query(caller, &address, "WatchRuns", "summary").await?.version)
}

fn one(follow: RunFollow, keep_open: bool) -> impl Stream<Item = Told> + Send {
    stream::unfold(Some(follow), move |follow| async move {
        let mut follow = follow?;
        if follow.is_over() && !keep_open {
            return None;
        }
        let item = match follow.next().await {
            Ok(Step::Event(event)) => Item::Event(*event),
            Ok(Step::CaughtUp(position)) => Item::CaughtUp(v1::CaughtUp { position }),
            Err(refusal) => return Some((Err(status(&refusal)), None)),
        };
        let cursor = cursor::seal_version(follow.version);
        Some((Ok(v1::WatchRunsResponse { cursor, item: Some(item) }), Some(follow)))
    })
}

fn watchable(text: &str) -> Result<RunFilter, Refusal> {
    let filter = filter::runs(text)?;
    if filter.created != Default::default() || filter.ended != Default::default() {
        return Err(refused_field(
            "filter",
            "a stream knows no times: `definition`, `project_id` and `state` are expected",
        ));
    }
    if filter.states.contains(&RunState::Waiting) {
        return Err(refused_field(
            "filter",
            "no event takes a run into WAITING: it only shows so; watch without a state",
        ));
    }
    Ok(filter)
}

/// Which events of the tenant's runs match, and what must be known to say so.
struct Matching {
    state: GatewayState,
    caller: Caller,
    filter: RunFilter,
    /// Runs by id, with their definition's name.
    known: BTreeMap<String, String>,
}

impl Matching {
    async fn takes(&mut self, seen: &Seen) -> Result<bool, Refusal> {
        let envelope = &seen.envelope;
        if !envelope.headers.subject.is(KIND) {
            return Ok(false);
        }
        let states = &self.filter.states;
        if !states.is_empty() && !state_after(envelope).is_some_and(|state| states.contains(&state)) {
            return Ok(false);
        }
        if let Some(project) = &self.filter.project_id
            && envelope.project_id.as_ref().is_none_or(|of| of.as_str() != project)
        {
            return Ok(false);
        }
        match self.filter.definition.clone() {
            Some(definition) => Ok(self.definition_of(envelope).await? == definition),
            None => Ok(true),
        }
    }

    async fn definition_of(&mut self, envelope: &Envelope) -> Result<String, Refusal> {
        let run = envelope.headers.subject.id();
        if let Some(definition) = self.known.get(run) {
            return Ok(definition.clone());
        }
        let viewed = self.state.mesh.query(&self.caller, &envelope.headers.subject, "WatchRuns", "summary").await?;
        let definition = viewed.view.pointer("/definition/name").and_then(|name| name.as_str());
        let definition = definition.unwrap_or_default().to_owned();
        if self.known.len() >= REMEMBERED_MAX {
            self.known.pop_first();
        }
        self.known.insert(run.to_owned(), definition.clone());
        Ok(definition)
    }
}

fn matching(follow: Follow, runs: Matching) -> impl Stream<Item = Told> + Send {
    stream::unfold(Some((follow, runs)), |going| async {
        let (mut follow, mut runs) = going?;
        loop {
            let (item, place) = match follow.next().await {
                Ok(Found::Event(seen, place)) => match runs.takes(&seen).await {
                    Ok(true) => (Item::Event(event(&seen.envelope, seen.version, seen.position.0)), place),
                    Ok(false) => continue,
                    Err(refusal) => return Some((Err(status(&refusal)), None)),
                },
                Ok(Found::CaughtUp(position, place)) => (Item::CaughtUp(v1::CaughtUp { position: position.0 }), place),
                Err(refusal) => return Some((Err(status(&refusal)), None)),
            };
            let message = v1::WatchRunsResponse { cursor: place.seal(), item: Some(item) };
            return Some((Ok(message), Some((follow, runs))));
        }
    })
}

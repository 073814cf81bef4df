//! A table for machines: send commands, look at events; every row also checks replay and snapshots.

use std::time::Duration;

use mesh_kernel::{
    entity::{Cause, Decider, Recorded, TimerRequest, Wants, decode_tagged, encode_tagged},
    envelope::{Address, CorrelationId, EventId, Payload, Principal, Refusal, Role, Timestamp, TraceId},
};
use serde::Serialize;
use serde_json::Value;

/// When every table begins.
pub(crate) const START: Timestamp = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);

/// The names of the events, or the code of the refusal.
pub(crate) type Expected<'a> = Result<&'a [&'a str], &'a str>;

/// What is tried, the command, and the names of the events or the code of the refusal.
pub(crate) type Row<C> = (&'static str, C, Result<&'static [&'static str], &'static str>);

/// Compares an answer with a row of a table.
pub(crate) fn check(what: &str, answer: Result<Vec<String>, String>, expected: Expected<'_>) {
    let expected =
        expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).map_err(str::to_owned);
    assert_eq!(answer, expected, "{what}");
}

/// One entity under test, with the log that its journal would hold.
pub(crate) struct Table<D: Decider> {
    machine: D,
    address: Address,
    state: D::State,
    log: Vec<(Payload, Principal, Timestamp)>,
    principal: Principal,
    at: Timestamp,
    sent: usize,
}

impl<D: Decider> Table<D>
where
    D::Command: Serialize,
{
    /// An entity without events; commands come from `alice`, a developer.
    pub(crate) fn new(machine: D, address: &str) -> Self {
        let address: Address = address.parse().unwrap();
        assert!(address.is(D::KIND), "{address} is no {}", D::KIND);
        let state = machine.initial(&address);
        let mut table =
            Self { machine, address, state, log: Vec::new(), principal: Principal::system("test"), at: START, sent: 0 };
        table.by("alice", &[Role::Developer]);
        table
    }

    /// Who sends from now on.
    pub(crate) fn by(&mut self, name: &str, roles: &[Role]) -> &mut Self {
        self.principal = Principal { name: name.to_owned(), roles: roles.to_vec(), on_behalf_of: None };
        self
    }

    /// The node itself sends from now on.
    pub(crate) fn by_system(&mut self) -> &mut Self {
        self.principal = Principal::system("test");
        self
    }

    /// Time passes.
    pub(crate) fn later(&mut self, duration: Duration) -> &mut Self {
        self.at = self.at.plus(duration);
        self
    }

    /// Sends a command; the names of the events, or the code of the refusal.
    pub(crate) fn send(&mut self, command: D::Command) -> Result<Vec<String>, String> {
        self.try_send(command).map_err(|refusal| refusal.code)
    }

    /// Sends a command; the whole refusal when there is one.
    pub(crate) fn try_send(&mut self, command: D::Command) -> Result<Vec<String>, Refusal> {
        // Over the wire and back: what cannot be encoded cannot be sent.
        let wire = encode_tagged(&command, 1).unwrap();
        let command: D::Command = decode_tagged(&wire.name, &wire.bytes).unwrap();
        self.sent += 1;
        let cause = Cause {
            address: self.address.clone(),
            event_id: EventId::parse(&format!("evt-{}", self.sent)).unwrap(),
            at: self.at,
            principal: self.principal.clone(),
            trace_id: TraceId::parse("trace-1").unwrap(),
            correlation_id: CorrelationId::parse("c-1").unwrap(),
            key: None,
            version: self.log.len() as u64,
        };
        let events = self.machine.decide(&self.state, command, &cause).map_err(|error| Refusal::from(&error))?;
        let mut names = Vec::new();
        for event in events {
            let payload = encode_tagged(&event, D::SCHEMA_VERSION).unwrap();
            names.push(payload.name.to_string());
            self.log.push((payload, self.principal.clone(), self.at));
            apply(&self.machine, &self.address, &mut self.state, self.log.len(), &self.log);
        }
        self.replay_equals_live();
        Ok(names)
    }

    /// Fires the timer of this name at its due time.
    pub(crate) fn due(&mut self, name: &str) -> TimerRequest {
        let timers = self.wants().timers;
        let timer = timers.into_iter().find(|timer| timer.name == name);
        let timer = timer.unwrap_or_else(|| panic!("no timer `{name}` is wanted"));
        self.at = self.at.max(timer.due);
        timer
    }

    /// What the state wants.
    pub(crate) fn wants(&self) -> Wants {
        self.machine.wants(&self.state)
    }

    /// The payload of the last event of this name.
    pub(crate) fn last(&self, name: &str) -> Value {
        let found = self.log.iter().rev().find(|(payload, ..)| payload.name.as_ref() == name);
        let (payload, ..) = found.unwrap_or_else(|| panic!("no event `{name}`"));
        serde_json::from_slice(&payload.bytes).unwrap()
    }

    /// The usual view.
    pub(crate) fn view(&self) -> Value {
        self.machine.view(&self.state, "")
    }

    /// Another view.
    pub(crate) fn view_of(&self, what: &str) -> Value {
        self.machine.view(&self.state, what)
    }

    fn replay_equals_live(&self) {
        let mut replayed = self.machine.initial(&self.address);
        for version in 1..=self.log.len() {
            apply(&self.machine, &self.address, &mut replayed, version, &self.log);
        }
        let json = |state: &D::State| serde_json::to_value(state).unwrap();
        assert_eq!(json(&replayed), json(&self.state), "replay differs from live");
        assert_eq!(self.machine.wants(&replayed), self.wants(), "replay wants something else");
        let restored: D::State = serde_json::from_value(json(&self.state)).unwrap();
        assert_eq!(json(&restored), json(&self.state), "a snapshot loses something");
        assert_eq!(self.machine.wants(&restored), self.wants(), "a snapshot wants something else");
    }
}

fn apply<D: Decider>(
    machine: &D,
    address: &Address,
    state: &mut D::State,
    version: usize,
    log: &[(Payload, Principal, Timestamp)],
) {
    let (payload, principal, at) = &log[version - 1];
    let event = machine.upcast(&payload.name, payload.schema_version, &payload.bytes).unwrap();
    let recorded = Recorded {
        address,
        event_id: &EventId::parse(&format!("evt-e{version}")).unwrap(),
        version: version as u64,
        at: *at,
        principal,
        trace_id: &TraceId::parse("trace-1").unwrap(),
        correlation_id: &CorrelationId::parse("c-1").unwrap(),
    };
    machine.evolve(state, event, &recorded);
}

//! What others are told because of what happened to a run: limits, children, parents.
//!
//! Each reaction follows from one event alone, so it is the same whenever it is made.

use mesh_kernel::{
    entity::{CodecError, decode_tagged, encode_tagged},
    envelope::{Address, Envelope, Payload},
    follow::{Reaction, Reactor},
};
use mesh_skills::contract::{Failure, FailureClass};
use serde::Serialize;

use super::{
    KIND,
    messages::{ChildResult, Command, End, Event},
};
use crate::{catalogue, limit};

/// The reactor of runs: to limits, to children, and to parents.
#[derive(Debug, Clone, Copy, Default)]
pub struct Runs;

impl Reactor for Runs {
    fn name(&self) -> &'static str {
        "runs"
    }

    fn interests(&self) -> &'static [&'static str] {
        &[
            "SlotRequested",
            "SlotGranted",
            "ChildRequested",
            "RunLaunched",
            "LaunchRefused",
            "WaitsAbandoned",
            "RunSucceeded",
            "RunFailed",
            "RunCancelled",
        ]
    }

    fn react(&self, event: &Envelope) -> Vec<Reaction> {
        react(event).unwrap_or_else(|error| {
            // The kernel quarantines entities whose events cannot be decoded; here nothing is sent.
            tracing::error!(event = %event.event_id, %error, "a run's event cannot be decoded");
            Vec::new()
        })
    }
}

/// The commands that an event causes.
///
/// # Errors
/// [`CodecError`] when the event is none that this version knows.
pub fn react(event: &Envelope) -> Result<Vec<Reaction>, CodecError> {
    let subject = &event.headers.subject;
    if subject.is(KIND) {
        return of_run(subject, decode_tagged::<Event>(&event.event_type, &event.payload)?);
    }
    if subject.is(limit::KIND) {
        return of_limit(subject, decode_tagged::<limit::Event>(&event.event_type, &event.payload)?);
    }
    if subject.is(catalogue::KIND) {
        return of_catalogue(subject, decode_tagged::<catalogue::Event>(&event.event_type, &event.payload)?);
    }
    Ok(Vec::new())
}

fn of_run(run: &Address, event: Event) -> Result<Vec<Reaction>, CodecError> {
    Ok(match event {
        Event::SlotRequested { limit, max } => {
            let command = limit::Command::RequestSlot { run: run.clone(), max };
            to_limit(run, &limit, &command)?.into_iter().collect()
        }
        Event::ChildRequested { child, definition, version, input, parent, .. } => {
            let launch = catalogue::Launch { run: child, version, input, parent };
            let command = catalogue::Command::LaunchRun(launch);
            let to = Address::new(run.tenant(), catalogue::KIND, &definition);
            to.ok().map(|to| reaction(to, &command, "launch-child")).transpose()?.into_iter().collect()
        }
        Event::WaitsAbandoned { children, reason, .. } => {
            let mut reactions = Vec::new();
            for child in children {
                let command = Command::CancelRun { reason: reason.clone() };
                if let Ok(to) = Address::new(run.tenant(), KIND, &child) {
                    reactions.push(reaction(to, &command, "cancel-child")?);
                }
            }
            reactions
        }
        Event::RunSucceeded { outputs, taint, end } => {
            let result = ChildResult::Succeeded { outputs: outputs.as_ref().clone(), taint };
            ended(run, &end, result)?
        }
        Event::RunFailed { failure, end, .. } => {
            ended(run, &end, ChildResult::Failed { failure: failure.as_ref().clone() })?
        }
        Event::RunCancelled { reason, end, .. } => {
            let message = format!("run `{}` was cancelled: {reason}", run.id());
            let failure = Failure::new(FailureClass::Cancelled, "run.cancelled", message);
            ended(run, &end, ChildResult::Failed { failure })?
        }
        _ => Vec::new(),
    })
}

/// The end of a run gives its slot back and tells the run that waits for it.
fn ended(run: &Address, end: &End, result: ChildResult) -> Result<Vec<Reaction>, CodecError> {
    let mut reactions = Vec::new();
    if let Some(slot) = &end.slot {
        let command = limit::Command::ReleaseSlot { run: run.clone() };
        reactions.extend(to_limit(run, slot, &command)?);
    }
    if let Some(parent) = &end.parent {
        let command = Command::RecordChild {
            step: parent.step.to_string(),
            item: parent.item,
            child: run.id().to_owned(),
            result,
        };
        reactions.push(reaction(parent.run.clone(), &command, "record-child")?);
    }
    Ok(reactions)
}

fn of_limit(limit: &Address, event: limit::Event) -> Result<Vec<Reaction>, CodecError> {
    Ok(match event {
        limit::Event::SlotGranted { run } => {
            let command = Command::GrantSlot { limit: limit.id().to_owned() };
            vec![reaction(run, &command, "grant-slot")?]
        }
        _ => Vec::new(),
    })
}

fn of_catalogue(definition: &Address, event: catalogue::Event) -> Result<Vec<Reaction>, CodecError> {
    Ok(match event {
        catalogue::Event::RunLaunched { launch, submit } => {
            let to = Address::new(definition.tenant(), KIND, &launch);
            let command = Command::SubmitRun(submit);
            to.ok().map(|to| reaction(to, &command, "submit-child")).transpose()?.into_iter().collect()
        }
        catalogue::Event::LaunchRefused { run, parent, failure } => {
            let command = Command::RecordChild {
                step: parent.step.to_string(),
                item: parent.item,
                child: run,
                result: ChildResult::Failed { failure },
            };
            vec![reaction(parent.run, &command, "refuse-child")?]
        }
        catalogue::Event::DefinitionPublished { .. } => Vec::new(),
    })
}

fn to_limit(run: &Address, limit: &str, command: &limit::Command) -> Result<Option<Reaction>, CodecError> {
    let to = Address::new(run.tenant(), limit::KIND, limit).ok();
    to.map(|to| reaction(to, command, "limit")).transpose()
}

fn reaction<C: Serialize>(to: Address, command: &C, handler: &'static str) -> Result<Reaction, CodecError> {
    let command: Payload = encode_tagged(command, 1)?;
    Ok(Reaction { to, command, handler })
}

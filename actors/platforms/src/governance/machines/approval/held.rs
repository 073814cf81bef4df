//! A command that waits for its approval: asked for once, sent once.

use mesh_kernel::{
    entity::EffectRequest,
    envelope::{IdempotencyKey, Timestamp},
};
use serde::{Deserialize, Serialize};

use super::{Error, Event, Question, Request, State, Status};
use crate::governance::messages::Unsent;

/// The handler of the effect that sends a command.
pub const RELEASE: &str = "held-command";

/// What the effect is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The approval.
    pub approval: String,
    /// Where the command lies whole in the content store.
    pub body: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sent {
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<Unsent>,
}

impl Sent {
    pub(super) fn done(at: Timestamp) -> Self {
        Self { at, refused: None }
    }

    pub(super) fn refused(at: Timestamp, refused: Unsent) -> Self {
        Self { at, refused: Some(refused) }
    }
}

/// The same question is not asked twice, and a question about a command never becomes another one.
pub(super) fn asked_again(asked: &Request, request: &Request) -> Result<Vec<Event>, Error> {
    let command = |request: &Request| request.held.as_ref().map(|held| (held.command.clone(), held.request.clone()));
    if asked.run == request.run && command(asked) == command(request) {
        return Ok(Vec::new());
    }
    let command = asked.held.as_ref().map(|held| held.command.clone()).unwrap_or_default();
    Err(Error::OtherCommand { command })
}

/// That the command is sent: from the grant until what came of it is recorded.
pub(super) fn wanted(state: &State) -> Option<EffectRequest> {
    let question = state.question.as_ref().filter(|_| state.status == Status::Approved && state.release.is_none())?;
    question.request.held.as_ref()?;
    let release = Release { approval: state.approval.clone(), body: question.request.digest.clone() };
    Some(EffectRequest {
        key: IdempotencyKey::parse("release").ok()?,
        handler: RELEASE,
        attempt: 1,
        input: serde_json::to_vec(&release).ok()?.into(),
        timeout: None,
    })
}

/// What came of it is recorded once.
pub(super) fn sent(state: &State, question: &Question, refused: Option<Unsent>) -> Result<Vec<Event>, Error> {
    let Some(held) = question.request.held.as_ref().filter(|_| state.status == Status::Approved) else {
        return Err(Error::NothingHeld { state: state.status.as_str() });
    };
    if state.release.is_some() {
        return Ok(Vec::new());
    }
    let (run, command) = (question.request.run.clone(), held.command.clone());
    Ok(vec![match refused {
        None => Event::CommandReleased { run, command },
        Some(refused) => Event::CommandRefused { run, command, refused },
    }])
}

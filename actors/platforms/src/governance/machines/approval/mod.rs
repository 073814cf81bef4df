//! The approval: a question to people about one digest.

mod held;

use std::time::Duration;

use mesh_kernel::{
    entity::{Cause, Decider, Recorded, TimerRequest, Wants},
    envelope::{Address, Kind, Principal, Role, Timestamp, TraceId},
};
use serde::{Deserialize, Serialize};

pub use held::{RELEASE, Release};

use crate::governance::{
    Config, Error,
    messages::{ApprovalCommand as Command, ApprovalEvent as Event, Decision, Request},
};

/// **Units**: characters of a comment, a title or a reason.
const TEXT_LEN_MAX: usize = 2_000;
const ESCALATE: &str = "escalate";
const EXPIRE: &str = "expire";

/// Decides for approvals.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApprovalMachine {
    /// Used where a request says nothing itself.
    pub config: Config,
}

/// What is true of an approval.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    approval: String,
    status: Status,
    round: u32,
    question: Option<Question>,
    decided_at: Option<Timestamp>,
    decided_by: Vec<String>,
    comment: String,
    /// What came of the command that waited.
    release: Option<held::Sent>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Status {
    #[default]
    Absent,
    Pending,
    Escalated,
    Approved,
    Rejected,
    Expired,
    Cancelled,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    #[serde(flatten)]
    request: Request,
    requested_by: String,
    requested_at: Timestamp,
    trace_id: TraceId,
    votes: Vec<Vote>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vote {
    by: String,
    at: Timestamp,
    comment: String,
}

impl Status {
    fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Escalated)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Pending => "pending",
            Self::Escalated => "escalated",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Decider for ApprovalMachine {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = Kind { platform: "governance", name: "approval" };
    const STATE_VERSION: u32 = 2;
    const CONTROL: &'static [&'static str] = &["FireTimer", "CancelApproval"];

    fn initial(&self, address: &Address) -> State {
        State { approval: address.id().to_owned(), ..State::default() }
    }

    fn decide(&self, state: &State, command: Command, cause: &Cause) -> Result<Vec<Event>, Error> {
        if let Command::RequestApproval(request) = command {
            return self.request(state, request, cause);
        }
        let Some(question) = &state.question else {
            return Err(Error::Unknown { approval: state.approval.clone() });
        };
        match command {
            Command::RequestApproval(_) => Ok(Vec::new()),
            Command::DecideApproval { decision, digest, comment } => {
                let who = may_decide(state, question, &digest, &cause.principal)?;
                Ok(vote(question, decision, who, cut(&comment)))
            }
            Command::CancelApproval { reason } => Ok(cancel(state, &reason)),
            Command::RecordRelease { refused } => held::sent(state, question, refused),
            Command::FireTimer { name, due } => Ok(fire(state, question, &name, due)),
        }
    }

    fn evolve(&self, state: &mut State, event: Event, recorded: &Recorded<'_>) {
        match event {
            Event::ApprovalOpened { request, requested_by, round } => {
                open(state, request, requested_by, round, recorded);
            }
            Event::ApprovalVoided { .. } => {
                if let Some(question) = &mut state.question {
                    question.votes.clear();
                }
            }
            Event::ApprovalVoteCast { by, comment, .. } => {
                if let Some(question) = &mut state.question {
                    question.votes.push(Vote { by, at: recorded.at, comment });
                }
            }
            Event::ApprovalEscalated { roles } => {
                state.status = Status::Escalated;
                if let Some(question) = &mut state.question {
                    question.request.roles = roles;
                }
            }
            Event::ApprovalGranted { by, comment, .. } => {
                close(state, Status::Approved, by, comment, recorded.at);
            }
            Event::ApprovalRejected { by, comment, .. } => {
                close(state, Status::Rejected, vec![by], comment, recorded.at);
            }
            Event::ApprovalExpired { .. } => {
                close(state, Status::Expired, Vec::new(), String::new(), recorded.at);
            }
            Event::ApprovalCancelled { reason } => {
                close(state, Status::Cancelled, Vec::new(), reason, recorded.at);
            }
            Event::CommandReleased { .. } => state.release = Some(held::Sent::done(recorded.at)),
            Event::CommandRefused { refused, .. } => state.release = Some(held::Sent::refused(recorded.at, refused)),
        }
    }

    /// While it is open: until when to wait for the first approvers, and until when for anyone. Once a
    /// command is approved: that it is sent.
    fn wants(&self, state: &State) -> Wants {
        if let Some(release) = held::wanted(state) {
            return Wants { effects: vec![release], timers: Vec::new() };
        }
        let Some(question) = state.question.as_ref().filter(|_| state.status.is_open()) else {
            return Wants::default();
        };
        let timer = |name: &str, due: Option<Timestamp>| due.map(|due| TimerRequest { due, name: name.to_owned() });
        let escalate = timer(ESCALATE, question.request.escalate_at).filter(|_| state.status == Status::Pending);
        let expire = timer(EXPIRE, question.request.expire_at);
        Wants { effects: Vec::new(), timers: escalate.into_iter().chain(expire).collect() }
    }

    fn view(&self, state: &State, _what: &str) -> serde_json::Value {
        let mut view = serde_json::json!({
            "approval": state.approval,
            "state": state.status.as_str(),
            "round": state.round,
            "decidedAt": state.decided_at,
            "decidedBy": state.decided_by,
            "comment": state.comment,
            "release": state.release,
        });
        let question = state.question.as_ref().and_then(|q| serde_json::to_value(q).ok());
        if let (Some(view), Some(serde_json::Value::Object(question))) = (view.as_object_mut(), question) {
            view.extend(question);
        }
        view
    }
}

impl ApprovalMachine {
    fn request(&self, state: &State, request: Request, cause: &Cause) -> Result<Vec<Event>, Error> {
        let asked = state.question.as_ref().map(|question| &question.request.digest);
        if asked == Some(&request.digest) {
            return Ok(Vec::new());
        }
        if let Some(question) = &state.question
            && (question.request.held.is_some() || request.held.is_some())
        {
            return held::asked_again(&question.request, &request);
        }
        let request = self.with_defaults(request, cause.at)?;
        let opened = Event::ApprovalOpened {
            request,
            requested_by: cause.principal.answerable().to_owned(),
            round: state.round + 1,
        };
        let voided = asked.map(|digest| Event::ApprovalVoided { digest: digest.clone() });
        Ok(voided.into_iter().chain([opened]).collect())
    }

    /// The request with every default filled in, so that later settings change nothing about it.
    fn with_defaults(&self, mut request: Request, now: Timestamp) -> Result<Request, Error> {
        let wrong = |reason: String| Error::Request { step: request.step.clone(), reason };
        if request.digest.is_empty() {
            return Err(wrong("it names no digest, so nobody could say what they saw".to_owned()));
        }
        if request.quorum > self.config.quorum_max {
            let max = self.config.quorum_max;
            return Err(wrong(format!("a quorum of {} is more than {max}", request.quorum)));
        }
        if request.roles.contains(&Role::System) {
            return Err(wrong("`system` is no role of people".to_owned()));
        }
        request.quorum = request.quorum.max(1);
        if request.roles.is_empty() {
            request.roles = vec![Role::Approver];
        }
        request.title = cut(&request.title);
        request.description = cut(&request.description);
        let soon = now.plus(Duration::from_secs(1));
        let expire = request.expire_at.unwrap_or(now.plus(self.config.expire_after)).max(soon);
        let escalate = request.escalate_at.unwrap_or(now.plus(self.config.escalate_after));
        request.expire_at = Some(expire);
        // One that escalates only when it expires would wake nobody.
        request.escalate_at = Some(escalate.max(soon)).filter(|escalate| *escalate < expire);
        Ok(request)
    }
}

/// Who decides, when they may.
///
/// INVARIANT: a voice counts only for the digest that it saw, from someone with the role who neither
/// asked for it nor made it.
fn may_decide(state: &State, question: &Question, digest: &str, principal: &Principal) -> Result<String, Error> {
    let who = principal.answerable().to_owned();
    if !state.status.is_open() {
        return Err(Error::Closed { state: state.status.as_str() });
    }
    if digest != question.request.digest {
        let asked = question.request.digest.clone();
        return Err(Error::DigestChanged { seen: cut(digest), asked });
    }
    // An admin owns the tenant and everything in it.
    let asked = |role: &Role| principal.has(*role);
    if !principal.has(Role::Admin) && !question.request.roles.iter().any(asked) {
        return Err(Error::Role { who, roles: question.request.roles.clone() });
    }
    let made_it = |name: &str| name == question.requested_by || question.request.barred.iter().any(|b| b == name);
    if made_it(&who) || made_it(&principal.name) {
        return Err(Error::SelfApproval { who });
    }
    if question.votes.iter().any(|vote| vote.by == who) {
        return Err(Error::VotedAlready { who, missing: missing(question) });
    }
    Ok(who)
}

fn missing(question: &Question) -> u32 {
    let votes = u32::try_from(question.votes.len()).unwrap_or(u32::MAX);
    question.request.quorum.saturating_sub(votes)
}

fn vote(question: &Question, decision: Decision, by: String, comment: String) -> Vec<Event> {
    let (run, step) = (question.request.run.clone(), question.request.step.clone());
    let digest = question.request.digest.clone();
    if decision == Decision::Reject {
        return vec![Event::ApprovalRejected { run, step, digest, by, comment }];
    }
    let cast = Event::ApprovalVoteCast { by: by.clone(), digest: digest.clone(), comment: comment.clone() };
    if missing(question) > 1 {
        return vec![cast];
    }
    let by = question.votes.iter().map(|vote| vote.by.clone()).chain([by]).collect();
    vec![cast, Event::ApprovalGranted { run, step, digest, by, comment }]
}

fn cancel(state: &State, reason: &str) -> Vec<Event> {
    if state.status.is_open() {
        return vec![Event::ApprovalCancelled { reason: cut(reason) }];
    }
    Vec::new()
}

fn fire(state: &State, question: &Question, name: &str, due: Timestamp) -> Vec<Event> {
    let request = &question.request;
    if name == EXPIRE && state.status.is_open() && request.expire_at == Some(due) {
        let (run, step) = (request.run.clone(), request.step.clone());
        return vec![Event::ApprovalExpired { run, step, digest: request.digest.clone() }];
    }
    if name == ESCALATE && state.status == Status::Pending && request.escalate_at == Some(due) {
        let mut roles = request.roles.clone();
        if !roles.contains(&Role::Admin) {
            roles.push(Role::Admin);
        }
        return vec![Event::ApprovalEscalated { roles }];
    }
    Vec::new()
}

fn open(state: &mut State, request: Request, requested_by: String, round: u32, recorded: &Recorded<'_>) {
    state.status = Status::Pending;
    state.round = round;
    state.decided_at = None;
    state.decided_by.clear();
    state.comment.clear();
    let (requested_at, trace_id) = (recorded.at, recorded.trace_id.clone());
    state.question = Some(Question { request, requested_by, requested_at, trace_id, votes: Vec::new() });
}

fn close(state: &mut State, status: Status, by: Vec<String>, comment: String, at: Timestamp) {
    state.status = status;
    state.decided_by = by;
    state.comment = comment;
    state.decided_at = Some(at);
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_LEN_MAX).collect()
}

#[cfg(test)]
mod tests;

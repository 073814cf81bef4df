//! What Governance does because of others' events: it asks people when a run does, and tells the run
//! what they said. And it keeps what callers were denied.

use mesh_kernel::{
    entity::{Decider, encode_tagged},
    envelope::{Address, Envelope, Kind, Payload, TenantId, Timestamp},
    follow::{DenialAudit, Reaction, Reactor},
    tenant::Denials,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    machines::{approval::ApprovalMachine, audit::AuditMachine},
    messages::{ApprovalCommand, AuditCommand, Request},
};

const RUN: Kind = Kind { platform: "control-plane", name: "run" };

/// The reactions of Governance.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reactions;

/// A run's question.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    approval: String,
    step: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: String,
    digest: String,
    #[serde(default)]
    quorum: u32,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    deadline: Option<Timestamp>,
    #[serde(default)]
    escalate_at: Option<Timestamp>,
    #[serde(default)]
    submitted_by: String,
}

#[derive(Deserialize)]
struct Abandoned {
    #[serde(default)]
    approvals: Vec<String>,
    #[serde(default)]
    reason: String,
}

/// The end of an approval of ours.
#[derive(Deserialize)]
struct Decided {
    run: Address,
    step: String,
    #[serde(default)]
    by: Value,
    #[serde(default)]
    comment: String,
}

impl Reactor for Reactions {
    fn name(&self) -> &'static str {
        "governance"
    }

    fn interests(&self) -> &'static [&'static str] {
        &["ApprovalRequested", "WaitsAbandoned", "ApprovalGranted", "ApprovalRejected", "ApprovalExpired"]
    }

    fn react(&self, event: &Envelope) -> Vec<Reaction> {
        let subject = &event.headers.subject;
        let of_run = subject.is(RUN);
        let ours = subject.is(ApprovalMachine::KIND);
        match event.event_type.as_ref() {
            "ApprovalRequested" if of_run => request(event).into_iter().collect(),
            "WaitsAbandoned" if of_run => abandon(event),
            "ApprovalGranted" if ours => answer(event, true).into_iter().collect(),
            "ApprovalRejected" | "ApprovalExpired" if ours => answer(event, false).into_iter().collect(),
            _ => Vec::new(),
        }
    }
}

fn request(event: &Envelope) -> Option<Reaction> {
    let asked: Asked = serde_json::from_slice(&event.payload).ok()?;
    let barred = Some(asked.submitted_by).filter(|name| !name.is_empty());
    let request = Request {
        run: event.headers.subject.clone(),
        step: asked.step,
        title: asked.title,
        description: asked.description,
        digest: asked.digest,
        held: None,
        quorum: asked.quorum,
        roles: asked.roles.iter().filter_map(|role| role.parse().ok()).collect(),
        barred: barred.into_iter().collect(),
        escalate_at: asked.escalate_at,
        expire_at: asked.deadline,
    };
    to_approval(event, &asked.approval, &ApprovalCommand::RequestApproval(request), "request")
}

fn abandon(event: &Envelope) -> Vec<Reaction> {
    let Ok(abandoned) = serde_json::from_slice::<Abandoned>(&event.payload) else {
        return Vec::new();
    };
    let cancel = |approval: &String| {
        let reason = abandoned.reason.clone();
        to_approval(event, approval, &ApprovalCommand::CancelApproval { reason }, "cancel")
    };
    abandoned.approvals.iter().filter_map(cancel).collect()
}

fn to_approval(event: &Envelope, approval: &str, command: &ApprovalCommand, handler: &'static str) -> Option<Reaction> {
    Some(Reaction {
        to: Address::new(&event.tenant_id, ApprovalMachine::KIND, approval).ok()?,
        command: encode_tagged(command, 1).ok()?,
        handler,
    })
}

fn answer(event: &Envelope, approved: bool) -> Option<Reaction> {
    let decided: Decided = serde_json::from_slice(&event.payload).ok()?;
    if decided.step.is_empty() {
        // A command waits and no step: the approval itself sends it.
        return None;
    }
    let by = match decided.by {
        Value::Null => json!([]),
        by => by,
    };
    let comment = match event.event_type.as_ref() {
        "ApprovalExpired" => "nobody decided in time".to_owned(),
        _ => decided.comment,
    };
    let content = json!({
        "step": decided.step,
        "approval": event.headers.subject.id(),
        "approved": approved,
        "by": by,
        "comment": comment,
    });
    let command = Payload { name: "RecordApproval".into(), schema_version: 1, bytes: content.to_string().into() };
    Some(Reaction { to: decided.run, command, handler: "answer" })
}

/// Each tenant's denials go to its own `governance/audit/denials`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DenialsKept;

impl DenialAudit for DenialsKept {
    fn record(&self, tenant: &TenantId, denials: Denials) -> Option<(Address, Payload)> {
        let to = Address::new(tenant, AuditMachine::KIND, "denials").ok()?;
        Some((to, encode_tagged(&AuditCommand::RecordDenials(denials), 1).ok()?))
    }
}

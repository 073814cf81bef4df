//! The views of tenants and approvals, as their entities give them.

use mesh_kernel::envelope::{Address, ErrorKind, Refusal, Role, Timestamp, TraceId};
use mesh_platforms::governance::messages::Held;
use mesh_proto::v1;
use serde::{Deserialize, de::DeserializeOwned};

use crate::gateway::keys::etag;

/// Reads an entity's view.
///
/// # Errors
/// `Internal` when the entity gives another one than this version expects.
pub(in crate::gateway) fn read<T: DeserializeOwned>(view: &serde_json::Value) -> Result<T, Refusal> {
    T::deserialize(view).map_err(|error| {
        Refusal::new("GTW-0007", ErrorKind::Internal, format!("the entity's view cannot be read: {error}"))
    })
}

/// A tenant.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gateway) struct TenantView {
    pub(in crate::gateway) tenant: String,
    name: String,
    state: String,
    created_at: Timestamp,
    disabled: Option<Disabled>,
    #[serde(default, rename = "development")]
    pub(in crate::gateway) is_for_development: bool,
    #[serde(default)]
    pub(in crate::gateway) keys: Vec<KeyView>,
}

#[derive(Debug, Deserialize)]
struct Disabled {
    at: Timestamp,
}

/// An API key of a tenant.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gateway) struct KeyView {
    pub(in crate::gateway) key: String,
    pub(in crate::gateway) name: String,
    roles: Vec<Role>,
    pub(in crate::gateway) issued_at: Timestamp,
    issued_by: String,
    revoked_at: Option<Timestamp>,
}

impl TenantView {
    /// The message.
    pub(in crate::gateway) fn message(&self, version: u64) -> v1::Tenant {
        let state = match self.state.as_str() {
            "Disabled" => v1::TenantState::Disabled,
            "Deleting" => v1::TenantState::Deleting,
            _ => v1::TenantState::Active,
        };
        v1::Tenant {
            tenant_id: self.tenant.clone(),
            title: self.name.clone(),
            state: state.into(),
            create_time: Some(self.created_at.into()),
            disable_time: self.disabled.as_ref().map(|disabled| disabled.at.into()),
            etag: etag(version),
            development: self.is_for_development,
        }
    }
}

impl KeyView {
    /// The message.
    pub(in crate::gateway) fn message(&self, tenant: &str) -> v1::ApiKey {
        v1::ApiKey {
            name: self.name.clone(),
            tenant_id: tenant.to_owned(),
            roles: self.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            create_time: Some(self.issued_at.into()),
            created_by: self.issued_by.clone(),
            revoke_time: self.revoked_at.map(Into::into),
            key_id: self.key.clone(),
        }
    }
}

/// An approval.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gateway) struct ApprovalView {
    approval: String,
    state: String,
    title: String,
    description: String,
    pub(in crate::gateway) digest: String,
    /// The address of whoever waits.
    pub(in crate::gateway) run: String,
    step: String,
    /// The command that waits, when it is one and not a step.
    pub(in crate::gateway) held: Option<Held>,
    pub(in crate::gateway) trace_id: Option<TraceId>,
    requested_by: String,
    requested_at: Option<Timestamp>,
    quorum: u32,
    roles: Vec<Role>,
    votes: Vec<Vote>,
    decided_at: Option<Timestamp>,
    decided_by: Vec<String>,
    comment: String,
    escalate_at: Option<Timestamp>,
    expire_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vote {
    by: String,
    at: Timestamp,
    comment: String,
}

/// The run that an approval is about; none when it is about another entity.
fn run_id(at: &Address) -> &str {
    if at.is(mesh_workflows::run::KIND) { at.id() } else { "" }
}

impl ApprovalView {
    /// The message.
    pub(in crate::gateway) fn message(self, version: u64) -> v1::Approval {
        v1::Approval {
            votes: self.votes(),
            state: self.state().into(),
            escalated: self.state == "escalated",
            approval_id: self.approval,
            title: self.title,
            description: self.description,
            digest: self.digest,
            subject: None,
            run_id: self.run.parse().map(|at| run_id(&at).to_owned()).unwrap_or_default(),
            step_id: self.step,
            requested_by: self.requested_by,
            quorum: self.quorum,
            roles: self.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            create_time: self.requested_at.map(Into::into),
            end_time: self.decided_at.map(Into::into),
            escalate_time: self.escalate_at.map(Into::into),
            expire_time: self.expire_at.map(Into::into),
            etag: etag(version),
        }
    }

    fn state(&self) -> v1::ApprovalState {
        match self.state.as_str() {
            "pending" | "escalated" => v1::ApprovalState::Pending,
            "approved" => v1::ApprovalState::Granted,
            "rejected" => v1::ApprovalState::Rejected,
            "expired" => v1::ApprovalState::Expired,
            "cancelled" => v1::ApprovalState::Cancelled,
            _ => v1::ApprovalState::Unspecified,
        }
    }

    /// The votes that said yes, and the one that said no.
    fn votes(&self) -> Vec<v1::ApprovalVote> {
        let yes = self.votes.iter().map(|vote| v1::ApprovalVote {
            principal: vote.by.clone(),
            decision: v1::ApprovalDecision::Approve.into(),
            comment: vote.comment.clone(),
            decide_time: Some(vote.at.into()),
        });
        let no = self.decided_by.iter().filter(|_| self.state == "rejected").map(|by| v1::ApprovalVote {
            principal: by.clone(),
            decision: v1::ApprovalDecision::Reject.into(),
            comment: self.comment.clone(),
            decide_time: self.decided_at.map(Into::into),
        });
        yes.chain(no).collect()
    }
}

//! What an approval and the audit are told, and what they announce.

use mesh_kernel::{
    envelope::{Address, Role, Timestamp},
    tenant::Denials,
};
use serde::{Deserialize, Serialize};

/// What someone said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// What shall be approved, for whom, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The entity that waits, such as a run; for a command that waits, the one that it is for.
    pub run: Address,
    /// The step that waits in it; empty when a command waits.
    pub step: String,
    /// What it is about, in one line for people.
    #[serde(default)]
    pub title: String,
    /// More about it, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Digest of what is approved; of a command that waits, where it lies whole in the content store.
    pub digest: String,
    /// The command that waits, when it is one and not a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<Held>>,
    /// How many different people must say yes.
    #[serde(default)]
    pub quorum: u32,
    /// Whoever has one of these roles may decide; approvers when empty.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Who may not decide besides the asker: authors, owners of the agents that made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barred: Vec<String>,
    /// When it escalates; by configuration when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_at: Option<Timestamp>,
    /// When it expires; by configuration when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_at: Option<Timestamp>,
}

/// A command that is sent when it is approved, and not before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its type, such as `CancelRun`.
    pub command: String,
    /// Digest of the request that it was made of: the same question is not asked twice.
    pub request: String,
    /// Which policy wants the approval.
    pub policy: String,
}

/// Why a command that was approved was refused when it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsent {
    /// The stable code.
    pub code: String,
    /// What was wrong.
    pub message: String,
}

/// What an approval is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum ApprovalCommand {
    /// Asks for it; with another digest than before it begins anew and all votes are void.
    RequestApproval(Request),
    /// Says yes or no to the digest that was seen.
    DecideApproval {
        /// Yes or no.
        decision: Decision,
        /// The digest that was seen by whoever decides.
        digest: String,
        /// Why, for people.
        #[serde(default)]
        comment: String,
    },
    /// Nobody waits for it any more.
    CancelApproval {
        /// Why, for people.
        #[serde(default)]
        reason: String,
    },
    /// The command that waited was sent, and this came of it.
    RecordRelease {
        /// Why it was refused for good, when it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Unsent>,
    },
    /// A timer of this approval is due.
    FireTimer {
        /// `escalate` or `expire`.
        name: String,
        /// When it was due.
        due: Timestamp,
    },
}

/// What an approval announces.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum ApprovalEvent {
    /// People are asked.
    ApprovalOpened {
        /// What they are asked, with every default filled in.
        request: Request,
        /// Who asks, and therefore may not decide.
        requested_by: String,
        /// Counts the digests that were asked for, from 1.
        round: u32,
    },
    /// The digest changed: what was said so far no longer counts.
    ApprovalVoided {
        /// The digest that nobody shall decide any more.
        digest: String,
    },
    /// Someone said yes.
    ApprovalVoteCast {
        /// Who.
        by: String,
        /// The digest that they saw.
        digest: String,
        /// Why.
        comment: String,
    },
    /// Nobody decided in time: admins are asked as well from now on.
    ApprovalEscalated {
        /// The roles that are asked now.
        roles: Vec<Role>,
    },
    /// Enough people said yes.
    ApprovalGranted {
        /// Who waits for it.
        run: Address,
        /// The step that waits.
        step: String,
        /// The digest that was approved.
        digest: String,
        /// Who said yes, in order.
        by: Vec<String>,
        /// What the last one said.
        comment: String,
    },
    /// Someone said no.
    ApprovalRejected {
        /// Who waits for it.
        run: Address,
        /// The step that waits.
        step: String,
        /// The digest that was rejected.
        digest: String,
        /// Who said no.
        by: String,
        /// Why.
        comment: String,
    },
    /// Nobody decided at all: a no.
    ApprovalExpired {
        /// Who waits for it.
        run: Address,
        /// The step that waits.
        step: String,
        /// The digest that nobody decided.
        digest: String,
    },
    /// Nobody waits for it any more.
    ApprovalCancelled {
        /// Why.
        reason: String,
    },
    /// The command that waited was sent and done.
    CommandReleased {
        /// The entity that got it.
        run: Address,
        /// Its type.
        command: String,
    },
    /// The command that waited was sent and refused; it is not sent again.
    CommandRefused {
        /// The entity that it was for.
        run: Address,
        /// Its type.
        command: String,
        /// Why.
        refused: Unsent,
    },
}

/// What the audit is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum AuditCommand {
    /// What callers were denied since the last batch.
    RecordDenials(Denials),
}

/// What the audit keeps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum AuditEvent {
    /// Callers were denied this.
    DenialsRecorded(Denials),
}

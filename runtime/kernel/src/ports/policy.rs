//! The policy port: may this principal do this? And the port behind it, for what may be done only
//! after somebody approved it.

use std::collections::BTreeMap;

use crate::{
    BoxFuture,
    envelope::{Address, Envelope, ErrorKind, IdempotencyKey, Principal, Refusal, TenantScope},
};

/// What is asked of the policy.
#[derive(Debug)]
pub struct Request<'a> {
    /// The tenant under which it would happen.
    pub scope: &'a TenantScope,
    /// Who asks.
    pub principal: &'a Principal,
    /// The command or query, VerbNoun.
    pub action: &'a str,
    /// The entity that it is for; none for a list, a stream and what only checks its input.
    pub resource: Option<&'a Address>,
}

/// What the policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may; the text rides in the envelope and is recorded with what it let in.
    Allow {
        /// Which policy said so.
        policy: String,
    },
    /// It may not.
    Deny {
        /// Why, in words for the caller.
        reason: String,
    },
    /// Only after someone approved it: a command waits, a read is refused.
    RequiresApproval {
        /// Which policy said so.
        policy: String,
    },
}

/// Decides in process; never waits.
pub trait Policy: Send + Sync + 'static {
    /// The decision for one request.
    fn decide(&self, request: &Request<'_>) -> Decision;
}

/// Where commands wait that need an approval first.
///
/// INVARIANT: whoever implements it sends the question itself as the node, and the policy allows the
/// node to ask; otherwise the question would wait for an approval of its own.
pub trait Approvals: Send + Sync + 'static {
    /// Asks for an approval of this command, once: a command with the same key from the same caller
    /// is the same question. Answers the command as it was approved, once it is.
    ///
    /// # Errors
    /// `FailedPrecondition` with the approval's id while nobody has decided, and when it was a no;
    /// `AlreadyExists` when the same key was used for another command.
    fn ask<'a>(
        &'a self,
        scope: &'a TenantScope,
        command: Envelope,
        policy: String,
    ) -> BoxFuture<'a, Result<Approved, Refusal>>;
}

/// A command that has waited for an approval and got it.
#[derive(Debug, Clone)]
pub struct Approved {
    /// The command as it was asked for.
    pub command: Envelope,
    /// The approval's id.
    pub approval: String,
}

impl Approved {
    /// The header extension that names the approval under which a command was let in.
    pub const HEADER: &'static str = "approval";

    /// The code of the refusal that says that a command waits for its approval.
    pub const WAITS: &'static str = "KER-0032";

    /// The refusal of a command that now waits; `approval` goes into its details.
    pub fn waits(action: &str, approval: &str) -> Refusal {
        let message = format!(
            "`{action}` waits for approval `{approval}`: once it is granted the command is sent by itself; \
             repeat with the same request id to learn what came of it"
        );
        let refusal = Refusal::new(Self::WAITS, ErrorKind::FailedPrecondition, message);
        Refusal { details: BTreeMap::from([(Self::HEADER.to_owned(), approval.to_owned())]), ..refusal }
    }

    /// The command as it is sent: admitted by the approval, with a key so that it is done once, and
    /// without the deadline of a sender who has gone.
    pub fn admitted(self) -> Envelope {
        let Self { mut command, approval } = self;
        let headers = &mut command.headers;
        headers.deadline = None;
        headers.admitted_by = format!("approval:{approval}");
        if headers.idempotency_key.is_none() {
            headers.idempotency_key = Some(IdempotencyKey::of(&command.event_id, "approved", headers.subject.as_str()));
        }
        headers.extensions.insert(Self::HEADER.to_owned(), approval);
        command
    }
}

/// No approvals: what needs one is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoApprovals;

impl Approvals for NoApprovals {
    fn ask<'a>(
        &'a self,
        _scope: &'a TenantScope,
        command: Envelope,
        policy: String,
    ) -> BoxFuture<'a, Result<Approved, Refusal>> {
        let refusal = Refusal::new(
            Approved::WAITS,
            ErrorKind::FailedPrecondition,
            format!("`{}` needs an approval (policy `{policy}`), and nobody can be asked here", command.event_type),
        );
        Box::pin(async move { Err(refusal) })
    }
}

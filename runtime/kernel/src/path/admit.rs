//! Step 2, admit: may it come in?
//!
//! Quota first (cheap), then the policy. An allow rides in the headers and is recorded in the same
//! append as the events that it let in; a denial is answered and counted for the audit; what needs an
//! approval waits behind a port.

use tracing::Instrument;

use super::{Caller, Mesh, span::step};
use crate::{
    envelope::{Address, Envelope, ErrorKind, Refusal},
    ports::{Decision, Request},
    tenant::StreamPermit,
};

/// What quota and policy say of something that is not denied: the policy that said it.
pub(super) enum Entry {
    Free(String),
    Held(String),
}

impl Mesh {
    /// Step 2: asks quota and policy. The command then says by which policy it came in.
    ///
    /// # Errors
    /// `NotFound` for another tenant's address, `ResourceExhausted` over the quota,
    /// `PermissionDenied` from the policy, `FailedPrecondition` while it waits for an approval.
    pub(super) async fn admit(&self, caller: &Caller, command: &mut Envelope) -> Result<(), Refusal> {
        let span = step!("admit", self.0.services, &command.trace_id, command.headers.subject);
        let entry = span.in_scope(|| self.enter(caller, &command.event_type, Some(&command.headers.subject)))?;
        match entry {
            Entry::Free(policy) => {
                command.headers.admitted_by = policy;
            }
            Entry::Held(policy) => {
                let asked = self.0.approvals.ask(caller.scope(), command.clone(), policy).instrument(span);
                *command = asked.await?.admitted();
            }
        }
        Ok(())
    }

    /// One request of a caller's quota for all that answering it asks of the mesh: what comes back is not
    /// counted again. (A request that is counted at each of its questions is taken and then refused halfway.)
    ///
    /// # Errors
    /// `ResourceExhausted` over the quota.
    pub fn charge(&self, caller: &Caller) -> Result<Caller, Refusal> {
        if caller.external {
            self.0.quotas.take(caller.tenant())?;
        }
        let mut charged = caller.clone();
        charged.external = false;
        Ok(charged)
    }

    /// Step 2 for what reads no single entity: lists, and what only checks its input.
    ///
    /// # Errors
    /// `ResourceExhausted` over the quota, `PermissionDenied` from the policy.
    pub fn admit_read(&self, caller: &Caller, action: &str) -> Result<(), Refusal> {
        self.admit_query(caller, action, None)
    }

    /// Whether the policy would let the caller do this, at once or after an approval: for lists of what can be done.
    /// It takes nothing of the quota, and a no is no denial that anybody is told of.
    pub fn may(&self, caller: &Caller, action: &str) -> bool {
        let request = Request { scope: caller.scope(), principal: caller.principal(), action, resource: None };
        !matches!(self.0.policy.decide(&request), Decision::Deny { .. })
    }

    /// Step 2 for a stream, which is open until the permit is dropped.
    ///
    /// # Errors
    /// As [`Mesh::admit_read`]; `ResourceExhausted` when the tenant has as many open as it may.
    pub fn admit_stream(&self, caller: &Caller, action: &str) -> Result<StreamPermit, Refusal> {
        self.admit_read(caller, action)?;
        self.0.quotas.stream(caller.tenant())
    }

    /// Step 2 for a query: it cannot wait for an approval.
    pub(super) fn admit_query(&self, caller: &Caller, action: &str, of: Option<&Address>) -> Result<(), Refusal> {
        let Entry::Held(policy) = self.enter(caller, action, of)? else { return Ok(()) };
        let message = format!("`{action}` needs an approval (policy `{policy}`), and a read cannot wait for one");
        Err(Refusal::new("KER-0033", ErrorKind::FailedPrecondition, message))
    }

    pub(super) fn enter(&self, caller: &Caller, action: &str, resource: Option<&Address>) -> Result<Entry, Refusal> {
        if let Some(foreign) = resource.filter(|resource| !caller.scope().covers(resource.tenant())) {
            return Err(not_found(foreign));
        }
        if caller.external {
            self.0.quotas.take(caller.tenant())?;
        }
        let request = Request { scope: caller.scope(), principal: caller.principal(), action, resource };
        match self.0.policy.decide(&request) {
            Decision::Allow { policy } => Ok(Entry::Free(policy)),
            Decision::RequiresApproval { policy } => Ok(Entry::Held(policy)),
            Decision::Deny { reason } => {
                self.0.denials.add(&request, &reason, self.now());
                Err(Refusal::new("KER-0031", ErrorKind::PermissionDenied, reason))
            }
        }
    }
}

/// The same answer for what does not exist and for what is another tenant's.
pub(super) fn not_found(resource: &Address) -> Refusal {
    Refusal::new("KER-0030", ErrorKind::NotFound, format!("there is no {} `{}`", resource.kind(), resource.id()))
}

//! Step 2, admit: may it come in?
//!
//! Quota first (cheap), then the policy. An allow rides in the headers and is recorded in the same
//! append as the events that it let in; a denial is answered and counted.

use super::{Caller, Mesh, span::step};
use crate::{
    envelope::{Address, ErrorKind, Refusal, TraceId},
    ports::{Decision, Request},
};

impl Mesh {
    /// Step 2: asks quota and policy. Answers the name of the policy that allowed it.
    ///
    /// # Errors
    /// `NotFound` for another tenant's address, `ResourceExhausted` over the quota,
    /// `PermissionDenied` from the policy, `FailedPrecondition` when an approval is needed first.
    pub(super) fn admit(
        &self,
        caller: &Caller,
        action: &str,
        resource: &Address,
        trace: Option<&TraceId>,
    ) -> Result<String, Refusal> {
        let _span = trace.map(|trace| step!("admit", self.0.services, trace, resource).entered());
        if !caller.scope().covers(resource.tenant()) {
            return Err(not_found(resource));
        }
        if caller.external {
            self.0.quotas.take(caller.tenant())?;
        }
        let request = Request { scope: caller.scope(), principal: caller.principal(), action, resource };
        match self.0.policy.decide(&request) {
            Decision::Allow { policy } => Ok(policy),
            Decision::Deny { reason } => {
                tracing::info!(target: "mesh::audit", tenant = %resource.tenant(), principal = caller.principal().name,
                    action, %resource, reason, "denied");
                Err(Refusal::new("KER-0031", ErrorKind::PermissionDenied, reason))
            }
            Decision::RequiresApproval { policy } => Err(Refusal::new(
                "KER-0032",
                ErrorKind::FailedPrecondition,
                format!("`{action}` needs an approval first (policy `{policy}`): ask for one, then repeat"),
            )),
        }
    }
}

/// The same answer for what does not exist and for what is another tenant's.
pub(super) fn not_found(resource: &Address) -> Refusal {
    Refusal::new("KER-0030", ErrorKind::NotFound, format!("there is no {} `{}`", resource.kind(), resource.id()))
}

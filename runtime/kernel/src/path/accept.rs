//! Step 1, accept: who is it from?
//!
//! Tenant and principal come from the credential and never from the body. Our `traceId` is minted
//! here, once; a caller's `traceparent` is linked and never becomes ours.

use super::{Command, Mesh, span::step};
use crate::{
    envelope::{
        Address, CorrelationId, Envelope, ErrorKind, EventId, Headers, IdempotencyKey, Payload, Principal, Refusal,
        Role, TenantId, TenantScope,
    },
    ports::Credential,
};

/// Someone who was authenticated, and the one tenant whose data they may touch.
#[derive(Debug, Clone)]
pub struct Caller {
    scope: TenantScope,
    principal: Principal,
    traceparent: Option<String>,
    /// From outside, and not counted against the tenant's quota yet.
    pub(super) external: bool,
}

impl Caller {
    /// Someone who acts from within the node: not counted against the quota.
    pub(crate) fn inside(scope: TenantScope, principal: Principal) -> Self {
        Self { scope, principal, traceparent: None, external: false }
    }

    /// The right to the tenant's data.
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }

    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The tenant that the credential belongs to.
    pub fn tenant(&self) -> &TenantId {
        self.scope.tenant()
    }

    /// The same caller in another tenant: for operators alone.
    ///
    /// # Errors
    /// `NotFound` for everybody else, whether the tenant exists or not.
    pub fn acting_for(&self, tenant: TenantId) -> Result<Self, Refusal> {
        if self.scope.covers(&tenant) {
            return Ok(self.clone());
        }
        if !self.principal.has(Role::Operator) && !self.principal.has(Role::System) {
            return Err(Refusal::new(
                "KER-0020",
                ErrorKind::NotFound,
                format!("there is no tenant `{tenant}` for you"),
            ));
        }
        Ok(Self { scope: TenantScope::proven(tenant), ..self.clone() })
    }
}

impl Mesh {
    /// Step 1: turns a credential into a caller.
    ///
    /// # Errors
    /// `Unauthenticated`, without saying which part was wrong.
    pub fn accept(&self, credential: &Credential, traceparent: Option<&str>) -> Result<Caller, Refusal> {
        let identity = self.0.authenticator.authenticate(credential)?;
        Ok(Caller {
            scope: TenantScope::proven(identity.tenant),
            principal: identity.principal,
            traceparent: traceparent.map(str::to_owned),
            external: true,
        })
    }

    /// A part of the node, acting because of `cause` and on behalf of whoever caused that.
    pub fn on_behalf(&self, part: &str, scope: &TenantScope, cause: &Envelope) -> Caller {
        let traceparent = cause.headers.traceparent.clone();
        Caller { traceparent, ..Caller::inside(scope.clone(), on_behalf(part, cause)) }
    }

    /// The envelope of a caller's command; the root of its trace unless the command says otherwise.
    pub(super) fn accepted(&self, caller: &Caller, command: &Command) -> Envelope {
        let at = self.0.services.clock.now();
        let event_id = self.0.ids.event_id(at);
        let trace_id = command.trace.clone().unwrap_or_else(|| self.0.ids.trace_id(at));
        let _span = step!("accept", self.0.services, &trace_id, command.to).entered();
        let mut headers = Headers::new(command.to.clone(), caller.principal.clone());
        headers.schema_version = command.payload.schema_version;
        headers.traceparent.clone_from(&caller.traceparent);
        headers.idempotency_key.clone_from(&command.key);
        let request = command.request.map(|digest| (Headers::REQUEST.to_owned(), digest.short()));
        headers.extensions.extend(request);
        headers.expected_version = command.expected_version;
        headers.deadline = Some(at.plus(command.timeout.unwrap_or(self.0.services.settings.timeout)));
        Envelope {
            event_type: command.payload.name.clone(),
            tenant_id: caller.tenant().clone(),
            project_id: command.project.clone(),
            module_id: None,
            trace_id,
            correlation_id: command.correlation.clone().unwrap_or_else(|| CorrelationId::from(&event_id)),
            causation_id: command.causation.clone().unwrap_or_else(|| event_id.clone()),
            event_id,
            occurred_at: at,
            payload: command.payload.bytes.clone(),
            headers,
        }
    }

    /// The envelope of a command that `cause` made a part of the node send.
    pub(super) fn caused(
        &self,
        part: &str,
        cause: &Envelope,
        to: Address,
        command: Payload,
        key: IdempotencyKey,
    ) -> Envelope {
        let at = self.0.services.clock.now();
        let mut headers = Headers::new(to, on_behalf(part, cause));
        headers.schema_version = command.schema_version;
        headers.actor = Some(cause.headers.subject.clone());
        headers.classification = cause.headers.classification;
        headers.taint.clone_from(&cause.headers.taint);
        headers.traceparent.clone_from(&cause.headers.traceparent);
        headers.idempotency_key = Some(key);
        headers.deadline = Some(at.plus(self.0.services.settings.timeout));
        Envelope {
            event_id: self.0.ids.event_id(at),
            event_type: command.name,
            tenant_id: cause.tenant_id.clone(),
            project_id: cause.project_id.clone(),
            module_id: cause.module_id.clone(),
            trace_id: cause.trace_id.clone(),
            correlation_id: cause.correlation_id.clone(),
            causation_id: cause.event_id.clone(),
            occurred_at: at,
            payload: command.bytes,
            headers,
        }
    }

    /// A fresh event id, for whoever needs one outside an entity.
    pub fn fresh_id(&self) -> EventId {
        self.0.ids.event_id(self.0.services.clock.now())
    }
}

/// The node's part, with the roles of whoever caused it, on their behalf.
fn on_behalf(part: &str, cause: &Envelope) -> Principal {
    let caused_by = &cause.headers.principal;
    let mut roles = caused_by.roles.clone();
    if !roles.contains(&Role::System) {
        roles.push(Role::System);
    }
    Principal { name: format!("system:{part}"), roles, on_behalf_of: Some(caused_by.answerable().to_owned()) }
}

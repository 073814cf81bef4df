//! Denials become one event for each tenant, every now and then: a flood of them costs no flushes.
//!
//! What was counted since the last batch is lost when the process is killed; it is not when it stops.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::{
    envelope::{Address, Payload, Principal, TenantId, TenantScope},
    path::{Caller, Command, Mesh},
    tenant::Denials,
};

/// How many tenants' batches are recorded at once.
const TENANTS_AT_ONCE: usize = 16;

/// Where denials are recorded.
pub trait DenialAudit: Send + Sync + 'static {
    /// The entity of this tenant that keeps them, and the command that tells it; none keeps nothing.
    fn record(&self, tenant: &TenantId, denials: Denials) -> Option<(Address, Payload)>;
}

/// Records what callers were denied, every `every`, until `stop` fires. What was counted since then is
/// for [`record_denials`]: the place where this runs may be stopping, and nobody is woken there any more.
pub async fn run_denials(mesh: &Mesh, audit: Arc<dyn DenialAudit>, every: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => record_denials(mesh, audit.as_ref()).await,
        }
    }
}

/// Records what callers were denied since the last time: one event for each tenant.
pub async fn record_denials(mesh: &Mesh, audit: &dyn DenialAudit) {
    let batches = stream::iter(mesh.0.denials.take());
    batches.for_each_concurrent(TENANTS_AT_ONCE, |(tenant, denials)| keep(mesh, audit, tenant, denials)).await;
}

async fn keep(mesh: &Mesh, audit: &dyn DenialAudit, tenant: TenantId, denials: Denials) {
    let Some((to, payload)) = audit.record(&tenant, denials) else { return };
    let node = Caller::inside(TenantScope::proven(tenant), Principal::system("audit"));
    let command = Command { what: None, ..Command::new(to, payload) };
    if let Err(refusal) = mesh.send(&node, command).await {
        tracing::warn!(tenant = %node.tenant(), %refusal, "a batch of denials was not recorded: the log has them");
    }
}

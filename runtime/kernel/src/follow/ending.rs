//! The end of a tenant in memory.

use std::time::Duration;

use crate::{envelope::TenantScope, path::Mesh};

/// Ends what a tenant still has in memory: effects under way, timers, entities that are awake. True
/// when its effects have ended within `at_most`.
///
/// To be called when its journal is erased: nothing is recorded of it any more, and whoever of it
/// wakes again finds nothing to ask for.
pub async fn end_tenant(mesh: &Mesh, scope: &TenantScope, at_most: Duration) -> bool {
    let tenant = scope.tenant();
    mesh.directory().kill_all(tenant);
    mesh.timers().forget(tenant);
    let ended = mesh.workers().end_tenant(tenant, at_most).await;
    // Whoever lived on until its effect had ended may have asked for something more.
    mesh.directory().kill_all(tenant);
    mesh.timers().forget(tenant);
    ended
}

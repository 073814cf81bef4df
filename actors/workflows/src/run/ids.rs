//! Ids that follow from what they are for, so that the same decision names the same things.

use mesh_kernel::envelope::{Address, TenantId, hex};
use sha2::{Digest as _, Sha256};

/// The id of the run of a request: the same tenant and request id give the same run.
pub fn run_id(tenant: &TenantId, request_id: &str) -> String {
    format!("run-{}", short(&[tenant.as_str(), request_id]))
}

/// The id of the run that a step asks for.
pub(super) fn child(run: &Address, step: &str, item: Option<u32>, attempt: u32) -> String {
    let item = item.map(|item| item.to_string()).unwrap_or_default();
    format!("run-{}", short(&[run.as_str(), step, &item, &attempt.to_string()]))
}

/// The id of the task that a step gives to an agent.
pub(super) fn task(run: &Address, step: &str, attempt: u32) -> String {
    format!("task-{}", short(&[run.as_str(), step, &attempt.to_string()]))
}

/// The id of the approval that a step asks for.
pub(super) fn approval(run: &Address, step: &str, attempt: u32) -> String {
    format!("appr-{}", short(&[run.as_str(), step, &attempt.to_string()]))
}

/// 26 hexadecimal digits of a digest: 104 bits.
fn short(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hash.update(b":");
        }
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize().iter().take(13))
}

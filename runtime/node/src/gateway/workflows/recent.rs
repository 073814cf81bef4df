//! Definitions that were submitted lately, ready to be given to a run.

use std::{collections::HashMap, sync::Arc};

use mesh_kernel::{envelope::Address, ports::Digest};
use mesh_workflows::run::WorkflowJson;
use parking_lot::Mutex;

/// Definitions that are kept; all are forgotten when there are more.
const KEPT_MAX: usize = 256;

/// Larger ones are looked up each time. **Units**: bytes of JSON.
const BYTES_MAX: usize = 64 * 1024;

/// One version of a definition as a run takes it.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Submittable {
    pub(in crate::gateway) version: u32,
    pub(in crate::gateway) digest: Digest,
    pub(in crate::gateway) workflow: WorkflowJson,
}

/// By the address, which names the tenant, and by the version that was asked for: where the definition stood,
/// and what was found there.
type Kept = HashMap<(Address, u32), (u64, Submittable)>;

/// Definitions that were submitted lately.
///
/// INVARIANT: what is found was read when the definition stood where it stands now.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<Kept>>);

impl Recent {
    /// What was kept for this version (0 is the latest) of a definition whose entity stands at `stands`.
    pub(super) fn get(&self, address: &Address, version: u32, stands: u64) -> Option<Submittable> {
        let kept = self.0.lock();
        let (stood, submittable) = kept.get(&(address.clone(), version))?;
        (*stood == stands).then(|| submittable.clone())
    }

    pub(super) fn keep(&self, address: Address, version: u32, stands: u64, submittable: &Submittable) {
        if submittable.workflow.text().len() > BYTES_MAX {
            return;
        }
        let mut kept = self.0.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert((address, version), (stands, submittable.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submittable(size: usize) -> Submittable {
        let definition = serde_json::json!({ "name": "x".repeat(size) });
        Submittable { version: 1, digest: Digest::of(b"it"), workflow: (&definition).into() }
    }

    #[test]
    fn what_has_moved_or_is_another_tenants_is_not_found() {
        let recent = Recent::default();
        let [a, b]: [Address; 2] =
            ["a/control-plane/definition/d", "b/control-plane/definition/d"].map(|text| text.parse().unwrap());
        recent.keep(a.clone(), 0, 3, &submittable(5));
        assert!(recent.get(&a, 0, 3).is_some());
        assert!(recent.get(&a, 0, 4).is_none(), "it was published again, or its tenant was deleted");
        assert!(recent.get(&a, 1, 3).is_none());
        assert!(recent.get(&b, 0, 3).is_none(), "another tenant's definition");
    }

    #[test]
    fn no_more_than_so_many_are_kept_and_none_that_are_large() {
        let recent = Recent::default();
        for n in 0..=KEPT_MAX {
            recent.keep(format!("a/p/k/{n}").parse().unwrap(), 0, 1, &submittable(5));
        }
        assert!(recent.0.lock().len() <= KEPT_MAX);
        let large: Address = "a/p/k/large".parse().unwrap();
        recent.keep(large.clone(), 0, 1, &submittable(BYTES_MAX));
        assert!(recent.get(&large, 0, 1).is_none());
    }
}

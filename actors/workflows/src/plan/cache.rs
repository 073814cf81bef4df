//! Plans by their definition's digest, so that a thousand runs compile one definition once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use mesh_kernel::ports::Digest;

use super::{Fault, Plan, compile};
use crate::{
    form::{digest, from_json},
    submission::WorkflowJson,
};

/// Most plans that are kept.
const PLANS_MAX: usize = 256;

/// A bounded cache of plans. Shared by clones.
#[derive(Debug, Clone, Default)]
pub struct Plans(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    plans: HashMap<Digest, (Arc<Plan>, u64)>,
    /// Counts uses; the plan that was used longest ago goes first.
    clock: u64,
}

impl Plans {
    /// The plan of the definition with this digest, compiled from its JSON when it is not kept.
    ///
    /// # Errors
    /// What is wrong with the definition, or that the digest is not its own.
    pub fn get(&self, of: Digest, json: &WorkflowJson) -> Result<Arc<Plan>, Vec<Fault>> {
        if let Some(plan) = self.kept(of) {
            return Ok(plan);
        }
        let definition = from_json(&json.value()).map_err(|mistakes| {
            mistakes.into_iter().map(|mistake| Fault::new("", mistake.to_string())).collect::<Vec<_>>()
        })?;
        if digest(&definition) != of {
            let message = format!("the digest `{of}` is not the one of the definition that came with it");
            return Err(vec![Fault::new("", message)]);
        }
        let plan = Arc::new(compile(&definition)?);
        self.keep(of, plan.clone());
        Ok(plan)
    }

    fn kept(&self, of: Digest) -> Option<Arc<Plan>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let clock = kept.clock;
        let (plan, used) = kept.plans.get_mut(&of)?;
        *used = clock;
        Some(plan.clone())
    }

    fn keep(&self, of: Digest, plan: Arc<Plan>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = kept.clock;
        if kept.plans.len() >= PLANS_MAX
            && let Some(oldest) = kept.plans.iter().min_by_key(|(_, (_, used))| *used).map(|(of, _)| *of)
        {
            kept.plans.remove(&oldest);
        }
        kept.plans.insert(of, (plan, clock));
    }
}

//! Steps that need nobody: pure skills that answer at once are computed within the decision.
//!
//! Such an outcome needs no flush of its own. Nobody has seen it before the append that it stands in, and
//! who computes it again after a crash comes to the same.
//!
//! One decision computes only so many, for others of the entity's thread wait meanwhile. The next one is
//! asked for as any other, and with its answer as many again are computed.

use std::sync::Arc;

use serde_json::Value;

use super::{Deciding, value_weight};
use crate::{
    expression::is_reference,
    plan::{Act, Body, PlanStep, StepIndex},
};

/// Larger inputs and outputs are a performer's business, who keeps them by reference. **Units**: bytes of
/// JSON, roughly.
const BYTES_MAX: usize = 8 * 1024;

impl Deciding<'_> {
    /// Ends the attempt that was just asked for, when its skill is one that can be computed here.
    pub(super) fn compute(&mut self, step: &PlanStep, at: StepIndex, item: Option<u32>, input: &Value) {
        let skill = match &step.act {
            Act::Skill(skill) => skill,
            Act::ForEach(each) => match &each.body {
                Body::Skill(skill) => skill,
                Body::Workflow(_) => return,
            },
            _ => return,
        };
        if self.computed >= self.computes.at_most || !fits(input) {
            return;
        }
        let Some(result) = self.computes.skills.compute(skill, input) else { return };
        self.computed += 1;
        match result {
            Ok(output) if fits(&output) => self.succeed_step(at, item, Some(Arc::new(output)), None),
            // It is pure: the performer that is asked for it comes to the same, and stores it.
            Ok(_) => {}
            Err(failure) => self.attempt_failed(at, item, failure, None),
        }
    }
}

/// Whether a value is small and whole.
fn fits(value: &Value) -> bool {
    value_weight(value) <= BYTES_MAX && !refers(value)
}

fn refers(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(refers),
        Value::Object(fields) => is_reference(value) || fields.values().any(refers),
        _ => false,
    }
}

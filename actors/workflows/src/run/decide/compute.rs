//! Steps that need nobody: pure skills that answer at once are computed within the decision.
//!
//! Such an outcome needs no flush of its own. Nobody has seen it before the append that it stands in, and
//! who computes it again after a crash comes to the same.
//!
//! One decision computes only so many, for others of the entity's thread wait meanwhile. The next one is
//! asked for as any other, and with its answer as many again are computed.

use mesh_skills::contract::Failure;
use serde_json::Value;

use super::{Deciding, value_weight};
use crate::{
    expression::is_reference,
    plan::{Act, Body, ForEachPlan, PlanStep},
};

/// Larger inputs and outputs are a performer's business, who keeps them by reference. **Units**: bytes of
/// JSON, roughly.
const BYTES_MAX: usize = 8 * 1024;

impl Deciding<'_> {
    /// What the step's skill gives for this input; `None` when it must be asked for.
    pub(super) fn compute(&mut self, step: &PlanStep, input: &Value) -> Option<Result<Value, Failure>> {
        let skill = match &step.act {
            Act::Skill(skill) => skill,
            Act::ForEach(ForEachPlan { body: Body::Skill(skill), .. }) => skill,
            _ => return None,
        };
        if self.computed >= self.computes.at_most || !fits(input) {
            return None;
        }
        let result = self.computes.skills.compute(skill, input)?;
        self.computed += 1;
        // What is too large is computed once more, by the performer that then keeps it.
        if result.as_ref().is_ok_and(|output| !fits(output)) { None } else { Some(result) }
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

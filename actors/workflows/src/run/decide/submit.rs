//! A run begins.

use mesh_kernel::entity::Cause;
use serde_json::{Map, Value};

use super::{
    super::{error::Error, evolve, messages::Event, state::Run},
    Deciding, INLINE_MAX, Known, invalid, value_weight,
};
use crate::{
    limit,
    plan::{Fault, Plan},
    submission::SubmitRun,
};

/// Runs within runs.
const DEPTH_MAX: u32 = 16;

/// Places of a large input that are told.
const FAULTS_MAX: usize = 50;

/// **Units**: characters of what is told of one place.
const FAULT_LEN_MAX: usize = 500;

/// Decides `SubmitRun`: the first time it begins, the second time it is the same run.
pub(super) fn submit(known: &Known, run: &Run, mut submit: SubmitRun, cause: &Cause) -> Result<Vec<Event>, Error> {
    if submit.input.is_null() {
        submit.input = Value::Object(Map::new());
    }
    if let Some(head) = &run.head {
        return match head.body == evolve::body(&submit) {
            true => Ok(Vec::new()),
            false => Err(Error::OtherBody { run: cause.address.id().to_owned() }),
        };
    }
    let plan = known.plans.get(submit.definition.digest, &submit.workflow);
    let plan = plan.map_err(|faults| Error::Definition { faults })?;
    check_input(&plan, &submit.input)?;
    if let Some(parent) = &submit.parent
        && parent.depth > DEPTH_MAX
    {
        return Err(Error::TooDeep { depth: parent.depth, max: DEPTH_MAX });
    }
    let mut deciding = Deciding::new(Run::default(), plan, cause, &known.computes);
    submit.submitted_by = Some(deciding.by());
    deciding.emit(Event::RunSubmitted(Box::new(submit)));
    match &run.cancel {
        Some(told) => deciding.cancel_run(told.reason.clone()),
        None => deciding.take_turn(),
    }
    Ok(deciding.events)
}

/// Checks a whole input against a definition's schema, whatever its size: no part of it may be kept by
/// reference.
///
/// # Errors
/// Every place that does not fit.
pub fn check_whole(plan: &Plan, input: &Value) -> Result<(), Error> {
    let Some(schema) = &plan.input_schema else { return Ok(()) };
    let fault = |error: jsonschema::ValidationError<'_>| Fault::new(error.instance_path().to_string(), brief(&error));
    let faults: Vec<Fault> = schema.iter_errors(input).take(FAULTS_MAX).map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Input { faults }) }
}

/// What is wrong, without the megabytes that it is wrong about.
fn brief(error: &jsonschema::ValidationError<'_>) -> String {
    let text = error.masked_with("the value").to_string();
    text.chars().take(FAULT_LEN_MAX).collect()
}

/// Checks an input against a definition's schema. What is kept by reference is not looked into.
///
/// # Errors
/// Every place that does not fit.
pub fn check_input(plan: &Plan, input: &Value) -> Result<(), Error> {
    let bytes = value_weight(input);
    if bytes > INLINE_MAX {
        return Err(Error::TooLarge { what: "the input", bytes, max: INLINE_MAX });
    }
    let Some(schema) = &plan.input_schema else { return Ok(()) };
    let faults = misfits(schema, input);
    if faults.is_empty() { Ok(()) } else { Err(Error::Input { faults }) }
}

/// Where a value does not fit a schema.
pub(super) fn misfits(schema: &jsonschema::Validator, value: &Value) -> Vec<Fault> {
    schema
        .iter_errors(value)
        .filter(|error| !crate::expression::is_reference(error.instance()))
        .map(|error| Fault::new(error.instance_path().to_string(), error.to_string()))
        .collect()
}

impl Deciding<'_> {
    /// Begins, or waits for a turn when the definition has a limit.
    pub(super) fn take_turn(&mut self) {
        let plan = self.plan.clone();
        let Some(concurrency) = &plan.concurrency else {
            self.emit(Event::RunStarted {});
            self.settle();
            return;
        };
        match self.evaluate(None, None, |scope| concurrency.key.render(scope)) {
            Ok(key) => {
                let limit = limit::name(&plan.name, &key);
                self.emit(Event::SlotRequested { limit, max: concurrency.limit });
            }
            Err(error) => {
                self.emit(Event::RunStarted {});
                self.fail_run(invalid("run.concurrency", error.to_string()).into(), None);
            }
        }
    }

    /// A slot is free.
    pub(super) fn grant_slot(&mut self, limit: &str) {
        use super::super::state::Slot;
        // Anything else is a grant that came too late; the end of the run gives it back.
        if matches!(&self.run.slot, Slot::Requested { limit: asked, .. } if asked == limit)
            && !self.run.status.is_final()
        {
            self.emit(Event::RunStarted {});
            self.settle();
        }
    }
}

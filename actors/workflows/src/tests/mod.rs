//! Scenarios and properties of whole runs; tables of single parts stand at the foot of their files.

mod computed;
mod control;
mod definitions;
mod large;
mod others;
mod properties;
mod sagas;
mod steps;
mod waits;

use mesh_kernel::{entity::EffectRequest, envelope::Timestamp};
use mesh_skills::contract::{Failure, FailureClass};
use serde_json::{Value, json};

use crate::{
    definition::{Definition, Known, parse},
    run::{Event, Status},
    testing::{Answer, Simulation},
};

/// A definition that has no mistakes.
fn definition(source: &str) -> Definition {
    parse(source, Some("test.yaml"), &Known::default())
        .unwrap_or_else(|mistakes| panic!("{}", mistakes.iter().map(|m| format!("{m}\n")).collect::<String>()))
}

/// A run of it that was submitted with this input.
fn submitted(source: &str, input: Value) -> Simulation {
    let mut simulation = Simulation::new("run-1").unwrap();
    simulation.submit(&definition(source), input).unwrap();
    simulation
}

/// The effect of this step, which must be wanted.
fn effect(simulation: &Simulation, step: &str) -> EffectRequest {
    let wants = simulation.wants();
    let found = wants.effects.iter().find(|effect| Simulation::call(effect).unwrap().step == step);
    found.cloned().unwrap_or_else(|| panic!("`{step}` is not asked for: {:?}", keys(simulation)))
}

fn keys(simulation: &Simulation) -> Vec<String> {
    simulation.wants().effects.iter().map(|effect| effect.key.to_string()).collect()
}

fn ok(simulation: &mut Simulation, step: &str, output: Value) {
    let request = effect(simulation, step);
    simulation.answer(&request, Answer::Output(output)).unwrap();
}

fn fail(simulation: &mut Simulation, step: &str, class: FailureClass) {
    let request = effect(simulation, step);
    let failure = Failure::new(class, "test.failed", "it failed");
    simulation.answer(&request, Answer::Failure(failure)).unwrap();
}

fn state(simulation: &Simulation, step: &str) -> String {
    let plan = simulation.run.plan.get().unwrap();
    simulation.run.work(plan.find(step).unwrap(), None).unwrap().status.as_str().to_owned()
}

/// The instant of the only timer whose name begins so.
fn timer(simulation: &Simulation, prefix: &str) -> mesh_kernel::entity::TimerRequest {
    let timers = simulation.wants().timers;
    let found = timers.iter().find(|timer| timer.name.starts_with(prefix));
    found.cloned().unwrap_or_else(|| panic!("no timer `{prefix}`: {timers:?}"))
}

fn fire(simulation: &mut Simulation, prefix: &str) -> Timestamp {
    let timer = timer(simulation, prefix);
    let due = timer.due;
    simulation.fire(timer).unwrap();
    due
}

fn names(simulation: &Simulation) -> Vec<String> {
    simulation.events.iter().map(|(_, event)| name(event)).collect()
}

fn name(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap();
    match &value {
        Value::Object(fields) => fields.keys().next().unwrap().clone(),
        other => other.as_str().unwrap().to_owned(),
    }
}

/// What must hold of every run at every moment.
fn check_invariants(simulation: &Simulation) {
    let run = &simulation.run;
    let replayed = simulation.replayed();
    assert_eq!(serde_json::to_value(run).unwrap(), serde_json::to_value(&replayed).unwrap(), "replay equals live");
    let wants = simulation.wants();
    let mut other = Simulation::new("run-1").unwrap();
    other.run = serde_json::from_value(serde_json::to_value(run).unwrap()).unwrap();
    assert_eq!(other.wants(), wants, "a snapshot wants what the live state wants");
    assert!(run.is_awaited(), "nobody will wake {:?}", run.status);
    if run.status.is_final() {
        assert_eq!(wants, Default::default(), "an ended run wants nothing");
    }
    let named = !wants.effects.is_empty()
        || !wants.timers.is_empty()
        || run.paused.is_some()
        || !simulation.waits().is_empty()
        || run.slot.limit().is_some();
    assert!(run.status.is_final() || run.status == Status::Absent || named, "nothing named moves it");
}

/// Values that scenarios use.
fn empty() -> Value {
    json!({})
}

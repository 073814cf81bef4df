//! Pure steps that a run computes within a decision.

use std::sync::Arc;

use mesh_kernel::BoxFuture;
use mesh_skills::contract::{Call, Effect, Manifest, Permission, Registry, Skill};

use super::*;
use crate::run::Wait;

/// Adds one, and is asked nicely or not.
struct Adds(Manifest);

impl Skill for Adds {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn call<'a>(&'a self, _: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async { unreachable!("a simulation calls nobody") })
    }

    fn compute(&self, input: &Value) -> Option<Result<Value, Failure>> {
        Some(match &input["to"] {
            Value::Number(number) => Ok(json!({ "sum": number.as_i64().unwrap_or_default() + 1 })),
            Value::String(text) if text == "huge" => Ok(json!({ "sum": "x".repeat(100_000) })),
            Value::String(text) if text == "panic" => panic!("it does not add"),
            Value::String(text) if text == "broken" => Ok(json!("no sum")),
            _ => Err(Failure::validation("adds.number", "a number is expected")),
        })
    }
}

fn adds(name: &str) -> Manifest {
    Manifest::new(name, "Adds one.")
        .at_once()
        .takes(json!({ "type": "object", "required": ["to"] }))
        .gives(json!({ "type": "object", "required": ["sum"] }))
}

fn skills() -> Registry {
    let manifests = [
        adds("one.add"),
        adds("one.write").effect(Effect::Idempotent),
        adds("one.read").needs(&[Permission::Files]),
        Manifest { is_instant: false, ..adds("one.wait") },
    ];
    Registry::new(manifests.map(|manifest| Arc::new(Adds(manifest)) as Arc<dyn Skill>)).unwrap()
}

fn computed(source: &str, input: Value, at_most: usize) -> Simulation {
    let mut simulation = Simulation::new("run-1").unwrap().computing(skills(), at_most);
    simulation.submit(&definition(source), input).unwrap();
    simulation
}

fn chain(steps: usize) -> String {
    let mut source = "name: chain\nsteps:\n  - { id: s1, skill: one.add, with: { to: '${ input.to }' } }\n".to_owned();
    for step in 2..=steps {
        let before = step - 1;
        source.push_str(&format!(
            "  - {{ id: s{step}, needs: s{before}, skill: one.add, with: {{ to: '${{ steps.s{before}.output.sum }}' }} }}\n"
        ));
    }
    source.push_str(&format!("outputs: {{ sum: '${{ steps.s{steps}.output.sum }}' }}\n"));
    source
}

/// One step of this skill with this input.
fn single(skill: &str, to: &str) -> String {
    format!("name: single\nsteps: [{{ id: s1, skill: {skill}, with: {{ to: {to} }} }}]\n")
}

#[test]
fn a_chain_of_pure_steps_ends_in_the_append_that_submitted_it_as_if_each_had_been_performed() {
    let run = computed(&chain(10), json!({ "to": 5 }), 64);
    assert_eq!(run.run.status, Status::Succeeded);
    assert_eq!(run.run.outputs.as_deref(), Some(&json!({ "sum": 15 })));
    let mut performed = submitted(&chain(10), json!({ "to": 5 }));
    for step in 1..=10 {
        ok(&mut performed, &format!("s{step}"), json!({ "sum": 5 + step }));
    }
    let performed_names = names(&performed).join(" ").replace("StepRequested StepSucceeded", "StepComputed");
    assert_eq!(names(&run).join(" "), performed_names);
    assert_eq!(run.view("")["steps"], performed.view("")["steps"]);
    assert_eq!(serde_json::to_value(run.replayed()).unwrap(), serde_json::to_value(&run.run).unwrap());
}

#[test]
fn one_decision_computes_so_many_and_the_answer_to_the_next_as_many_again() {
    let mut run = computed(&chain(8), json!({ "to": 0 }), 3);
    assert_eq!(keys(&run), ["run-1.s4.1"], "three are computed, the fourth is asked for");
    ok(&mut run, "s4", json!({ "sum": 4 }));
    assert_eq!(keys(&run), ["run-1.s8.1"]);
    ok(&mut run, "s8", json!({ "sum": 8 }));
    assert_eq!(run.run.outputs.as_deref(), Some(&json!({ "sum": 8 })));
    assert_eq!(keys(&computed(&chain(2), json!({ "to": 0 }), 0)), ["run-1.s1.1"], "none, when none may be");
}

#[test]
fn items_of_a_for_each_are_computed_too() {
    let source = "name: each\nsteps:\n  - id: all\n    forEach: { items: [1, 2, 3], parallel: 2, skill: one.add }\n    with: { to: '${ item }' }\n";
    let run = computed(source, empty(), 64);
    assert_eq!((run.run.status, keys(&run).len()), (Status::Succeeded, 0));
    let run = computed(source, empty(), 2);
    assert_eq!(keys(&run), ["run-1.all.2.1"]);
}

#[test]
fn what_may_change_something_or_wait_or_is_large_or_kept_elsewhere_is_asked_for() {
    for skill in ["one.write", "one.read", "one.wait", "one.unknown"] {
        let run = computed(&single(skill, "1"), empty(), 64);
        assert_eq!(keys(&run), ["run-1.s1.1"], "{skill}");
    }
    let large = format!("'{}'", "x".repeat(10_000));
    let kept = format!("{{ deep: [{{ $ref: 'sha256:{}', bytes: 100000 }}] }}", "0".repeat(64));
    for to in [large.as_str(), kept.as_str(), "huge"] {
        let run = computed(&single("one.add", to), empty(), 64);
        let label: String = to.chars().take(20).collect();
        assert_eq!(keys(&run), ["run-1.s1.1"], "{label}");
        assert!(matches!(run.waits().as_slice(), [(_, None, Wait::Effect(_))]), "{label}");
    }
}

#[test]
fn a_failure_is_told_as_a_performer_tells_it() {
    for (to, code) in [("null", "adds.number"), ("broken", "skill.output"), ("panic", "skill.panic")] {
        let source = format!(
            "name: single\nsteps: [{{ id: s1, skill: one.add, retry: {{ maxAttempts: 1 }}, with: {{ to: {to} }} }}]\n"
        );
        let run = computed(&source, empty(), 64);
        assert_eq!(run.run.status, Status::Failed, "{to}");
        assert_eq!(run.run.failure.as_ref().map(|failure| failure.code.as_str()), Some(code), "{to}");
    }
    let source = "name: single\nsteps: [{ id: s1, skill: one.add, with: { of: 1 } }]\n";
    let run = computed(source, empty(), 64);
    assert_eq!(run.run.failure.as_ref().map(|failure| failure.code.as_str()), Some("skill.input"));
}

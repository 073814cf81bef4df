//! Effects that are undone.

use super::*;
use crate::run::Command;

const SAGA: &str = "
name: saga
steps:
  - id: reserve
    skill: stock.reserve
    compensate: { skill: stock.release, with: { id: '${output.id}' } }
  - id: pay
    needs: reserve
    skill: card.charge
    compensate: { skill: card.refund, with: { id: '${output.id}', order: '${input.order}' } }
  - { id: ship, needs: pay, skill: parcel.ship }
";

fn call(run: &Simulation, step: &str) -> std::sync::Arc<mesh_skills::contract::SkillCall> {
    Simulation::call(&effect(run, step)).unwrap()
}

#[test]
fn a_failure_undoes_what_was_done_the_last_one_first() {
    let mut run = submitted(SAGA, json!({"order": 9}));
    ok(&mut run, "reserve", json!({"id": "r1"}));
    ok(&mut run, "pay", json!({"id": "p1"}));
    fail(&mut run, "ship", FailureClass::Validation);
    assert_eq!(run.run.status, Status::Compensating);
    assert_eq!(keys(&run), ["run-1.pay.undo.1"]);
    assert_eq!(call(&run, "pay.undo").skill, "card.refund");
    assert_eq!(call(&run, "pay.undo").input, json!({"id": "p1", "order": 9}));
    check_invariants(&run);
    ok(&mut run, "pay.undo", empty());
    assert_eq!(state(&run, "pay"), "Compensated");
    assert_eq!(call(&run, "reserve.undo").input, json!({"id": "r1"}));
    ok(&mut run, "reserve.undo", empty());
    assert_eq!(run.run.status, Status::Failed);
    assert_eq!(run.run.failure.as_ref().unwrap().code, "test.failed");
    check_invariants(&run);
}

#[test]
fn a_cancel_undoes_what_was_done_and_what_may_have_been_done() {
    let mut run = submitted(SAGA, json!({"order": 9}));
    ok(&mut run, "reserve", json!({"id": "r1"}));
    let late = effect(&run, "pay");
    run.send(Command::CancelRun { reason: "changed my mind".into() }).unwrap();
    assert_eq!(run.run.status, Status::Compensating);
    assert!(run.answer(&late, Answer::Output(json!({"id": "p1"}))).is_err());
    // `pay` was under way: nobody knows whether it was done, and its `output.id` has no value.
    let undone: Vec<String> = names(&run);
    assert!(undone.contains(&"CompensationFailed".to_owned()), "{undone:?}");
    ok(&mut run, "reserve.undo", empty());
    assert_eq!(run.run.status, Status::Cancelled);
    assert_eq!(run.run.cancel.as_ref().unwrap().reason, "changed my mind");
    check_invariants(&run);
}

#[test]
fn a_cancel_while_a_failure_is_undone_ends_cancelled() {
    let mut run = submitted(SAGA, json!({"order": 9}));
    ok(&mut run, "reserve", json!({"id": "r1"}));
    fail(&mut run, "pay", FailureClass::Validation);
    assert_eq!(run.run.status, Status::Compensating);
    run.send(Command::CancelRun { reason: "stop".into() }).unwrap();
    assert_eq!(keys(&run), ["run-1.reserve.undo.1"], "undoing goes on");
    ok(&mut run, "reserve.undo", empty());
    assert_eq!(run.run.status, Status::Cancelled);
    check_invariants(&run);
}

#[test]
fn undoing_is_tried_again_and_given_up_in_the_end_without_stopping_the_rest() {
    let mut run = submitted(SAGA, json!({"order": 9}));
    ok(&mut run, "reserve", json!({"id": "r1"}));
    ok(&mut run, "pay", json!({"id": "p1"}));
    fail(&mut run, "ship", FailureClass::Validation);
    for attempt in 1..5 {
        fail(&mut run, "pay.undo", FailureClass::External);
        check_invariants(&run);
        fire(&mut run, &format!("retry:undo:pay.{attempt}"));
    }
    fail(&mut run, "pay.undo", FailureClass::External);
    assert_eq!(state(&run, "pay"), "Succeeded", "it could not be undone");
    ok(&mut run, "reserve.undo", empty());
    assert_eq!(run.run.status, Status::Failed);
    check_invariants(&run);
}

#[test]
fn a_retry_after_undoing_does_the_undone_steps_again() {
    let mut run = submitted(SAGA, json!({"order": 9}));
    ok(&mut run, "reserve", json!({"id": "r1"}));
    fail(&mut run, "pay", FailureClass::Validation);
    ok(&mut run, "reserve.undo", empty());
    assert_eq!(run.run.status, Status::Failed);
    run.send(Command::RetryRun { from_step: None }).unwrap();
    assert_eq!(keys(&run), ["run-1.reserve.2"]);
    check_invariants(&run);
    ok(&mut run, "reserve", json!({"id": "r2"}));
    ok(&mut run, "pay", json!({"id": "p2"}));
    ok(&mut run, "ship", empty());
    assert_eq!(run.run.status, Status::Succeeded);
}

#[test]
fn a_step_that_failed_for_an_unknown_reason_is_undone_too() {
    let source = "
name: n
steps:
  - id: a
    skill: x.do
    retry: { maxAttempts: 1 }
    compensate: { skill: x.undo }
";
    for (class, undone) in
        [(FailureClass::Timeout, true), (FailureClass::External, true), (FailureClass::Validation, false)]
    {
        let mut run = submitted(source, empty());
        fail(&mut run, "a", class);
        assert_eq!(run.run.status == Status::Compensating, undone, "{class}");
    }
}

//! Pause, resume, cancel, retry.

use super::*;
use crate::run::Command;

const TWO: &str = "
name: two
steps:
  - { id: a, skill: text.echo }
  - { id: b, needs: a, skill: text.echo }
";

fn cancel() -> Command {
    Command::CancelRun { reason: "enough".into() }
}

fn pause() -> Command {
    Command::PauseRun { reason: "look".into() }
}

fn retry(step: Option<&str>) -> Command {
    Command::RetryRun { from_step: step.map(str::to_owned) }
}

#[test]
fn a_paused_run_takes_outcomes_and_begins_nothing_until_it_is_resumed() {
    let mut run = submitted(TWO, empty());
    run.send(pause()).unwrap();
    assert_eq!(run.run.shown_state(), "Paused");
    ok(&mut run, "a", empty());
    assert_eq!(state(&run, "b"), "Ready");
    assert!(keys(&run).is_empty());
    check_invariants(&run);
    assert!(run.send(pause()).unwrap().is_empty(), "pausing twice is pausing once");
    run.send(Command::ResumeRun {}).unwrap();
    ok(&mut run, "b", empty());
    assert_eq!(run.run.status, Status::Succeeded);
}

#[test]
fn a_retry_that_falls_due_in_a_pause_begins_when_the_run_goes_on() {
    let mut run = submitted(TWO, empty());
    fail(&mut run, "a", FailureClass::External);
    let due = timer(&run, "retry:a");
    run.send(pause()).unwrap();
    assert!(run.wants().timers.is_empty());
    assert!(run.fire(due).unwrap().is_empty());
    run.send(Command::ResumeRun {}).unwrap();
    fire(&mut run, "retry:a");
    assert_eq!(keys(&run), ["run-1.a.2"]);
}

#[test]
fn cancel_wins_in_every_state_that_is_not_final() {
    let sources: Vec<(&str, &str, Vec<Command>)> = vec![
        ("running", TWO, vec![]),
        ("paused", TWO, vec![pause()]),
        ("waiting for a signal", "name: n\nsteps: [{ id: a, signal: s }]", vec![]),
        ("waiting for an instant", "name: n\nsteps: [{ id: a, timer: 5m }]", vec![]),
        ("waiting for people", "name: n\nsteps: [{ id: a, approval: ok }]", vec![]),
        ("waiting for a child", "name: n\nsteps: [{ id: a, workflow: w }]", vec![]),
        ("waiting for a slot", "name: n\nconcurrency: { limit: 1 }\nsteps: [{ id: a, signal: s }]", vec![]),
    ];
    for (what, source, before) in sources {
        let mut run = submitted(source, empty());
        for command in before {
            run.send(command).unwrap();
        }
        run.send(cancel()).unwrap();
        assert_eq!(run.run.status, Status::Cancelled, "{what}");
        check_invariants(&run);
        assert!(run.send(cancel()).unwrap().is_empty(), "{what}: cancelling twice is cancelling once");
    }
    let mut backing_off = submitted(TWO, empty());
    fail(&mut backing_off, "a", FailureClass::External);
    let due = timer(&backing_off, "retry:a");
    backing_off.send(cancel()).unwrap();
    assert_eq!(backing_off.run.status, Status::Cancelled);
    assert!(backing_off.fire(due).unwrap().is_empty());
}

#[test]
fn an_outcome_after_a_cancel_is_refused() {
    let mut run = submitted(TWO, empty());
    let request = effect(&run, "a");
    run.send(cancel()).unwrap();
    assert!(run.answer(&request, Answer::Output(empty())).is_err());
}

#[test]
fn an_ended_run_refuses_what_comes_too_late() {
    let mut run = submitted(TWO, empty());
    ok(&mut run, "a", empty());
    ok(&mut run, "b", empty());
    for command in [
        cancel(),
        pause(),
        retry(None),
        Command::ResumeRun {},
        Command::SignalRun { name: "s".into(), payload: json!(1) },
    ] {
        assert_eq!(mesh_kernel::envelope::Refuse::code(&run.send(command).unwrap_err()), "RUN-0007");
    }
}

#[test]
fn a_failed_run_goes_on_from_its_failed_step_and_repeats_nothing_that_succeeded() {
    let mut run = submitted(TWO, empty());
    ok(&mut run, "a", json!({"n": 1}));
    fail(&mut run, "b", FailureClass::Validation);
    assert_eq!(run.run.status, Status::Failed);
    run.send(retry(None)).unwrap();
    assert_eq!(run.run.status, Status::Running);
    assert_eq!(keys(&run), ["run-1.b.2"], "a new attempt, so a late outcome of the old one is told apart");
    check_invariants(&run);
    ok(&mut run, "b", empty());
    assert_eq!(run.run.status, Status::Succeeded);
    assert_eq!(run.run.retries, 1);
    check_invariants(&run);
}

#[test]
fn a_retry_from_a_step_begins_it_and_all_that_follow_anew() {
    let source = "
name: fork
steps:
  - { id: a, skill: text.echo }
  - { id: b, needs: a, skill: text.echo }
  - { id: other, skill: text.echo }
  - { id: last, needs: [b, other], skill: text.echo }
";
    let mut run = submitted(source, empty());
    for step in ["a", "b", "other"] {
        ok(&mut run, step, empty());
    }
    fail(&mut run, "last", FailureClass::Validation);
    run.send(retry(Some("b"))).unwrap();
    assert_eq!(keys(&run), ["run-1.b.2"]);
    assert_eq!((state(&run, "a").as_str(), state(&run, "other").as_str()), ("Succeeded", "Succeeded"));
    ok(&mut run, "b", empty());
    ok(&mut run, "last", empty());
    assert_eq!(run.run.status, Status::Succeeded);
    check_invariants(&run);
    let mut other = submitted(source, empty());
    fail(&mut other, "a", FailureClass::Validation);
    let refused = other.send(retry(Some("bb"))).unwrap_err();
    assert!(refused.to_string().contains("did you mean `b`"), "{refused}");
}

#[test]
fn a_retried_step_has_all_its_tries_again() {
    let source = "
name: n
steps: [{ id: a, skill: text.echo, retry: { maxAttempts: 2 } }]
";
    let mut run = submitted(source, empty());
    fail(&mut run, "a", FailureClass::External);
    fire(&mut run, "retry:a.1");
    fail(&mut run, "a", FailureClass::External);
    assert_eq!(run.run.status, Status::Failed);
    run.send(retry(None)).unwrap();
    assert_eq!(keys(&run), ["run-1.a.3"]);
    fail(&mut run, "a", FailureClass::External);
    assert_eq!(run.run.status, Status::Running, "the tries count from the retry on");
}

#[test]
fn the_outside_sees_one_key_for_all_attempts_at_the_same_work() {
    let shown = |run: &Simulation| {
        let call = Simulation::call(&effect(run, "a")).unwrap();
        call.idempotency_key.as_ref().unwrap().to_string()
    };
    let mut run = submitted(TWO, empty());
    assert_eq!(shown(&run), "run-1.a.1");
    fail(&mut run, "a", FailureClass::Timeout);
    fire(&mut run, "retry:a");
    assert_eq!(keys(&run), ["run-1.a.2"], "an outcome of the first attempt would be taken for the second's");
    assert_eq!(shown(&run), "run-1.a.1", "a receiver would take the retry for a second order");
    fail(&mut run, "a", FailureClass::Validation);
    run.send(retry(None)).unwrap();
    assert_eq!(shown(&run), "run-1.a.3", "who retries a run asks for the work anew");
}

#[test]
fn a_retried_run_under_a_limit_waits_for_its_turn_again() {
    let source = "
name: n
concurrency: { limit: 1 }
steps: [{ id: a, skill: text.echo }, { id: b, needs: a, skill: text.echo }]
";
    let mut run = submitted(source, empty());
    run.send(Command::GrantSlot { limit: "n".into() }).unwrap();
    ok(&mut run, "a", empty());
    fail(&mut run, "b", FailureClass::Validation);
    run.send(retry(None)).unwrap();
    assert!(keys(&run).is_empty());
    assert_eq!(run.run.shown_state(), "Waiting");
    check_invariants(&run);
    run.send(Command::GrantSlot { limit: "n".into() }).unwrap();
    assert_eq!(keys(&run), ["run-1.b.2"]);
    check_invariants(&run);
}

#[test]
fn a_retried_for_each_repeats_no_item_that_succeeded() {
    let source = "
name: n
steps: [{ id: all, forEach: { items: [1, 2, 3], skill: x.y }, with: { n: '${item}' } }]
";
    let mut run = submitted(source, empty());
    let requests = run.wants().effects;
    run.answer(&requests[0], Answer::Output(json!("one"))).unwrap();
    run.answer(&requests[1], Answer::Failure(Failure::validation("v", "v"))).unwrap();
    assert_eq!(run.run.status, Status::Failed);
    check_invariants(&run);
    run.send(retry(None)).unwrap();
    assert_eq!(keys(&run), ["run-1.all.1.2", "run-1.all.2.2"]);
    check_invariants(&run);
    for request in run.wants().effects {
        run.answer(&request, Answer::Output(json!("again"))).unwrap();
    }
    assert_eq!(run.run.status, Status::Succeeded);
    let output = run.run.work(0, None).unwrap().output.clone().unwrap();
    assert_eq!(*output, json!(["one", "again", "again"]));
    check_invariants(&run);
}

//! Steps: order, conditions, data, retries.

use super::*;

const CHAIN: &str = "
name: chain
steps:
  - id: a
    skill: text.echo
    with: { text: '${input.text}' }
  - id: b
    needs: [a]
    skill: text.echo
    with: { text: 'b after ${steps.a.output.text}' }
outputs:
  text: '${steps.b.output.text}'
";

#[test]
fn a_chain_runs_in_order_and_gives_its_outputs() {
    let mut run = submitted(CHAIN, json!({"text": "hi"}));
    assert_eq!(keys(&run), ["run-1.a.1"]);
    let call = Simulation::call(&effect(&run, "a")).unwrap();
    assert_eq!((call.skill.as_str(), &call.input), ("text.echo", &json!({"text": "hi"})));
    ok(&mut run, "a", json!({"text": "A"}));
    let call = Simulation::call(&effect(&run, "b")).unwrap();
    assert_eq!(call.input, json!({"text": "b after A"}));
    ok(&mut run, "b", json!({"text": "B"}));
    assert_eq!(run.run.status, Status::Succeeded);
    assert_eq!(run.run.outputs.as_deref(), Some(&json!({"text": "B"})));
    check_invariants(&run);
}

#[test]
fn an_outcome_and_what_follows_from_it_stand_in_one_append() {
    let mut run = submitted(CHAIN, json!({"text": "hi"}));
    let request = effect(&run, "a");
    let events = run.answer(&request, Answer::Output(json!({"text": "A"}))).unwrap();
    let names: Vec<String> = events.iter().map(name).collect();
    assert_eq!(names, ["StepSucceeded", "StepRequested"]);
}

#[test]
fn a_step_that_finished_is_never_run_again() {
    let mut run = submitted(CHAIN, json!({"text": "hi"}));
    let request = effect(&run, "a");
    run.answer(&request, Answer::Output(json!({"text": "A"}))).unwrap();
    let refused = run.answer(&request, Answer::Output(json!({"text": "again"}))).unwrap_err();
    assert_eq!(mesh_kernel::envelope::Refuse::code(&refused), "RUN-0008");
    assert!(!keys(&run).contains(&"run-1.a.1".to_owned()));
}

#[test]
fn the_same_request_is_the_same_run_and_another_body_is_refused() {
    let mut run = submitted(CHAIN, json!({"text": "hi"}));
    let again = run.submit(&definition(CHAIN), json!({"text": "hi"})).unwrap();
    assert!(again.is_empty());
    let refused = run.submit(&definition(CHAIN), json!({"text": "other"})).unwrap_err();
    assert_eq!(mesh_kernel::envelope::Refuse::code(&refused), "RUN-0002");
}

#[test]
fn an_input_that_does_not_fit_is_refused_at_every_place() {
    let source = "
name: typed
inputSchema:
  type: object
  required: [name]
  properties: { name: {type: string}, count: {type: integer}, body: {type: string} }
steps: [{id: a, skill: text.echo}]
";
    let mut run = Simulation::new("run-1").unwrap();
    let refused = run.submit(&definition(source), json!({"count": "x"})).unwrap_err();
    let fields = mesh_kernel::envelope::Refuse::fields(&refused);
    assert_eq!(fields.len(), 2, "{fields:?}");
    // What is kept by reference is not looked into.
    let large = json!({"name": "n", "body": {"$ref": "sha256:00", "bytes": 99_999}});
    run.submit(&definition(source), large).unwrap();
}

const DIAMOND: &str = "
name: diamond
steps:
  - { id: start, skill: text.echo }
  - { id: yes, needs: start, when: 'steps.start.output.go', skill: text.echo }
  - { id: after-yes, needs: yes, skill: text.echo }
  - { id: no, needs: start, when: '!steps.start.output.go', skill: text.echo }
  - { id: both, needs: [after-yes, no], when: 'true', skill: text.echo }
";

#[test]
fn a_skip_spreads_until_a_condition_of_its_own_stops_it() {
    let mut run = submitted(DIAMOND, empty());
    ok(&mut run, "start", json!({"go": false}));
    assert_eq!(state(&run, "yes"), "Skipped");
    assert_eq!(state(&run, "after-yes"), "Skipped");
    assert_eq!(state(&run, "both"), "Pending");
    ok(&mut run, "no", empty());
    ok(&mut run, "both", empty());
    assert_eq!(run.run.status, Status::Succeeded);
    check_invariants(&run);
}

#[test]
fn a_condition_that_is_no_truth_value_fails_its_step() {
    let mut run = submitted(DIAMOND, empty());
    ok(&mut run, "start", json!({"go": 3}));
    assert_eq!(run.run.status, Status::Failed);
    assert_eq!(run.run.failure.as_ref().unwrap().code, "step.when");
}

const RETRIED: &str = "
name: retried
steps:
  - id: a
    skill: text.echo
    retry: { maxAttempts: 3, initialBackoff: 10s, timeout: { maxAttempts: 1 } }
";

#[test]
fn an_outside_failure_is_tried_again_under_a_new_attempt_until_the_tries_are_used_up() {
    let mut run = submitted(RETRIED, empty());
    for attempt in 1..=2 {
        assert_eq!(keys(&run), [format!("run-1.a.{attempt}")]);
        fail(&mut run, "a", FailureClass::External);
        assert_eq!(state(&run, "a"), "Ready");
        assert!(keys(&run).is_empty());
        check_invariants(&run);
        let before = run.now;
        let due = fire(&mut run, "retry:a");
        assert!(due.since(before).as_secs() >= 5, "a wait of half the backoff at least");
    }
    fail(&mut run, "a", FailureClass::External);
    assert_eq!(run.run.status, Status::Failed);
    check_invariants(&run);
}

#[test]
fn a_failure_of_the_input_is_never_tried_again() {
    let mut run = submitted(RETRIED, empty());
    fail(&mut run, "a", FailureClass::Validation);
    assert_eq!(run.run.status, Status::Failed);
}

#[test]
fn a_failure_class_with_a_rule_of_its_own_follows_it() {
    let mut run = submitted(RETRIED, empty());
    fail(&mut run, "a", FailureClass::Timeout);
    assert_eq!(run.run.status, Status::Failed);
}

#[test]
fn the_other_sides_wish_to_wait_is_heard() {
    let mut run = submitted(RETRIED, empty());
    let request = effect(&run, "a");
    let failure = Failure::external("busy", "busy").after(std::time::Duration::from_secs(3600));
    let before = run.now;
    run.answer(&request, Answer::Failure(failure)).unwrap();
    assert_eq!(timer(&run, "retry:a").due.since(before).as_secs(), 3600);
}

#[test]
fn a_late_outcome_is_refused() {
    let source = "
name: late
steps:
  - { id: a, skill: text.echo, timeout: 30s }
";
    let mut run = submitted(source, empty());
    let old = effect(&run, "a");
    assert_eq!(old.timeout.unwrap().as_secs(), 30);
    fire(&mut run, "timeout:a.1");
    assert!(keys(&run).is_empty(), "the attempt is given up");
    fire(&mut run, "retry:a.1");
    assert_eq!(keys(&run), ["run-1.a.2"]);
    assert!(run.answer(&old, Answer::Output(empty())).is_err());
    ok(&mut run, "a", empty());
    assert_eq!(run.run.status, Status::Succeeded);
    check_invariants(&run);
}

#[test]
fn a_stale_timer_changes_nothing() {
    let mut run = submitted(RETRIED, empty());
    fail(&mut run, "a", FailureClass::External);
    let stale = timer(&run, "retry:a");
    run.fire(stale.clone()).unwrap();
    assert!(run.fire(stale).unwrap().is_empty());
    let unknown = mesh_kernel::entity::TimerRequest { due: run.now, name: "retry:zzz.1".into() };
    assert!(run.fire(unknown).unwrap().is_empty());
}

#[test]
fn an_input_without_a_value_fails_the_step_and_says_which_expression() {
    let mut run = submitted(CHAIN, json!({"text": "hi"}));
    ok(&mut run, "a", json!({"other": 1}));
    assert_eq!(run.run.status, Status::Failed);
    let failure = run.run.failure.clone().unwrap();
    assert_eq!(failure.code, "step.input");
    assert!(failure.message.contains("steps.a.output.text"), "{failure}");
}

#[test]
fn outputs_that_do_not_fit_fail_the_run() {
    let source = "
name: typed
outputSchema: { type: object, required: [n], properties: { n: {type: integer} } }
steps: [{ id: a, skill: text.echo }]
outputs: { n: '${steps.a.output.n}' }
";
    for (n, status) in [(json!(1), Status::Succeeded), (json!("x"), Status::Failed)] {
        let mut run = submitted(source, empty());
        ok(&mut run, "a", json!({"n": n}));
        assert_eq!(run.run.status, status);
    }
}

#[test]
fn the_whole_run_fails_when_its_time_is_over() {
    let source = "
name: timed
timeout: 1h
steps: [{ id: a, signal: never }]
";
    let mut run = submitted(source, empty());
    let due = fire(&mut run, "deadline");
    assert_eq!(due.since(run.events[0].0).as_secs(), 3600);
    assert_eq!(run.run.status, Status::Failed);
    assert_eq!(run.run.failure.as_ref().unwrap().code, "run.timeout");
    check_invariants(&run);
}

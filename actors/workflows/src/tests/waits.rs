//! Approvals, signals, timers, for-each, sub-workflows, concurrency limits.

use super::*;
use crate::run::{Command, Wait};

#[test]
fn a_signal_is_taken_whether_it_comes_before_or_after_the_step_waits() {
    let source = "
name: signals
steps:
  - { id: first, skill: text.echo }
  - { id: paid, needs: first, signal: paid }
outputs: { amount: '${steps.paid.output.amount}' }
";
    let signal = || Command::SignalRun { name: "paid".into(), payload: json!({"amount": 7}) };
    for early in [true, false] {
        let mut run = submitted(source, empty());
        if early {
            run.send(signal()).unwrap();
        }
        ok(&mut run, "first", empty());
        if !early {
            assert_eq!(state(&run, "paid"), "WaitingSignal");
            assert_eq!(run.run.shown_state(), "Waiting");
            check_invariants(&run);
            run.send(signal()).unwrap();
        }
        assert_eq!(run.run.status, Status::Succeeded, "early: {early}");
        assert_eq!(run.run.outputs.as_deref(), Some(&json!({"amount": 7})));
        check_invariants(&run);
    }
}

#[test]
fn two_steps_that_wait_for_one_signal_take_one_each() {
    let source = "
name: two
steps:
  - { id: a, signal: go }
  - { id: b, signal: go }
";
    let mut run = submitted(source, empty());
    let go = || Command::SignalRun { name: "go".into(), payload: json!(null) };
    run.send(go()).unwrap();
    assert_eq!((state(&run, "a").as_str(), state(&run, "b").as_str()), ("Succeeded", "WaitingSignal"));
    run.send(go()).unwrap();
    assert_eq!(run.run.status, Status::Succeeded);
}

#[test]
fn signals_that_nobody_takes_have_a_bound() {
    let mut run = submitted("name: n\nsteps: [{ id: a, signal: a }]", empty());
    let other = || Command::SignalRun { name: "other".into(), payload: json!(1) };
    for _ in 0..100 {
        run.send(other()).unwrap();
    }
    let refused = run.send(other()).unwrap_err();
    assert_eq!(mesh_kernel::envelope::Refuse::code(&refused), "RUN-0010");
    let large = Command::SignalRun { name: "a".into(), payload: json!("x".repeat(70_000)) };
    assert_eq!(mesh_kernel::envelope::Refuse::code(&run.send(large).unwrap_err()), "RUN-0005");
}

const APPROVED: &str = "
name: approved
steps:
  - { id: plan, skill: text.echo }
  - id: ask
    needs: plan
    approval:
      title: 'Deploy ${steps.plan.output.what}?'
      subject: '${steps.plan.output}'
      quorum: 2
      roles: [admin, approver]
      deadline: 24h
      escalateAfter: 4h
  - { id: deploy, needs: ask, skill: text.echo }
";

#[test]
fn an_approval_is_bound_to_what_was_shown_and_lets_the_run_go_on() {
    let mut run = submitted(APPROVED, empty());
    ok(&mut run, "plan", json!({"what": "v2"}));
    let (_, Event::ApprovalRequested { approval, title, digest, subject, quorum, roles, deadline, .. }) =
        run.events.last().unwrap().clone()
    else {
        panic!("{:?}", names(&run));
    };
    assert_eq!(title, "Deploy v2?");
    assert_eq!(digest, crate::definition::digest_of(&subject));
    assert_eq!((quorum, roles.len()), (2, 2));
    assert_eq!(deadline.since(run.now).as_secs(), 24 * 3600);
    assert_eq!(state(&run, "ask"), "WaitingApproval");
    let view = run.view("");
    assert_eq!(view["state"], "Waiting");
    assert_eq!(view["waiting"][0]["for"], format!("approval `{approval}`"));
    assert_eq!(view["waiting"][0]["wakes"], "a decision by admin or approver");
    assert!(view["waiting"][0]["since"].is_string());

    let decide = |approval: &str, approved| Command::RecordApproval {
        step: "ask".into(),
        approval: approval.into(),
        approved,
        by: vec!["ada".into()],
        comment: "fine".into(),
    };
    assert!(run.send(decide("appr-other", true)).is_err(), "another approval's decision is refused");
    run.send(decide(&approval, true)).unwrap();
    assert_eq!(state(&run, "ask"), "Succeeded");
    ok(&mut run, "deploy", empty());
    assert_eq!(run.run.status, Status::Succeeded);

    let mut other = submitted(APPROVED, empty());
    ok(&mut other, "plan", json!({"what": "v2"}));
    other.send(decide(&approval, false)).unwrap();
    assert_eq!(other.run.status, Status::Failed);
    assert_eq!(other.run.failure.as_ref().unwrap().code, "approval.rejected");
}

#[test]
fn a_timer_waits_for_its_length_or_its_instant() {
    let source = "
name: timers
steps:
  - { id: nap, timer: 90s }
  - { id: until, timer: { until: '${input.at}' } }
";
    let mut run = submitted(source, json!({"at": "2026-01-05T10:00:00Z"}));
    assert_eq!(run.run.shown_state(), "Waiting");
    check_invariants(&run);
    let begun = run.now;
    assert_eq!(fire(&mut run, "timer:nap").since(begun).as_secs(), 90);
    assert_eq!(fire(&mut run, "timer:until").to_string(), "2026-01-05T10:00:00Z");
    assert_eq!(run.run.status, Status::Succeeded);
}

const EACH: &str = "
name: each
steps:
  - id: mail
    forEach: { items: '${input.people}', parallel: 2, skill: mail.send }
    with: { to: '${item.name}', nth: '${index}' }
  - { id: done, needs: mail, skill: text.echo, with: { all: '${steps.mail.output}' } }
";

#[test]
fn a_for_each_begins_no_more_than_it_may_and_keeps_the_items_order() {
    let people = json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]);
    let mut run = submitted(EACH, json!({"people": people}));
    assert_eq!(keys(&run), ["run-1.mail.0.1", "run-1.mail.1.1"]);
    let requests = run.wants().effects;
    let call = Simulation::call(&requests[1]).unwrap();
    assert_eq!(call.input, json!({"to": "b", "nth": 1}));
    run.answer(&requests[1], Answer::Output(json!("B"))).unwrap();
    assert_eq!(keys(&run), ["run-1.mail.0.1", "run-1.mail.2.1"]);
    check_invariants(&run);
    let third = run.wants().effects[1].clone();
    run.answer(&third, Answer::Output(json!("C"))).unwrap();
    run.answer(&requests[0], Answer::Output(json!("A"))).unwrap();
    let call = Simulation::call(&effect(&run, "done")).unwrap();
    assert_eq!(call.input, json!({"all": ["A", "B", "C"]}));
    check_invariants(&run);
}

#[test]
fn a_for_each_over_nothing_succeeds_at_once() {
    let run = submitted(EACH, json!({"people": []}));
    assert_eq!(state(&run, "mail"), "Succeeded");
    let call = Simulation::call(&effect(&run, "done")).unwrap();
    assert_eq!(call.input, json!({"all": []}));
}

#[test]
fn an_item_is_tried_again_alone_and_its_failure_names_it() {
    let mut run = submitted(EACH, json!({"people": [{"name": "a"}, {"name": "b"}]}));
    let requests = run.wants().effects;
    run.answer(&requests[0], Answer::Failure(Failure::external("x", "x"))).unwrap();
    assert_eq!(keys(&run), ["run-1.mail.1.1"]);
    fire(&mut run, "retry:mail.0.1");
    assert_eq!(keys(&run), ["run-1.mail.0.2", "run-1.mail.1.1"]);
    check_invariants(&run);
    let request = run.wants().effects[0].clone();
    run.answer(&request, Answer::Failure(Failure::validation("bad", "no such address"))).unwrap();
    assert_eq!(run.run.status, Status::Failed);
    let failure = run.run.failure.clone().unwrap();
    assert_eq!(failure.message, "item 0: no such address");
    check_invariants(&run);
}

const PARENT: &str = "
name: parent
steps:
  - id: sub
    workflow: { definition: child, version: 3 }
    with: { n: '${input.n}' }
    timeout: 1h
  - { id: after, needs: sub, skill: text.echo, with: { got: '${steps.sub.output.n}' } }
";

#[test]
fn a_sub_workflow_is_asked_for_and_its_outputs_go_on() {
    let mut run = submitted(PARENT, json!({"n": 1}));
    let (step, item, child, definition) = run.children().remove(0);
    assert_eq!((step.as_str(), definition.as_str()), ("sub", "child"));
    assert!(run.run.shown_state() == "Waiting");
    check_invariants(&run);
    let answer = Answer::Output(json!({"n": 2}));
    run.end_child((step.clone(), item, "run-other".into()), answer.clone()).unwrap();
    assert_eq!(run.children().len(), 1, "the end of another child was taken for its own");
    run.end_child((step, item, child), answer).unwrap();
    let call = Simulation::call(&effect(&run, "after")).unwrap();
    assert_eq!(call.input, json!({"got": 2}));
}

#[test]
fn a_child_that_nobody_waits_for_any_more_is_told() {
    let mut run = submitted(PARENT, json!({"n": 1}));
    let child = run.children().remove(0).2;
    fire(&mut run, "timeout:sub.1");
    assert_eq!(run.run.status, Status::Failed);
    let told = run.events.iter().find_map(|(_, event)| match event {
        Event::WaitsAbandoned { children, .. } => Some(children.clone()),
        _ => None,
    });
    assert_eq!(told, Some(vec![child]));
    check_invariants(&run);
}

#[test]
fn a_run_under_a_limit_waits_for_its_turn_and_gives_it_back() {
    let source = "
name: limited
concurrency: { limit: 1, key: '${input.customer}' }
steps: [{ id: a, skill: text.echo }]
";
    let mut run = submitted(source, json!({"customer": "Acme & Co"}));
    assert_eq!(run.run.status, Status::Created);
    assert!(keys(&run).is_empty());
    check_invariants(&run);
    let limit = run.run.slot.limit().unwrap().to_owned();
    assert!(limit.starts_with("limited::"), "{limit}");
    run.send(Command::GrantSlot { limit: "other".into() }).unwrap();
    assert_eq!(run.run.status, Status::Created, "another limit's grant is not ours");
    run.send(Command::GrantSlot { limit: limit.clone() }).unwrap();
    ok(&mut run, "a", empty());
    let Some((_, Event::RunSucceeded { end, .. })) = run.events.last() else { panic!() };
    assert_eq!(end.slot.as_deref(), Some(limit.as_str()));
    assert!(run.send(Command::GrantSlot { limit }).unwrap().is_empty());
}

#[test]
fn a_step_says_what_it_waits_for_since_when_and_who_wakes_it() {
    let mut run = submitted("name: n\nsteps: [{ id: a, skill: text.echo }]", empty());
    let view = run.view("");
    assert_eq!(view["state"], "Running");
    assert_eq!(view["steps"][0]["waiting"]["kind"], "skill");
    fail(&mut run, "a", FailureClass::External);
    let view = run.view("");
    assert_eq!(view["state"], "Waiting");
    assert_eq!(view["waiting"][0]["kind"], "retry");
    assert_eq!(view["nextTimer"]["due"], view["waiting"][0]["due"]);
    assert!(matches!(run.waits()[0].2, Wait::Backoff(_)));
}

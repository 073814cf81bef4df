//! Limits, published definitions, and what runs tell others.

use std::sync::Arc;

use mesh_kernel::{
    entity::{Cause, Decider, Recorded, decode_tagged, encode_tagged},
    envelope::{
        Address, CorrelationId, Envelope, ErrorKind, EventId, Headers, Principal, Refuse, Role, TenantId, TraceId,
    },
};

use mesh_skills::{
    contract::{SkillOutcome, SkillResult},
    logs::LogRef,
};

use super::*;
use crate::{
    catalogue::{self, DefinitionDecider},
    definition::{digest, to_json},
    limit::{self, LimitDecider},
    plan::Plans,
    run::{self, ChildResult, Command, Parent, history, reactions::react},
};

const AT: Timestamp = Timestamp::from_unix_nanos(1_767_600_000_000_000_000);

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// Sends commands to an entity of any kind, as the kernel does.
fn send<D: Decider>(decider: &D, state: &mut D::State, to: &str, command: D::Command) -> Result<Vec<D::Event>, D::Error>
where
    D::Event: Clone,
{
    let (address, principal) = (address(to), Principal::system("test"));
    let (trace_id, correlation_id) = (TraceId::parse("trace-1").unwrap(), CorrelationId::parse("c").unwrap());
    let cause = Cause {
        address: address.clone(),
        event_id: EventId::parse("evt-1").unwrap(),
        at: AT,
        principal: principal.clone(),
        trace_id: trace_id.clone(),
        correlation_id: correlation_id.clone(),
        key: None,
        version: 0,
    };
    let events = decider.decide(state, command, &cause)?;
    for event in &events {
        let recorded = Recorded {
            address: &address,
            event_id: &cause.event_id,
            version: 1,
            at: AT,
            principal: &principal,
            trace_id: &trace_id,
            correlation_id: &correlation_id,
        };
        decider.evolve(state, event.clone(), &recorded);
    }
    Ok(events)
}

fn envelope<E: serde::Serialize>(subject: &str, event: &E, at: Timestamp) -> Envelope {
    let payload = encode_tagged(event, 1).unwrap();
    Envelope {
        event_id: EventId::parse("evt-1").unwrap(),
        event_type: payload.name,
        tenant_id: TenantId::parse(subject.split('/').next().unwrap()).unwrap(),
        project_id: None,
        module_id: None,
        trace_id: TraceId::parse("trace-1").unwrap(),
        correlation_id: CorrelationId::parse("c").unwrap(),
        causation_id: EventId::parse("evt-0").unwrap(),
        occurred_at: at,
        payload: payload.bytes,
        headers: Headers::new(address(subject), Principal::system("test")),
    }
}

fn granted(events: &[limit::Event]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| match event {
            limit::Event::SlotGranted { run } => Some(run.id().to_owned()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_limit_grants_in_order_and_never_more_than_it_may() {
    let (decider, mut slots) = (LimitDecider, limit::Slots::default());
    let run = |n: u32| address(&format!("t/control-plane/run/run-{n}"));
    let mut limited = |command| send(&decider, &mut slots, "t/control-plane/limit/d", command).unwrap();
    let request = |n| limit::Command::RequestSlot { run: run(n), max: 2 };
    let release = |n| limit::Command::ReleaseSlot { run: run(n) };
    assert_eq!(granted(&limited(request(1))), ["run-1"]);
    assert_eq!(granted(&limited(request(2))), ["run-2"]);
    assert!(granted(&limited(request(3))).is_empty());
    assert!(granted(&limited(request(4))).is_empty());
    assert!(limited(request(3)).is_empty(), "asking twice is asking once");
    assert!(granted(&limited(release(3))).is_empty(), "one that left the line frees nothing");
    assert_eq!(granted(&limited(release(1))), ["run-4"]);
    assert!(limited(release(1)).is_empty(), "giving back twice is giving back once");
    let more = limit::Command::RequestSlot { run: run(5), max: 3 };
    assert_eq!(granted(&limited(more)), ["run-5"], "the latest word on the bound counts");
}

#[test]
fn keys_of_limits_never_meet() {
    let names: std::collections::BTreeSet<String> =
        ["", "a", "a b", "::", "d"].iter().map(|key| limit::name("d", &json!(key))).collect();
    assert_eq!(names.len(), 5);
    for name in names {
        assert!(Address::new(&TenantId::parse("t").unwrap(), limit::KIND, &name).is_ok(), "{name}");
    }
}

const HELLO: &str = "name: hello\nsteps: [{ id: a, skill: text.echo }]";

fn publish(source: &str) -> catalogue::Command {
    let definition = definition(source).message;
    catalogue::Command::PublishDefinition {
        digest: digest(&definition),
        definition: to_json(&definition),
        source: Some(source.to_owned()),
    }
}

#[test]
fn versions_are_numbered_and_the_same_content_is_the_same_version() {
    let decider = DefinitionDecider::new(Plans::default());
    let mut state = catalogue::Definitions::default();
    let to = "t/control-plane/definition/hello";
    assert_eq!(send(&decider, &mut state, to, publish(HELLO)).unwrap().len(), 1);
    assert!(send(&decider, &mut state, to, publish(HELLO)).unwrap().is_empty());
    let other = HELLO.replace("id: a", "id: b");
    send(&decider, &mut state, to, publish(&other)).unwrap();
    let view = decider.view(&state, "");
    assert_eq!((view["latest"].clone(), view["versions"].as_array().unwrap().len()), (json!(2), 2));
    assert_eq!(decider.view(&state, "version:1")["definition"]["steps"][0]["id"], "a");
    assert_eq!(decider.view(&state, "latest")["definition"]["steps"][0]["id"], "b");
    assert!(decider.view(&state, "version:3").is_null());

    let refused =
        send(&decider, &mut catalogue::Definitions::default(), "t/control-plane/definition/bye", publish(HELLO))
            .unwrap_err();
    assert_eq!(refused.code(), "DEF-0002");
    let catalogue::Command::PublishDefinition { definition, source, .. } = publish(HELLO) else { panic!() };
    let forged =
        catalogue::Command::PublishDefinition { digest: mesh_kernel::ports::Digest::of(b"other"), definition, source };
    assert_eq!(send(&decider, &mut state, to, forged).unwrap_err().code(), "DEF-0001");
}

#[test]
fn a_child_goes_from_its_parent_over_its_definition_and_back() {
    let decider = DefinitionDecider::new(Plans::default());
    let mut state = catalogue::Definitions::default();
    let to = "test/control-plane/definition/hello";
    send(&decider, &mut state, to, publish(HELLO)).unwrap();

    let parent = submitted("name: p\nsteps: [{ id: sub, workflow: hello, with: { x: 1 } }]", empty());
    let (at, asked) = parent.events.last().unwrap();
    let reaction = react(&envelope("test/control-plane/run/run-1", asked, *at)).unwrap().remove(0);
    assert_eq!(reaction.to.as_str(), to);
    let launch: catalogue::Command = decode_tagged(&reaction.command.name, &reaction.command.bytes).unwrap();
    let launched = send(&decider, &mut state, to, launch).unwrap().remove(0);

    let reaction = react(&envelope(to, &launched, AT)).unwrap().remove(0);
    assert!(reaction.to.is(run::KIND));
    let Command::SubmitRun(submit) = decode_tagged::<Command>(&reaction.command.name, &reaction.command.bytes).unwrap()
    else {
        panic!()
    };
    assert_eq!((submit.definition.version, &submit.input), (1, &json!({"x": 1})));
    assert_eq!(submit.parent.as_ref().unwrap().depth, 1);

    let mut child = Simulation::new(reaction.to.id()).unwrap();
    child.send(Command::SubmitRun(submit)).unwrap();
    ok(&mut child, "a", empty());
    let (at, ended) = child.events.last().unwrap();
    let reaction = react(&envelope(reaction.to.as_str(), ended, *at)).unwrap().remove(0);
    assert_eq!(reaction.to.as_str(), "test/control-plane/run/run-1");
    let told: Command = decode_tagged(&reaction.command.name, &reaction.command.bytes).unwrap();
    let mut parent = parent;
    parent.send(told).unwrap();
    assert_eq!(parent.run.status, Status::Succeeded);
}

#[test]
fn a_child_that_is_cancelled_before_it_is_submitted_never_begins() {
    let mut child = Simulation::new("run-child").unwrap();
    let cancel = || Command::CancelRun { reason: "its parent was cancelled".into() };
    child.send(cancel()).unwrap();
    child.send(cancel()).unwrap();
    assert_eq!(child.events.len(), 1);
    child.submit(&definition(HELLO), empty()).unwrap();
    assert_eq!(names(&child), ["RunForestalled", "RunSubmitted", "RunCancelled"]);
    assert_eq!(child.run.status, Status::Cancelled);
    assert!(child.wants().effects.is_empty());
}

#[test]
fn a_callers_cancel_of_a_run_that_was_never_submitted_finds_nothing() {
    let caller = Principal { name: "key:ci".into(), roles: vec![Role::Developer], on_behalf_of: None };
    let cause = Cause {
        address: address("test/control-plane/run/run-none"),
        event_id: EventId::parse("evt-1").unwrap(),
        at: AT,
        principal: caller,
        trace_id: TraceId::parse("trace-1").unwrap(),
        correlation_id: CorrelationId::parse("c").unwrap(),
        key: None,
        version: 0,
    };
    let cancel = Command::CancelRun { reason: "a guess".into() };
    let refused = run::RunDecider::default().decide(&run::Run::default(), cancel, &cause).unwrap_err();
    assert_eq!(Refuse::kind(&refused), ErrorKind::NotFound);
}

#[test]
fn the_end_of_a_child_that_nobody_waits_for_changes_nothing() {
    let mut parent = submitted("name: p\nsteps: [{ id: sub, workflow: hello, with: { x: 1 } }]", empty());
    parent.send(Command::CancelRun { reason: String::new() }).unwrap();
    let before = parent.events.len();
    let result = ChildResult::Succeeded { outputs: empty(), taint: Vec::new() };
    parent.send(Command::RecordChild { step: "sub".into(), item: None, child: "run-late".into(), result }).unwrap();
    assert_eq!(parent.events.len(), before);
}

const CLERK: &str = "name: p\nsteps: [{ id: ask, agent: { agent: clerk, goal: 'sort ${input.n} letters' }, with: { n: '${input.n}' }, timeout: 1m }, { id: b, needs: ask, skill: text.echo, with: { text: '${steps.ask.output.text}' } }]";

#[test]
fn what_an_agent_gives_is_the_output_of_its_step() {
    let mut run = submitted(CLERK, json!({ "n": 3 }));
    let Event::TaskRequested { agent, goal, input, task, .. } = &run.events.last().unwrap().1 else { panic!() };
    assert_eq!((agent.as_ref(), goal.as_str(), input.as_ref()), ("clerk", "sort 3 letters", &json!({ "n": 3 })));
    let task = task.clone();
    assert_eq!(run.tasks(), [("ask".to_owned(), task.clone(), "clerk".to_owned())]);
    run.end_task("ask".into(), "task-other".into(), Answer::Output(json!({ "text": "no" }))).unwrap();
    assert_eq!(state(&run, "ask"), "Running", "the end of another task is none of its business");
    run.end_task("ask".into(), task, Answer::Output(json!({ "text": "done" }))).unwrap();
    assert_eq!(state(&run, "ask"), "Succeeded");
    let wants = run.wants();
    assert_eq!(Simulation::call(&wants.effects[0]).unwrap().input, json!({ "text": "done" }));
}

#[test]
fn what_came_from_outside_goes_with_the_data_and_with_nothing_else() {
    let source = "name: p\nsteps: [{ id: page, skill: text.echo, with: { text: x } }, { id: form, skill: text.echo, with: { text: y } }, { id: short, needs: page, skill: text.echo, with: { text: '${steps.page.output.text}' } }, { id: reads, needs: [short, form], agent: { agent: clerk, goal: 'sort ${steps.short.output.text}' } }, { id: not, needs: [short, form], when: 'steps.short.output.text == \"a\"', agent: { agent: clerk }, with: { n: '${steps.form.output.text}' } }]";
    let mut run = submitted(source, empty());
    let requests = run.wants().effects;
    for request in requests {
        let call = Simulation::call(&request).unwrap();
        let outcome = SkillOutcome {
            echo: call.echo.clone(),
            key: request.key,
            attempt: request.attempt,
            result: SkillResult::Ok { output: json!({ "text": "a" }) },
            log: LogRef::default(),
            tainted: call.step == "page",
        };
        run.send(Command::RecordOutcome(Box::new(outcome))).unwrap();
    }
    let short = run.wants().effects.remove(0);
    run.answer(&short, Answer::Output(json!({ "text": "a" }))).unwrap();
    let told = run.events.iter().filter_map(|(_, event)| match event {
        Event::TaskRequested { step, parent, .. } => Some((step.as_ref(), parent.taint.clone())),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told, [("reads", vec!["skill:text.echo".to_owned()]), ("not", Vec::new())]);
}

#[test]
fn a_task_that_nobody_waits_for_any_more_is_told_so() {
    for stop in ["cancel", "timeout"] {
        let mut run = submitted(CLERK, json!({ "n": 3 }));
        let (_, task, _) = run.tasks().remove(0);
        match stop {
            "cancel" => drop(run.send(Command::CancelRun { reason: String::new() }).unwrap()),
            _ => drop(fire(&mut run, "timeout:ask")),
        }
        let told = run.events.iter().find_map(|(_, event)| match event {
            Event::WaitsAbandoned { tasks, .. } => Some(tasks.clone()),
            _ => None,
        });
        assert_eq!(told, Some(vec![task.clone()]), "{stop}");
        let before = run.events.len();
        run.end_task("ask".into(), task, Answer::Output(empty())).unwrap();
        assert_eq!(run.events.len(), before, "{stop}: its end came too late");
    }
}

#[test]
fn a_child_of_an_unknown_definition_fails_its_step_and_nobody_waits_for_ever() {
    let decider = DefinitionDecider::default();
    let mut state = catalogue::Definitions::default();
    let to = "test/control-plane/definition/nobody";
    let launch = catalogue::Launch {
        run: "run-x".into(),
        version: None,
        input: Arc::new(empty()),
        parent: Parent {
            run: address("test/control-plane/run/run-1"),
            step: "sub".into(),
            item: None,
            depth: 1,
            taint: Vec::new(),
        },
    };
    let refused = send(&decider, &mut state, to, catalogue::Command::LaunchRun(launch)).unwrap().remove(0);
    let reaction = react(&envelope(to, &refused, AT)).unwrap().remove(0);
    let told: Command = decode_tagged(&reaction.command.name, &reaction.command.bytes).unwrap();
    let Command::RecordChild { result: ChildResult::Failed { failure }, .. } = told else { panic!("{told:?}") };
    assert!(failure.message.contains("publish it"), "{failure}");
}

#[test]
fn a_definition_that_calls_itself_ends_at_a_bound() {
    let mut run = Simulation::new("run-deep").unwrap();
    let source = definition(HELLO);
    let submit = |depth| run::SubmitRun {
        definition: run::DefinitionRef { name: "hello".into(), version: 1, digest: source.digest },
        workflow: (&to_json(&source.message)).into(),
        input: empty(),
        request_id: None,
        body: None,
        project: None,
        labels: Default::default(),
        parent: Some(Parent {
            run: address("t/control-plane/run/p"),
            step: "s".into(),
            item: None,
            depth,
            taint: Vec::new(),
        }),
        submitted_by: None,
    };
    let refused = run.send(Command::SubmitRun(Box::new(submit(17)))).unwrap_err();
    assert_eq!(refused.code(), "RUN-0006");
    run.send(Command::SubmitRun(Box::new(submit(16)))).unwrap();
}

#[test]
fn a_history_reads_as_a_timeline() {
    let mut run = submitted("name: n\nsteps: [{ id: a, skill: text.echo }, { id: b, needs: a, timer: 90s }]", empty());
    fail(&mut run, "a", FailureClass::External);
    fire(&mut run, "retry:a.1");
    run.pass(std::time::Duration::from_secs(3));
    ok(&mut run, "a", empty());
    fire(&mut run, "timer:b");
    let events: Vec<Envelope> =
        run.events.iter().map(|(at, event)| envelope("test/control-plane/run/run-1", event, *at)).collect();
    let text = history::timeline(&events);
    for part in ["submitted by system:test: n version 1", "failed, again at", "#2", "(3s)", "(1m30s)", "succeeded"] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    assert_eq!(text.lines().count(), run.events.len() + 1);
}

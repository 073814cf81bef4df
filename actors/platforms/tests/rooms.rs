//! The rooms together: what is applied becomes a run, what a run announces becomes facts, and what
//! people say reaches the run that waits for it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod house;

use house::{House, person};
use mesh_kernel::envelope::{Principal, Role};
use mesh_platforms::{
    control_plane::messages::{BlueprintCommand, Source},
    governance::messages::{ApprovalCommand, Decision},
    runtime_cloud::messages::{Spec, WorkloadCommand},
};
use mesh_skills::{
    blueprint,
    contract::{Failure, SkillCall, WorkloadSpec},
};
use mesh_workflows::{
    definition::{self, Known, to_json},
    run::{Command as RunCommand, DefinitionRef, SubmitRun},
};
use serde_json::{Value, json};

const BLUEPRINT: &str = "acme/control-plane/blueprint/booking";
const PRODUCT: &str = "acme/product/product/booking";
const WORKLOAD: &str = "acme/runtime-cloud/workload/booking";
const REPOSITORY: &str = "acme/devops/repository/booking";

fn alice() -> Principal {
    person("key:alice", &[Role::Developer])
}

fn apply(house: &mut House) -> Vec<String> {
    let command = apply_command(house, BLUEPRINT);
    house.send(&alice(), BLUEPRINT, &command).unwrap()
}

/// Applies it in another tenant too; the run's address.
fn apply_in(house: &mut House, blueprint: &str) -> String {
    let command = apply_command(house, blueprint);
    house.send(&alice(), blueprint, &command).unwrap();
    let tenant = blueprint.split('/').next().unwrap();
    format!("{tenant}/control-plane/run/{}", house.view(blueprint)["latest"]["run"]["id"].as_str().unwrap())
}

fn apply_command(house: &House, blueprint: &str) -> BlueprintCommand {
    let text = include_str!("../../../config/blueprints/booking.yaml");
    let parsed = blueprint::parse(text, "booking.yaml").unwrap();
    BlueprintCommand::ApplyBlueprint {
        name: "booking".into(),
        digest: blueprint::digest(&parsed).parse().unwrap(),
        source: Source::Inline(text.into()),
        base: house.view(blueprint)["released"]["digest"].as_str().map(|d| d.parse().unwrap()),
        sentences: Vec::new(),
    }
}

/// The address of the blueprint's latest run.
fn run(house: &House) -> String {
    let view = house.view(BLUEPRINT);
    format!("acme/control-plane/run/{}", view["latest"]["run"]["id"].as_str().unwrap())
}

/// What the native skills would answer.
fn skill(call: &SkillCall) -> Result<Value, Failure> {
    Ok(match call.skill.as_str() {
        "template.render" => json!({ "digest": "sha256:aa", "templateDigest": "sha256:bb" }),
        "repository.commit" => json!({ "commit": "1234567abcdef", "repository": "/data/booking.git" }),
        "product.test" => json!({ "passed": 23, "failed": 0 }),
        "product.start" => json!({ "url": "http://127.0.0.1:4000", "logins": [{ "tenant": "north" }] }),
        _ => json!({}),
    })
}

fn failing(which: &'static str) -> impl FnMut(&SkillCall) -> Result<Value, Failure> {
    move |call| match call.skill == which {
        true => Err(Failure::validation("test", "it does not build")),
        false => skill(call),
    }
}

#[test]
fn an_applied_blueprint_becomes_a_delivered_product() {
    let mut house = House::new();
    apply(&mut house);
    let run = run(&house);
    let asked = house.answer(&run, skill);
    assert_eq!(asked.first().unwrap(), "blueprint.validate");
    assert_eq!(house.view(&run)["state"], "Succeeded", "{}", house.view(&run));
    assert_eq!(house.view(BLUEPRINT)["released"]["version"], 1);
    let product = house.view(PRODUCT);
    assert_eq!(product["url"], "http://127.0.0.1:4000");
    assert_eq!(product["commit"], "1234567abcdef");
    assert_eq!(product["tests"], json!({ "passed": 23, "failed": 0 }));
    assert_eq!(product["logins"][0]["tenant"], "north");
    let head = &house.view(REPOSITORY)["commits"][0];
    assert_eq!((&head["build"]["succeeded"], &head["tests"]["passed"]), (&json!(true), &json!(23)));
    assert!(house.refused.is_empty(), "{:?}", house.refused);
}

#[test]
fn a_failed_run_goes_on_from_its_failed_step_and_asks_nothing_twice() {
    let mut house = House::new();
    apply(&mut house);
    let first = run(&house);
    let asked = house.answer(&first, failing("product.build"));
    assert_eq!(house.view(BLUEPRINT)["latest"]["run"]["state"], "failed");
    apply(&mut house);
    assert_eq!(run(&house), first, "a retry keeps the run's id");
    let again = house.answer(&first, skill);
    assert_eq!(again.first(), asked.last(), "it begins with what failed");
    assert!(!again.contains(&"repository.commit".to_owned()), "{again:?}");
    assert_eq!(house.view(BLUEPRINT)["latest"]["run"]["state"], "succeeded");
    assert!(house.refused.is_empty(), "{:?}", house.refused);
}

#[test]
fn a_cancelled_run_begins_anew_under_another_id() {
    let mut house = House::new();
    apply(&mut house);
    let first = run(&house);
    house.send(&alice(), &first, &RunCommand::CancelRun { reason: "never mind".into() }).unwrap();
    assert_eq!(house.view(BLUEPRINT)["latest"]["run"]["state"], "cancelled");
    apply(&mut house);
    assert_ne!(run(&house), first);
    house.answer(&run(&house), skill);
    assert_eq!(house.view(BLUEPRINT)["released"]["version"], 1);
    assert!(house.refused.is_empty(), "{:?}", house.refused);
}

fn start(house: &mut House) {
    let launch = WorkloadSpec {
        name: "booking".into(),
        program: "/p/app".into(),
        args: Vec::new(),
        folder: "/p".into(),
        env: Default::default(),
        state: "/p/state".into(),
        commit: "1234567abcdef".into(),
        ready_within: std::time::Duration::from_secs(30),
        memory_max: None,
    };
    let spec = Spec { run: String::new(), launch };
    house.send(&alice(), WORKLOAD, &WorkloadCommand::StartWorkload { spec }).unwrap();
}

fn started(house: &mut House, incarnation: u32, url: &str) {
    let process = json!({ "pid": 7, "started": 1, "boot": "b" });
    let content = json!({ "incarnation": incarnation, "process": process, "url": url });
    house.outcome(&WORKLOAD.parse().unwrap(), "RecordProcessStart", &content);
}

#[test]
fn a_finished_product_that_is_applied_again_is_served_again() {
    let mut house = House::new();
    apply(&mut house);
    start(&mut house);
    started(&mut house, 1, "http://127.0.0.1:4000");
    let run = run(&house);
    house.answer(&run, skill);
    house.send(&alice(), WORKLOAD, &WorkloadCommand::StopWorkload { reason: String::new() }).unwrap();
    house.outcome(&WORKLOAD.parse().unwrap(), "RecordProcessStop", &json!({ "incarnation": 1 }));
    assert_eq!(house.view(WORKLOAD)["state"], "Stopped");
    assert_eq!(house.view(PRODUCT)["state"], "Stopped");

    let said = apply(&mut house);
    assert_eq!(said, ["blueprint/booking ProductServingRequested"]);
    assert_eq!(house.view(WORKLOAD)["state"], "Starting");
    started(&mut house, 2, "http://127.0.0.1:5000");
    assert_eq!(house.view(PRODUCT)["url"], "http://127.0.0.1:5000");
    assert!(house.effects(&run).is_empty(), "no step is repeated");
    assert!(house.refused.is_empty(), "{:?}", house.refused);
}

const GATED: &str = "
name: gated
steps:
  - id: review
    approval:
      title: Release it?
      subject: ${input}
      quorum: 1
      escalateAfter: 1h
      deadline: 2h
  - id: release
    needs: [review]
    skill: text.echo
    with: { text: done }
";
const RUN: &str = "acme/control-plane/run/run-gated";

/// A run of alice's that waits for an approval; the approval's address.
fn gated(house: &mut House) -> String {
    let gated = definition::parse(GATED, None, &Known::default()).unwrap();
    let submit = SubmitRun {
        definition: DefinitionRef { name: "gated".into(), version: 1, digest: gated.digest },
        workflow: (&to_json(&gated.message)).into(),
        input: json!({ "version": 3 }),
        request_id: None,
        body: None,
        project: None,
        labels: Default::default(),
        parent: None,
        submitted_by: None,
    };
    house.send(&alice(), RUN, &RunCommand::SubmitRun(Box::new(submit))).unwrap();
    let opened = house.said.iter().find(|said| said.ends_with("ApprovalOpened"));
    let id = opened.and_then(|said| said.split([' ', '/']).nth(1)).unwrap();
    format!("acme/governance/approval/{id}")
}

fn decide(house: &House, approval: &str, decision: Decision) -> ApprovalCommand {
    let digest = house.view(approval)["digest"].as_str().unwrap().to_owned();
    ApprovalCommand::DecideApproval { decision, digest, comment: "seen".into() }
}

#[test]
fn a_run_waits_for_people_and_goes_on_when_they_say_yes() {
    let mut house = House::new();
    let approval = gated(&mut house);
    assert!(house.effects(RUN).is_empty());
    let yes = decide(&house, &approval, Decision::Approve);

    let herself = person("key:alice", &[Role::Developer, Role::Approver]);
    assert_eq!(house.send(&herself, &approval, &yes).unwrap_err().code, "GOV-0005");
    let bob = person("key:bob", &[Role::Approver]);
    house.send(&bob, &approval, &yes).unwrap();
    assert_eq!(house.answer(RUN, skill), ["text.echo"]);
    assert_eq!(house.view(RUN)["state"], "Succeeded");
    assert!(house.refused.is_empty(), "{:?}", house.refused);
}

#[test]
fn a_no_ends_the_run() {
    let mut house = House::new();
    let approval = gated(&mut house);
    let no = decide(&house, &approval, Decision::Reject);
    house.send(&person("key:bob", &[Role::Approver]), &approval, &no).unwrap();
    assert_eq!(house.view(RUN)["state"], "Failed");
    assert!(house.refused.is_empty(), "{:?}", house.refused);
}

#[test]
fn silence_ends_the_run_as_well() {
    let mut house = House::new();
    let approval = gated(&mut house);
    house.fire(&approval, "escalate");
    assert_eq!(house.view(&approval)["state"], "escalated");
    house.fire(&approval, "expire");
    assert_eq!(house.view(&approval)["state"], "expired");
    assert_eq!(house.view(RUN)["state"], "Failed");
}

#[test]
fn nobody_is_asked_for_a_run_that_was_cancelled() {
    let mut house = House::new();
    let approval = gated(&mut house);
    house.send(&alice(), RUN, &RunCommand::CancelRun { reason: "never mind".into() }).unwrap();
    assert_eq!(house.view(&approval)["state"], "cancelled");
    let yes = ApprovalCommand::DecideApproval {
        decision: Decision::Approve,
        digest: house.view(&approval)["digest"].as_str().unwrap().to_owned(),
        comment: String::new(),
    };
    let bob = person("key:bob", &[Role::Approver]);
    assert_eq!(house.send(&bob, &approval, &yes).unwrap_err().code, "GOV-0003");
    assert!(house.refused.is_empty(), "{:?}", house.refused);
}

#[test]
fn the_same_blueprint_in_two_tenants_makes_two_products() {
    let mut house = House::new();
    apply(&mut house);
    let ours = run(&house);
    let theirs = apply_in(&mut house, "globex/control-plane/blueprint/booking");
    assert!(house.view(&theirs)["state"] == "Running" && theirs.rsplit('/').next() != ours.rsplit('/').next());
    house.answer(&ours, skill);
    assert_eq!(house.view(PRODUCT)["state"], "Serving");
    assert_eq!(house.view("globex/product/product/booking"), Value::Null);
}

/// A run whose one step gives a task; the task's address.
fn asks_an_agent(house: &mut House, run: &str) -> String {
    let source = "name: mail\nsteps: [{ id: sort, agent: { agent: clerk, goal: sort }, with: { n: 3 } }]";
    let mail = definition::parse(source, None, &Known::default()).unwrap();
    let submit = SubmitRun {
        definition: DefinitionRef { name: "mail".into(), version: 1, digest: mail.digest },
        workflow: (&to_json(&mail.message)).into(),
        input: json!({}),
        request_id: None,
        body: None,
        project: None,
        labels: Default::default(),
        parent: None,
        submitted_by: None,
    };
    house.send(&alice(), run, &RunCommand::SubmitRun(Box::new(submit))).unwrap();
    let assigned = house.said.iter().rev().find(|said| said.ends_with(" AgentTaskAssigned")).unwrap();
    format!("acme/agent-mesh/{}", assigned.split(' ').next().unwrap())
}

#[test]
fn the_end_of_a_task_ends_the_step_that_gave_it() {
    let mut house = House::new();
    let run = "acme/control-plane/run/run-1";
    let task = asks_an_agent(&mut house, run);
    assert_eq!(house.view(&task)["submittedBy"], "key:alice");
    let request = house.effects(&task).remove(0);
    let failure = Failure::validation("agent.unknown", "there is no agent `clerk`");
    let outcome = json!({ "key": request.key, "result": { "Failed": { "failure": failure } } });
    house.outcome(&task.parse().unwrap(), "RecordContext", &outcome);
    assert_eq!(house.view(run)["state"], "Failed");
    assert_eq!(house.view(run)["failure"]["code"], "agent.unknown");
    assert_eq!(house.refused, [""; 0]);
}

#[test]
fn a_run_that_is_cancelled_ends_its_task() {
    let mut house = House::new();
    let run = "acme/control-plane/run/run-1";
    let task = asks_an_agent(&mut house, run);
    house.send(&alice(), run, &RunCommand::CancelRun { reason: "enough".into() }).unwrap();
    assert_eq!(house.view(&task)["state"], "Cancelled");
    assert!(house.effects(&task).is_empty());
    assert_eq!(house.refused, [""; 0]);
}

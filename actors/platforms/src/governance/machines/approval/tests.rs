//! The table of tests.

use super::*;
use crate::governance::messages::{Held, Unsent};
use crate::table::{Row, START, Table, check};

fn request(digest: &str, quorum: u32) -> Command {
    Command::RequestApproval(Request {
        run: "acme/control-plane/run/run-1".parse().unwrap(),
        step: "review".into(),
        title: "Release it?".into(),
        description: String::new(),
        digest: digest.into(),
        held: None,
        quorum,
        roles: Vec::new(),
        barred: vec!["robot-owner".into()],
        escalate_at: None,
        expire_at: None,
    })
}

fn decide(decision: Decision, digest: &str) -> Command {
    Command::DecideApproval { decision, digest: digest.into(), comment: "because".into() }
}

fn approve(digest: &str) -> Command {
    decide(Decision::Approve, digest)
}

fn fire(table: &mut Table<ApprovalMachine>, name: &str) -> Result<Vec<String>, String> {
    let timer = table.due(name);
    table.by_system().send(Command::FireTimer { name: timer.name, due: timer.due })
}

/// Alice asked for `d1` with this quorum; bob, an approver, sends next.
fn pending(quorum: u32) -> Table<ApprovalMachine> {
    let machine = ApprovalMachine::default();
    let mut table = Table::new(machine, "acme/governance/approval/appr-1");
    table.send(request("d1", quorum)).unwrap();
    table.by("bob", &[Role::Approver]);
    table
}

#[test]
fn an_approval_that_nobody_asked_for_is_not_found() {
    let cancel = Command::CancelApproval { reason: String::new() };
    let timer = Command::FireTimer { name: ESCALATE.into(), due: START };
    let rows: [Row<Command>; 4] = [
        ("decide", approve("d1"), Err("GOV-0001")),
        ("cancel", cancel, Err("GOV-0001")),
        ("timer", timer, Err("GOV-0001")),
        ("ask", request("d1", 1), Ok(&["ApprovalOpened"])),
    ];
    for (what, command, expected) in rows {
        let machine = ApprovalMachine::default();
        let mut table = Table::new(machine, "acme/governance/approval/appr-1");
        check(what, table.send(command), expected);
    }
}

#[test]
fn a_pending_approval_answers_each_command() {
    let stale = Command::FireTimer { name: EXPIRE.into(), due: START };
    let strange = Command::FireTimer { name: "tea".into(), due: START };
    let cancel = Command::CancelApproval { reason: "the run ended".into() };
    let rows: [Row<Command>; 9] = [
        ("yes", approve("d1"), Ok(&["ApprovalVoteCast", "ApprovalGranted"])),
        ("no", decide(Decision::Reject, "d1"), Ok(&["ApprovalRejected"])),
        ("yes to something else", approve("d2"), Err("GOV-0002")),
        ("no to something else", decide(Decision::Reject, "d0"), Err("GOV-0002")),
        ("asked again", request("d1", 5), Ok(&[])),
        ("asked for another", request("d2", 1), Ok(&["ApprovalVoided", "ApprovalOpened"])),
        ("cancel", cancel, Ok(&["ApprovalCancelled"])),
        ("a stale timer", stale, Ok(&[])),
        ("a strange timer", strange, Ok(&[])),
    ];
    for (what, command, expected) in rows {
        check(what, pending(1).send(command), expected);
    }
}

#[test]
fn what_is_closed_is_decided_no_more() {
    let cancel = || Command::CancelApproval { reason: String::new() };
    let closings = [approve("d1"), decide(Decision::Reject, "d1"), cancel()];
    for closing in closings {
        let mut table = pending(1);
        table.send(closing).unwrap();
        assert!(table.wants().timers.is_empty());
        table.by("carol", &[Role::Approver]);
        check("decide", table.send(approve("d1")), Err("GOV-0003"));
        check("cancel", table.send(cancel()), Ok(&[]));
        check("asked again", table.send(request("d1", 1)), Ok(&[]));
    }
}

#[test]
fn nobody_decides_what_they_asked_for_or_made() {
    for who in ["alice", "robot-owner"] {
        let mut table = pending(1);
        let roles = [Role::Approver, Role::Admin, Role::Operator];
        check(who, table.by(who, &roles).send(approve("d1")), Err("GOV-0005"));
        check(who, table.send(decide(Decision::Reject, "d1")), Err("GOV-0005"));
    }
}

#[test]
fn only_the_asked_roles_and_admins_decide() {
    for role in [Role::Developer, Role::Viewer, Role::Operator] {
        let mut table = pending(1);
        check(role.as_str(), table.by("bob", &[role]).send(approve("d1")), Err("GOV-0004"));
    }
    let mut table = pending(1);
    check(
        "an admin",
        table.by("root", &[Role::Admin]).send(approve("d1")),
        Ok(&["ApprovalVoteCast", "ApprovalGranted"]),
    );
}

#[test]
fn a_quorum_is_of_different_people() {
    let mut table = pending(2);
    check("first", table.send(approve("d1")), Ok(&["ApprovalVoteCast"]));
    check("the same again", table.send(approve("d1")), Err("GOV-0006"));
    table.by("carol", &[Role::Approver]);
    check("second", table.send(approve("d1")), Ok(&["ApprovalVoteCast", "ApprovalGranted"]));
    assert_eq!(table.last("ApprovalGranted")["by"], serde_json::json!(["bob", "carol"]));
}

#[test]
fn another_digest_voids_every_vote() {
    let mut table = pending(2);
    table.send(approve("d1")).unwrap();
    table.by("alice", &[Role::Developer]).send(request("d2", 2)).unwrap();
    table.by("carol", &[Role::Approver]);
    check("the old digest", table.send(approve("d1")), Err("GOV-0002"));
    check("one of two", table.send(approve("d2")), Ok(&["ApprovalVoteCast"]));
    table.by("bob", &[Role::Approver]);
    check("two of two", table.send(approve("d2")), Ok(&["ApprovalVoteCast", "ApprovalGranted"]));
}

#[test]
fn a_grant_is_void_when_its_digest_changes() {
    let mut table = pending(1);
    table.send(approve("d1")).unwrap();
    table.by("alice", &[Role::Developer]).send(request("d2", 1)).unwrap();
    assert_eq!(table.view()["state"], "pending");
    assert_eq!(table.view()["round"], 2);
}

#[test]
fn one_no_is_enough() {
    let mut table = pending(2);
    table.send(approve("d1")).unwrap();
    table.by("carol", &[Role::Approver]);
    check("no", table.send(decide(Decision::Reject, "d1")), Ok(&["ApprovalRejected"]));
    assert_eq!(table.view()["decidedBy"], serde_json::json!(["carol"]));
}

#[test]
fn silence_escalates_and_then_is_a_no() {
    let mut table = pending(1);
    check("escalates", fire(&mut table, ESCALATE), Ok(&["ApprovalEscalated"]));
    assert_eq!(table.view()["state"], "escalated");
    check("expires", fire(&mut table, EXPIRE), Ok(&["ApprovalExpired"]));
    assert_eq!(table.view()["state"], "expired");

    let mut table = pending(1);
    fire(&mut table, ESCALATE).unwrap();
    table.by("bob", &[Role::Approver]);
    check("late, but not too late", table.send(approve("d1")), Ok(&["ApprovalVoteCast", "ApprovalGranted"]));
}

#[test]
fn a_request_that_nobody_could_decide_is_refused() {
    let mut system = request("d1", 1);
    if let Command::RequestApproval(request) = &mut system {
        request.roles = vec![Role::System];
    }
    let rows: [Row<Command>; 3] = [
        ("no digest", request("", 1), Err("GOV-0007")),
        ("a huge quorum", request("d1", 11), Err("GOV-0007")),
        ("the node's role", system, Err("GOV-0007")),
    ];
    for (what, command, expected) in rows {
        let machine = ApprovalMachine::default();
        let mut table = Table::new(machine, "acme/governance/approval/appr-1");
        check(what, table.send(command), expected);
    }
}

#[test]
fn an_approval_that_expires_at_once_still_wakes_somebody() {
    let machine = ApprovalMachine::default();
    let mut table = Table::new(machine, "acme/governance/approval/appr-1");
    let mut asked = request("d1", 1);
    if let Command::RequestApproval(request) = &mut asked {
        request.expire_at = Some(START);
    }
    table.send(asked).unwrap();
    let names: Vec<_> = table.wants().timers.into_iter().map(|timer| timer.name).collect();
    assert_eq!(names, [EXPIRE]);
}

fn held(command: &str, request: &str, digest: &str) -> Command {
    Command::RequestApproval(Request {
        run: "acme/control-plane/run/run-1".parse().unwrap(),
        step: String::new(),
        title: "CancelRun of run run-1".into(),
        description: String::new(),
        digest: digest.into(),
        held: Some(Box::new(Held { command: command.into(), request: request.into(), policy: "test".into() })),
        quorum: 1,
        roles: Vec::new(),
        barred: Vec::new(),
        escalate_at: None,
        expire_at: None,
    })
}

/// Alice's `CancelRun` waits; bob, an approver, sends next.
fn holding() -> Table<ApprovalMachine> {
    let mut table = Table::new(ApprovalMachine::default(), "acme/governance/approval/appr-1");
    table.send(held("CancelRun", "r1", "d1")).unwrap();
    table.by("bob", &[Role::Approver]);
    table
}

fn released(refused: Option<&str>) -> Command {
    let refused = refused.map(|code| Unsent { code: code.into(), message: "no".into() });
    Command::RecordRelease { refused }
}

#[test]
fn a_command_that_waits_is_asked_for_once_and_never_becomes_another() {
    let rows: [Row<Command>; 6] = [
        // What is minted for a repeat differs, and so does its digest; the request is the same.
        ("the same request", held("CancelRun", "r1", "d2"), Ok(&[])),
        ("another request", held("CancelRun", "r2", "d1-b"), Err("GOV-0008")),
        ("another command", held("RetryRun", "r1", "d3"), Err("GOV-0008")),
        ("a step under its id", request("d4", 1), Err("GOV-0008")),
        ("an outcome before the grant", released(None), Err("GOV-0009")),
        ("yes to what was not shown", approve("d2"), Err("GOV-0002")),
    ];
    for (what, command, expected) in rows {
        check(what, holding().send(command), expected);
    }
}

#[test]
fn a_granted_command_is_wanted_until_what_came_of_it_is_recorded() {
    for (refused, event) in [(None, "CommandReleased"), (Some("RUN-0007"), "CommandRefused")] {
        let mut table = holding();
        assert!(table.wants().effects.is_empty(), "it was sent before it was approved");
        table.send(approve("d1")).unwrap();
        let wanted = table.wants().effects;
        assert_eq!((wanted.len(), wanted[0].handler), (1, RELEASE));
        let input: Release = serde_json::from_slice(&wanted[0].input).unwrap();
        assert_eq!(input, Release { approval: "appr-1".into(), body: "d1".into() });
        assert!(table.wants().timers.is_empty(), "nobody waits for a decision any more");
        table.by_system();
        check("the outcome", table.send(released(refused)), Ok(&[event]));
        check("the outcome again", table.send(released(None)), Ok(&[]));
        assert!(table.wants().effects.is_empty(), "it would be sent twice");
        assert_eq!(table.view()["release"]["refused"]["code"].as_str(), refused);
    }
}

#[test]
fn a_command_that_was_not_approved_is_never_sent() {
    for end in ["no", "silence", "cancelled"] {
        let mut table = holding();
        match end {
            "no" => drop(table.send(decide(Decision::Reject, "d1")).unwrap()),
            "silence" => drop(fire(&mut table, EXPIRE).unwrap()),
            _ => drop(table.by_system().send(Command::CancelApproval { reason: String::new() }).unwrap()),
        }
        assert!(table.wants().effects.is_empty(), "{end}");
        check(end, table.send(released(None)), Err("GOV-0009"));
        table.by("alice", &[Role::Developer]);
        check("asked again", table.send(held("CancelRun", "r1", "d9")), Ok(&[]));
        assert!(table.wants().effects.is_empty(), "{end}: asking again opened it");
    }
}

#[test]
fn whoever_sent_a_command_does_not_approve_it() {
    let mut table = holding();
    table.by("alice", &[Role::Approver, Role::Admin]);
    check("alice", table.send(approve("d1")), Err("GOV-0005"));
}

#[test]
fn an_approval_shows_the_trace_of_what_asked_for_it() {
    assert_eq!(holding().view()["traceId"], "trace-1");
}

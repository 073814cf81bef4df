//! The table of tests.

use std::{collections::BTreeMap, time::Duration};

use mesh_kernel::envelope::Role;
use mesh_skills::{contract::WorkloadSpec, product::process::ProcessId};
use serde_json::{Value, json};

use super::*;
use crate::table::{Expected, Row, START, Table, check};

fn spec(commit: &str) -> Spec {
    Spec {
        run: "run-1".into(),
        launch: WorkloadSpec {
            name: "helpdesk".into(),
            program: "/p/app".into(),
            args: Vec::new(),
            folder: "/p".into(),
            env: BTreeMap::new(),
            state: "/p/state".into(),
            commit: commit.into(),
            ready_within: Duration::from_secs(30),
            memory_max: None,
        },
    }
}

fn start(commit: &str) -> Command {
    Command::StartWorkload { spec: spec(commit) }
}

fn stop() -> Command {
    Command::StopWorkload { reason: "asked".into() }
}

fn started(incarnation: u32) -> Command {
    Command::RecordProcessStart {
        incarnation,
        process: ProcessId { pid: 40 + incarnation, started: 7, boot: "b".into() },
        url: "http://127.0.0.1:4000".into(),
        adopted: false,
    }
}

fn exited(incarnation: u32, how: ExitKind) -> Command {
    Command::RecordProcessExit { incarnation, exit: Exit { how, message: "code 1".into() } }
}

fn stopped(incarnation: u32) -> Command {
    Command::RecordProcessStop { incarnation }
}

fn fire(table: &mut Table<WorkloadMachine>) -> Result<Vec<String>, String> {
    let timer = table.due(RESTART);
    table.send(Command::FireTimer { name: timer.name, due: timer.due })
}

/// The action and the key of the one effect that is wanted, if any.
fn wanted(table: &Table<WorkloadMachine>) -> Option<(Value, String)> {
    let effects = table.wants().effects;
    assert!(effects.len() <= 1, "one process, one effect: {effects:?}");
    let effect = effects.into_iter().next()?;
    let work: Value = serde_json::from_slice(&effect.input).unwrap();
    Some((work["action"].clone(), effect.key.as_str().to_owned()))
}

fn at(commands: &[Command]) -> Table<WorkloadMachine> {
    let machine = WorkloadMachine::default();
    let mut table = Table::new(machine, "acme/runtime-cloud/workload/helpdesk");
    table.by("system:skills", &[Role::System]);
    for command in commands {
        table.send(command.clone()).unwrap();
    }
    table
}

fn starting() -> Table<WorkloadMachine> {
    at(&[start("c1")])
}

fn running() -> Table<WorkloadMachine> {
    at(&[start("c1"), started(1)])
}

fn stopping() -> Table<WorkloadMachine> {
    at(&[start("c1"), started(1), stop()])
}

fn waiting() -> Table<WorkloadMachine> {
    at(&[start("c1"), started(1), exited(1, ExitKind::Exited)])
}

fn timer() -> Command {
    Command::FireTimer { name: RESTART.into(), due: START }
}

type Make = fn() -> Table<WorkloadMachine>;

fn run(state: &str, make: Make, rows: Vec<Row<Command>>) {
    for (what, command, expected) in rows {
        check(&format!("{state}: {what}"), make().send(command), expected);
    }
}

#[test]
fn every_state_answers_every_command() {
    let late = Err("RTC-0002");
    let (asked, nothing): (Expected<'_>, Expected<'_>) = (Ok(&["WorkloadRequested"]), Ok(&[]));
    run(
        "absent",
        || at(&[]),
        vec![
            ("start", start("c1"), asked),
            ("serve", Command::ServeWorkload {}, Err("RTC-0001")),
            ("stop", stop(), nothing),
            ("started", started(0), late),
            ("exited", exited(0, ExitKind::Lost), late),
            ("stopped", stopped(0), late),
            ("timer", timer(), nothing),
        ],
    );
    run(
        "starting",
        starting,
        vec![
            ("the same", start("c1"), nothing),
            ("another", start("c2"), asked),
            ("serve", Command::ServeWorkload {}, nothing),
            ("stop", stop(), Ok(&["WorkloadStopRequested"])),
            ("started", started(1), Ok(&["ProcessStarted"])),
            ("started late", started(2), late),
            ("exited", exited(1, ExitKind::NotStarted), Ok(&["ProcessExited"])),
            ("stopped", stopped(1), late),
            ("timer", timer(), nothing),
        ],
    );
    run(
        "running",
        running,
        vec![
            ("the same", start("c1"), nothing),
            ("another", start("c2"), asked),
            ("stop", stop(), Ok(&["WorkloadStopRequested"])),
            ("started twice", started(1), late),
            ("exited", exited(1, ExitKind::Exited), Ok(&["ProcessExited"])),
            ("exited late", exited(0, ExitKind::Exited), late),
            ("stopped", stopped(1), late),
        ],
    );
    run(
        "stopping",
        stopping,
        vec![
            ("start", start("c1"), asked),
            ("serve", Command::ServeWorkload {}, asked),
            ("stop", stop(), nothing),
            ("started", started(1), late),
            ("exited", exited(1, ExitKind::Exited), late),
            ("stopped", stopped(1), Ok(&["ProcessStopped"])),
        ],
    );
    run(
        "waiting",
        waiting,
        vec![
            ("start at once", start("c1"), asked),
            ("stop", stop(), Ok(&["WorkloadStopRequested"])),
            ("exited", exited(1, ExitKind::Exited), late),
            ("a stale timer", timer(), nothing),
        ],
    );
}

#[test]
fn each_phase_wants_exactly_one_thing() {
    let rows: [(Make, Option<(&str, &str)>); 4] = [
        (starting, Some(("start", "helpdesk.1.start"))),
        (running, Some(("watch", "helpdesk.1.watch"))),
        (stopping, Some(("stop", "helpdesk.1.stop"))),
        (waiting, None),
    ];
    for (make, expected) in rows {
        let expected = expected.map(|(action, key)| (json!(action), key.to_owned()));
        assert_eq!(wanted(&make()), expected);
    }
}

#[test]
fn a_new_version_starts_only_after_the_old_one_was_stopped() {
    let mut table = running();
    table.send(start("c2")).unwrap();
    assert_eq!(wanted(&table).unwrap().0, "stop");
    table.send(stopped(1)).unwrap();
    assert_eq!(wanted(&table).unwrap(), (json!("start"), "helpdesk.2.start".to_owned()));
    assert_eq!(table.view()["commit"], "c2");
}

#[test]
fn what_was_stopped_stays_stopped_until_it_is_asked_for() {
    let mut table = stopping();
    table.send(stopped(1)).unwrap();
    assert_eq!(table.view()["state"], "Stopped");
    assert_eq!(wanted(&table), None);
    check("serve", table.send(Command::ServeWorkload {}), Ok(&["WorkloadRequested"]));
    assert_eq!(wanted(&table).unwrap().1, "helpdesk.2.start");
}

#[test]
fn a_start_without_outcome_is_stopped_before_anything_else() {
    let mut table = starting();
    table.send(stop()).unwrap();
    assert_eq!(wanted(&table).unwrap().0, "stop");
    check("too late", table.send(started(1)), Err("RTC-0002"));
}

#[test]
fn failures_wait_longer_each_time_and_are_never_given_up() {
    let mut table = starting();
    let mut waits = Vec::new();
    for incarnation in 1..=9 {
        table.send(exited(incarnation, ExitKind::NotStarted)).unwrap();
        let until: Timestamp = table.last("ProcessExited")["restartAt"].as_str().unwrap().parse().unwrap();
        let now: Timestamp = table.view()["since"].as_str().unwrap().parse().unwrap();
        waits.push(until.since(now).as_secs());
        check("again", fire(&mut table), Ok(&["WorkloadRestarted"]));
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(table.view()["state"], "CrashLooping");
}

#[test]
fn a_process_that_was_up_long_enough_begins_counting_anew() {
    let mut table = running();
    table.send(exited(1, ExitKind::Exited)).unwrap();
    fire(&mut table).unwrap();
    table.send(started(2)).unwrap();
    table.later(Duration::from_secs(61));
    table.send(exited(2, ExitKind::Exited)).unwrap();
    assert_eq!(table.last("ProcessExited")["failures"], 1);
}

#[test]
fn what_was_lost_with_the_machine_starts_again_at_once_but_only_once() {
    let mut table = running();
    table.send(exited(1, ExitKind::Lost)).unwrap();
    assert_eq!(wanted(&table).unwrap().1, "helpdesk.2.start");
    table.send(exited(2, ExitKind::Lost)).unwrap();
    assert_eq!(table.view()["state"], "Waiting");
}

#[test]
fn every_later_start_asks_for_the_port_of_the_last_one() {
    let mut table = starting();
    let port = |table: &Table<WorkloadMachine>| -> Value {
        let effect = table.wants().effects.remove(0);
        serde_json::from_slice::<Value>(&effect.input).unwrap()["port"].clone()
    };
    assert_eq!(port(&table), Value::Null);
    table.send(started(1)).unwrap();
    table.send(exited(1, ExitKind::Lost)).unwrap();
    assert_eq!(port(&table), 4000);
    table.send(start("c2")).unwrap();
    table.send(stopped(2)).unwrap();
    assert_eq!(port(&table), 4000, "another version is found where the first one was");
}

//! The table of tests.

use mesh_kernel::ports::content::INLINE_MAX;

use super::*;
use crate::table::{Expected, Row, Table, check};

/// The blueprint of this name: `one`, or one of those that grew from it.
fn text(which: &str) -> String {
    let one = include_str!("../../../../../../config/blueprints/booking.yaml");
    let notes = "      - { name: notes, type: text, max: 2000 }\n";
    assert!(one.contains(notes), "the shipped blueprint has changed: mend this test");
    let grown = |field: &str| one.replacen(notes, &format!("{notes}      - {field}\n"), 1);
    match which {
        "one" => one.to_owned(),
        "two" => grown("{ name: colour, type: string, max: 20 }"),
        "three" => grown("{ name: weight_in_kg, title: Weight, type: integer }"),
        "renamed" => one.replacen("title: Equipment Booking", "title: Tool Library", 1),
        other => other.to_owned(),
    }
}

fn digest(which: &str) -> Digest {
    match mesh_skills::blueprint::parse(&text(which), "test") {
        Ok(blueprint) => mesh_skills::blueprint::digest(&blueprint).parse().unwrap(),
        Err(_) => Digest::of(which.as_bytes()),
    }
}

fn apply(which: &str, base: Option<&str>) -> Command {
    Command::ApplyBlueprint {
        name: "booking".into(),
        digest: digest(which),
        source: Source::Inline(text(which)),
        base: base.map(digest),
        sentences: Vec::new(),
    }
}

fn table() -> Table<BlueprintMachine> {
    Table::new(BlueprintMachine, "acme/control-plane/blueprint/booking")
}

/// Applied once, and its run moved so far.
fn applied(states: &[RunState]) -> Table<BlueprintMachine> {
    let mut table = table();
    table.send(apply("one", None)).unwrap();
    let run = run(&table);
    for state in states {
        table.send(Command::RecordRun { run: run.clone(), state: *state }).unwrap();
    }
    table
}

fn run(table: &Table<BlueprintMachine>) -> String {
    table.last("ProductRunRequested")["run"].as_str().unwrap().to_owned()
}

#[test]
fn the_first_apply_makes_version_one_and_asks_for_a_run() {
    let mut table = table();
    check("first", table.send(apply("one", None)), Ok(&["BlueprintApplied", "ProductRunRequested"]));
    assert_eq!(table.view()["latest"]["number"], 1);
    assert_eq!(table.view()["latest"]["change"], "new");
    assert_eq!(table.view()["latest"]["run"]["state"], "running");
    assert!(run(&table).starts_with("run-"));
}

#[test]
fn the_same_blueprint_again_goes_on_where_its_run_stands() {
    use RunState::{Cancelled, Failed, Running, Succeeded};
    let rows: [(&[RunState], &[&str]); 6] = [
        (&[], &[]),
        (&[Failed], &["ProductRunRetryRequested"]),
        (&[Cancelled], &["ProductRunRequested"]),
        (&[Succeeded], &["ProductServingRequested"]),
        (&[Failed, Running], &[]),
        (&[Failed, Running, Succeeded], &["ProductServingRequested"]),
    ];
    for (states, expected) in rows {
        let answer = applied(states).send(apply("one", None));
        check(&format!("{states:?}"), answer, Ok(expected));
    }
}

#[test]
fn a_failed_run_is_retried_under_its_own_id_and_a_cancelled_one_under_a_new_one() {
    let mut failed = applied(&[RunState::Failed]);
    failed.send(apply("one", None)).unwrap();
    assert_eq!(failed.last("ProductRunRetryRequested")["run"], *run(&failed));
    check("asked once", failed.send(apply("one", None)), Ok(&[]));

    let mut cancelled = applied(&[RunState::Cancelled]);
    let before = run(&cancelled);
    cancelled.send(apply("one", None)).unwrap();
    assert_ne!(run(&cancelled), before);
}

#[test]
fn an_edited_blueprint_is_the_next_version_once_the_run_before_has_ended() {
    let rows: [(&[RunState], Option<&str>, Expected<'_>); 6] = [
        (&[], None, Err("CTL-0036")),
        (&[RunState::Succeeded], Some("one"), Ok(&["BlueprintApplied", "ProductRunRequested"])),
        (&[RunState::Succeeded], None, Err("CTL-0035")),
        (&[RunState::Succeeded], Some("other"), Err("CTL-0035")),
        // Nothing was released yet, so nobody's files can be broken.
        (&[RunState::Failed], None, Ok(&["BlueprintApplied", "ProductRunRequested"])),
        (&[RunState::Cancelled], None, Ok(&["BlueprintApplied", "ProductRunRequested"])),
    ];
    for (states, base, expected) in rows {
        check(&format!("{states:?}"), applied(states).send(apply("two", base)), expected);
    }
}

#[test]
fn what_cannot_be_a_version_is_refused() {
    let long = "x".repeat(INLINE_MAX + 1);
    let mut other = apply("one", None);
    if let Command::ApplyBlueprint { name, .. } = &mut other {
        *name = "helpdesk".into();
    }
    let mut forged = apply("one", None);
    if let Command::ApplyBlueprint { digest, .. } = &mut forged {
        *digest = Digest::of(b"another");
    }
    let rows: [Row<Command>; 4] = [
        ("name", other, Err("CTL-0030")),
        ("size", apply(&long, None), Err("CTL-0031")),
        ("digest", forged, Err("CTL-0032")),
        ("text", apply("kind: Blueprint", None), Err("CTL-0033")),
    ];
    for (what, command, expected) in rows {
        check(what, table().send(command), expected);
    }
    let mut released = applied(&[RunState::Succeeded]);
    let refusal = released.try_send(apply("renamed", Some("one"))).unwrap_err();
    assert_eq!(refusal.code, "CTL-0034");
    assert!(refusal.message.contains("`title`"), "{refusal}");
}

#[test]
fn a_run_that_is_not_ours_says_nothing() {
    let mut table = applied(&[]);
    let strange = Command::RecordRun { run: "run-strange".into(), state: RunState::Failed };
    check("strange", table.send(strange), Ok(&[]));
    let same = Command::RecordRun { run: run(&table), state: RunState::Running };
    check("nothing new", table.send(same), Ok(&[]));
}

#[test]
fn a_version_that_failed_is_not_what_the_next_one_is_compared_with() {
    let mut table = applied(&[RunState::Succeeded]);
    table.send(apply("two", Some("one"))).unwrap();
    let two = run(&table);
    table.send(Command::RecordRun { run: two, state: RunState::Failed }).unwrap();
    assert_eq!(table.view()["released"]["version"], 1);
    check("against one", table.send(apply("three", Some("one"))), Ok(&["BlueprintApplied", "ProductRunRequested"]));
    assert_eq!(table.view_of("source")["latest"]["source"], text("three"));
    assert_eq!(table.view_of("source")["released"]["source"], text("one"));
}

//! The table of tests.

use super::*;
use crate::table::{Expected, Row, Table, check};

fn apply(source: &str, base: Option<&str>) -> Command {
    Command::ApplyBlueprint {
        name: "helpdesk".into(),
        digest: Digest::of(source.as_bytes()),
        source: Source::Inline(source.into()),
        base: base.map(|base| Digest::of(base.as_bytes())),
    }
}

fn table() -> Table<BlueprintMachine> {
    Table::new(BlueprintMachine, "acme/control-plane/blueprint/helpdesk")
}

/// Applied once, and its run moved so far.
fn applied(states: &[RunState]) -> Table<BlueprintMachine> {
    let mut table = table();
    table.send(apply("one", None)).unwrap();
    let run = run(&table);
    for state in states {
        table
            .send(Command::RecordRun {
                run: run.clone(),
                state: *state,
            })
            .unwrap();
    }
    table
}

fn run(table: &Table<BlueprintMachine>) -> String {
    table.last("ProductRunRequested")["run"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn the_first_apply_makes_version_one_and_asks_for_a_run() {
    let mut table = table();
    check(
        "first",
        table.send(apply("one", None)),
        Ok(&["BlueprintApplied", "ProductRunRequested"]),
    );
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
    assert_eq!(
        failed.last("ProductRunRetryRequested")["run"],
        *run(&failed)
    );
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
        (
            &[RunState::Succeeded],
            Some("one"),
            Ok(&["BlueprintApplied", "ProductRunRequested"]),
        ),
        (&[RunState::Succeeded], None, Err("CTL-0035")),
        (&[RunState::Succeeded], Some("other"), Err("CTL-0035")),
        // Nothing was released yet, so nobody's files can be broken.
        (
            &[RunState::Failed],
            None,
            Ok(&["BlueprintApplied", "ProductRunRequested"]),
        ),
        (
            &[RunState::Cancelled],
            None,
            Ok(&["BlueprintApplied", "ProductRunRequested"]),
        ),
    ];
    for (states, base, expected) in rows {
        check(
            &format!("{states:?}"),
            applied(states).send(apply("two", base)),
            expected,
        );
    }
}

#[test]
fn what_cannot_be_a_version_is_refused() {
    let long = "x".repeat(INLINE_MAX + 1);
    let mut other = apply("one", None);
    if let Command::ApplyBlueprint { name, .. } = &mut other {
        *name = "booking".into();
    }
    let rows: [Row<Command>; 2] = [
        ("name", other, Err("CTL-0030")),
        ("size", apply(&long, None), Err("CTL-0031")),
    ];
    for (what, command, expected) in rows {
        check(what, table().send(command), expected);
    }
}

#[test]
fn a_run_that_is_not_ours_says_nothing() {
    let mut table = applied(&[]);
    let strange = Command::RecordRun {
        run: "run-strange".into(),
        state: RunState::Failed,
    };
    check("strange", table.send(strange), Ok(&[]));
    let same = Command::RecordRun {
        run: run(&table),
        state: RunState::Running,
    };
    check("nothing new", table.send(same), Ok(&[]));
}

#[test]
fn a_version_that_failed_is_not_what_the_next_one_is_compared_with() {
    let mut table = applied(&[RunState::Succeeded]);
    table.send(apply("two", Some("one"))).unwrap();
    let two = run(&table);
    table
        .send(Command::RecordRun {
            run: two,
            state: RunState::Failed,
        })
        .unwrap();
    assert_eq!(table.view()["released"]["version"], 1);
    check(
        "against one",
        table.send(apply("three", Some("one"))),
        Ok(&["BlueprintApplied", "ProductRunRequested"]),
    );
    assert_eq!(table.view_of("source")["latest"]["source"], "three");
    assert_eq!(table.view_of("source")["released"]["source"], "one");
}

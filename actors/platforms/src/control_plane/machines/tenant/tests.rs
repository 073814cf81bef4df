//! The table of tests.

use super::*;
use crate::table::{Row, Table, check};

fn create() -> Command {
    Command::CreateTenant { name: "Acme".into(), development: false }
}

fn issue(name: &str, secret: &str, roles: &[Role]) -> Command {
    Command::IssueKey { name: name.into(), hash: Digest::of(secret.as_bytes()), roles: roles.to_vec() }
}

fn revoke(key: &str) -> Command {
    Command::RevokeKey { key: key.into() }
}

/// A tenant with one key, operator and admin, as a first start makes it.
fn first_start() -> Table<TenantMachine> {
    let mut table = Table::new(TenantMachine, "acme/control-plane/tenant/acme");
    table.by_system();
    table.send(create()).unwrap();
    table.send(issue("first", "s1", &[Role::Operator, Role::Admin])).unwrap();
    table
}

#[test]
fn nothing_can_be_asked_of_a_tenant_that_is_not_there() {
    let rows: [Row<Command>; 6] = [
        ("delete", Command::DeleteTenant {}, Err("CTL-0001")),
        ("disable", Command::DisableTenant { reason: String::new() }, Err("CTL-0001")),
        ("enable", Command::EnableTenant {}, Err("CTL-0001")),
        ("issue", issue("ci", "s", &[Role::Viewer]), Err("CTL-0001")),
        ("revoke", revoke("ci"), Err("CTL-0001")),
        ("create", create(), Ok(&["TenantCreated"])),
    ];
    for (what, command, expected) in rows {
        let mut table = Table::new(TenantMachine, "acme/control-plane/tenant/acme");
        check(what, table.by_system().send(command), expected);
    }
}

#[test]
fn a_tenant_by_which_the_node_is_run_cannot_be_deleted() {
    let mut table = first_start();
    check("delete", table.send(Command::DeleteTenant {}), Err("CTL-0013"));
}

#[test]
fn of_a_deleted_tenant_nothing_can_be_asked_any_more() {
    let rows: [Row<Command>; 6] = [
        ("delete again", Command::DeleteTenant {}, Ok(&[])),
        ("create", create(), Err("CTL-0012")),
        ("disable", Command::DisableTenant { reason: String::new() }, Err("CTL-0012")),
        ("enable", Command::EnableTenant {}, Err("CTL-0012")),
        ("issue", issue("ci", "s2", &[Role::Viewer]), Err("CTL-0012")),
        ("revoke", revoke("first"), Err("CTL-0012")),
    ];
    for (what, command, expected) in rows {
        let mut table = Table::new(TenantMachine, "acme/control-plane/tenant/acme");
        table.by_system();
        table.send(create()).unwrap();
        table.send(issue("first", "s1", &[Role::Admin])).unwrap();
        check("delete", table.send(Command::DeleteTenant {}), Ok(&["TenantDeleted"]));
        check(what, table.send(command), expected);
    }
}

#[test]
fn a_tenant_cannot_be_made_inside_another() {
    let mut table = Table::new(TenantMachine, "acme/control-plane/tenant/globex");
    check("create", table.by_system().send(create()), Err("CTL-0001"));
}

#[test]
fn a_living_tenant_answers_each_command() {
    let rows: [Row<Command>; 14] = [
        ("the same again", create(), Ok(&[])),
        ("another name", Command::CreateTenant { name: "B".into(), development: false }, Err("CTL-0002")),
        ("another use", Command::CreateTenant { name: "Acme".into(), development: true }, Err("CTL-0002")),
        ("disable", Command::DisableTenant { reason: "x".into() }, Ok(&["TenantDisabled"])),
        ("enable", Command::EnableTenant {}, Ok(&[])),
        ("issue", issue("ci", "s2", &[Role::Developer]), Ok(&["KeyIssued"])),
        ("the same key", issue("first", "s1", &[Role::Admin, Role::Operator]), Ok(&[])),
        ("the same secret", issue("ci", "s1", &[Role::Viewer]), Err("CTL-0007")),
        ("the same name", issue("first", "s2", &[Role::Viewer]), Err("CTL-0007")),
        ("no roles", issue("ci", "s2", &[]), Err("CTL-0005")),
        ("the node's role", issue("ci", "s2", &[Role::System]), Err("CTL-0006")),
        ("a bad name", issue("key:first", "s2", &[Role::Viewer]), Err("CTL-0003")),
        ("the last key", revoke("first"), Err("CTL-0010")),
        ("a strange key", revoke("nobody"), Err("CTL-0009")),
    ];
    for (what, command, expected) in rows {
        check(what, first_start().send(command), expected);
    }
}

#[test]
fn a_disabled_tenant_issues_no_keys_and_can_come_back() {
    let mut table = first_start();
    table.send(Command::DisableTenant { reason: "unpaid".into() }).unwrap();
    check("again", table.send(Command::DisableTenant { reason: "x".into() }), Ok(&[]));
    check("issue", table.send(issue("ci", "s2", &[Role::Viewer])), Err("CTL-0004"));
    assert_eq!(table.view()["state"], "Disabled");
    check("enable", table.send(Command::EnableTenant {}), Ok(&["TenantEnabled"]));
    check("issue", table.send(issue("ci", "s2", &[Role::Viewer])), Ok(&["KeyIssued"]));
}

#[test]
fn a_revoked_key_never_comes_back() {
    let mut table = first_start();
    table.send(issue("ci", "s2", &[Role::Developer])).unwrap();
    check("by name", table.send(revoke("ci")), Ok(&["KeyRevoked"]));
    let id = table.last("KeyRevoked")["key"].as_str().unwrap().to_owned();
    check("again", table.send(revoke(&id)), Ok(&[]));
    check("same secret", table.send(issue("ci", "s2", &[Role::Developer])), Err("CTL-0008"));
    check("new secret", table.send(issue("ci", "s3", &[Role::Developer])), Ok(&["KeyIssued"]));
}

#[test]
fn the_last_way_in_is_kept_and_a_rotation_works() {
    let mut table = first_start();
    table.send(issue("second", "s2", &[Role::Operator])).unwrap();
    check("still the last admin", table.send(revoke("first")), Err("CTL-0010"));
    table.send(issue("third", "s3", &[Role::Admin])).unwrap();
    check("rotated", table.send(revoke("first")), Ok(&["KeyRevoked"]));
}

#[test]
fn nobody_gives_a_role_that_is_above_their_own() {
    let rows = [
        (Role::Admin, Role::Operator, Err("CTL-0006")),
        (Role::Admin, Role::Admin, Ok(())),
        (Role::Developer, Role::Viewer, Err("CTL-0006")),
        (Role::Operator, Role::Operator, Ok(())),
        (Role::Operator, Role::System, Err("CTL-0006")),
    ];
    for (own, given, expected) in rows {
        let mut table = first_start();
        let answer = table.by("bob", &[own]).send(issue("x", "s9", &[given]));
        assert_eq!(answer.map(|_| ()), expected.map_err(str::to_owned), "{own} gives {given}");
    }
}

#[test]
fn no_view_shows_a_hash() {
    let table = first_start();
    let text = table.view().to_string();
    assert!(!text.contains("sha256"), "{text}");
    assert!(text.contains("key-"), "{text}");
}

#[test]
fn keys_are_bounded_and_revoked_ones_are_forgotten_oldest_first() {
    let mut state = State { name: "Acme".into(), ..State::default() };
    for n in 0..=KEYS_MAX {
        let hash = Digest::of(n.to_string().as_bytes());
        let revoked_at = Some(Timestamp::from_unix_nanos(n as i64));
        let key = Key {
            name: n.to_string(),
            hash,
            roles: vec![Role::Viewer],
            issued_at: Timestamp::default(),
            issued_by: String::new(),
            revoked_at,
        };
        state.keys.insert(KeyId::of(&hash), key);
    }
    forget_oldest_revoked(&mut state);
    assert_eq!(state.keys.len(), KEYS_MAX);
    assert!(!state.keys.contains_key(&KeyId::of(&Digest::of(b"0"))));
}

//! The shipped blueprints are right, and every kind of mistake is told where it stands.

use super::{Change, compare, digest, parse, smoke_requests};

const HELPDESK: &str = include_str!("../../../config/blueprints/helpdesk.yaml");
const BOOKING: &str = include_str!("../../../config/blueprints/booking.yaml");
const LIBRARY: &str = include_str!("../../../config/blueprints/library.yaml");

#[test]
fn the_shipped_blueprints_have_no_mistake() {
    for (source, name, rules) in
        [(HELPDESK, "helpdesk.yaml", 7), (BOOKING, "booking.yaml", 7), (LIBRARY, "library.yaml", 4)]
    {
        match parse(source, name) {
            Ok(blueprint) => assert_eq!(blueprint.rules.len(), rules),
            Err(mistakes) => {
                let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                panic!("{}", told.join("\n"));
            }
        }
    }
}

/// What the shipped cassette drafts is worth the commands that are shown with it.
#[test]
fn the_draft_that_is_shipped_has_no_mistake_and_its_first_attempt_has_three() {
    let mistakes = parse(include_str!("../../../config/agents/cassettes/by-hand/intent/1.blueprint"), "1").unwrap_err();
    assert_eq!(mistakes.len(), 3, "{mistakes:#?}");
    let draft = parse(include_str!("../../../config/agents/cassettes/by-hand/intent/2.blueprint"), "2");
    assert_eq!(draft.unwrap_or_else(|mistakes| panic!("{mistakes:#?}")).name, "dental-helpdesk");
}

/// Replaces a part of the help desk and returns what is told about it.
fn told(from: &str, to: &str) -> Vec<String> {
    assert!(HELPDESK.contains(from), "the help desk has no `{from}`");
    let source = HELPDESK.replacen(from, to, 1);
    match parse(&source, "b.yaml") {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn each_mistake_is_told_with_place_and_remedy() {
    for (from, to, part) in [
        ("title: Helpdesk", "titel: Helpdesk", "no key `titel` (did you mean `title`?)"),
        ("kind: Blueprint", "kind: Workflow", "reads `Blueprint`"),
        ("    label: name", "    label: nmae", "no field `nmae` (did you mean `name`?)"),
        ("        to: customer", "        to: custmer", "no entity `custmer` (did you mean `customer`?)"),
        ("        type: enum", "        type: enumeration", "`enumeration`, which is not known"),
        ("  - name: reply", "  - name: order", "`order` is kept by SQL"),
        ("      - name: phone", "      - name: type", "`type` is kept by Rust"),
        ("      - name: notes", "      - name: phone", "the field `phone` stands here twice"),
        ("create: [admin, agent]", "create: [admin, agnet]", "no role `agnet`"),
        ("      initial: open", "      initial: opne", "no state `opne`"),
        ("from: [resolved], to: closed", "from: [resolved], to: open", "no record can reach the state `closed`"),
        ("entity: ticket\n    when", "entity: tickets\n    when", "no entity `tickets`"),
        ("field: priority, equals: urgent", "field: priority, equals: urgnt", "`urgnt` does not fit `priority`"),
        ("on: [transition.start,", "on: [transition.begin,", "no moment `begin`"),
        ("customer: '@customer:3'", "customer: '@customer:9'", "names row 9 of `customer`, which has 4"),
        ("due_on: +1d", "due_on: soon", "`soon` does not fit `due_on`"),
        ("    limits: { users: 3,", "    limits: { user: 3,", "no `users` or entity `user`"),
        ("edition: team }", "edition: teem }", "no edition `teem`"),
        ("        max: 80", "        max: eighty", "`max` must be a whole number"),
        ("require: { field: assignee, is: set }", "require: { field: assignee }", "nothing is asked of `assignee`"),
        ("ticket.state, equals: closed", "ticket.stat, equals: closed", "no field of `ticket` `stat`"),
        ("path: tickets", "path: settings", "kept by the product's own pages"),
    ] {
        let told = told(from, to);
        assert!(told.iter().any(|one| one.contains(part)), "{to}: {told:#?}");
        assert!(told.iter().all(|one| one.starts_with("b.yaml:")), "{told:#?}");
    }
}

const WRITTEN: &str = "rules:\n  - sentence: A phone number has a country code.\n    entity: customer\n    by: agent\n";

#[test]
fn a_rule_that_an_agent_writes_needs_no_condition() {
    let plain = parse(&HELPDESK.replacen("rules:\n", WRITTEN, 1), "b.yaml").unwrap();
    let rule = plain.written().next().unwrap();
    assert_eq!((rule.name.as_str(), plain.written().count()), ("a_phone_number_has_a_country_code", 1));
    let examples = "    refused: { phone: '1' }\n    accepted: { phone: '+1' }\n";
    let shown = parse(&HELPDESK.replacen("rules:\n", &format!("{WRITTEN}{examples}"), 1), "b.yaml").unwrap();
    assert_eq!(shown.written().next().unwrap().refused.len(), 1);
    assert_ne!(digest(&plain), digest(&shown));
    assert!(
        matches!(compare(&parse(HELPDESK, "a").unwrap(), &plain), Change::Additive { rules, .. } if rules.len() == 1)
    );
}

#[test]
fn mistakes_of_a_rule_that_an_agent_writes_are_told() {
    for (more, part) in [
        ("    on: [transition.start]\n", "no moment `start`"),
        ("    field: fone\n", "no field of `customer` `fone`"),
        ("    require: { field: phone, is: set }\n", "a rule has no key `require`"),
        ("    given: []\n", "a rule has no key `given`"),
        ("    refused: { phone: '1' }\n", "one example stands alone"),
        ("    refused: { fone: '1' }\n    accepted: { phone: '2' }\n", "`fone`"),
    ] {
        let told = told("rules:\n", &format!("{WRITTEN}{more}"));
        assert!(told.iter().any(|one| one.contains(part)), "{more}: {told:#?}");
    }
    let told = told("rules:\n", &WRITTEN.replace("by: agent", "by: nobody"));
    assert!(told.iter().any(|one| one.contains("`nobody`, which is not known")), "{told:#?}");
    let many: String =
        (0..21).map(|number| WRITTEN.replace("rules:\n", "").replace("A phone", &format!("Phone {number}"))).collect();
    let told = self::told("rules:\n", &format!("rules:\n{many}"));
    assert!(told.iter().any(|one| one.contains("more than 20 rules are `by: agent`")), "{told:#?}");
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let source = HELPDESK
        .replacen("title: Helpdesk", "titel: Helpdesk", 1)
        .replacen("type: enum", "type: enums", 1)
        .replacen("edition: team }", "edition: teem }", 1);
    let mistakes = parse(&source, "b.yaml").unwrap_err();
    let lines: Vec<u32> = mistakes.iter().map(|mistake| mistake.line).collect();
    assert!(lines.len() >= 3, "{mistakes:#?}");
    assert!(lines.is_sorted(), "{lines:?}");
}

#[test]
fn the_digest_is_of_the_content_and_not_of_the_text() {
    let blueprint = parse(HELPDESK, "a").unwrap();
    let commented = parse(&format!("# a comment\n{HELPDESK}"), "b").unwrap();
    assert_eq!(digest(&blueprint), digest(&commented));
    assert!(digest(&blueprint).starts_with("sha256:"));
    assert_ne!(digest(&blueprint), digest(&parse(BOOKING, "c").unwrap()));
}

fn changed(from: &str, to: &str) -> Change {
    assert!(HELPDESK.contains(from), "the help desk has no `{from}`");
    let new = parse(&HELPDESK.replacen(from, to, 1), "b.yaml").unwrap();
    compare(&parse(HELPDESK, "a.yaml").unwrap(), &new)
}

#[test]
fn what_only_adds_is_taken_in() {
    assert_eq!(changed("# A help desk", "# Our help desk"), Change::Same);
    let field = changed(
        "      - name: notes\n        type: text\n        max: 2000\n",
        "      - name: notes\n        type: text\n        max: 2000\n      - name: website\n        type: string\n",
    );
    let Change::Additive { fields, .. } = field else {
        panic!("{field:?}");
    };
    assert_eq!(fields, ["customer.website"]);
    let rule = changed(
        "rules:\n",
        "rules:\n  - sentence: A customer has an email with a name.\n    entity: customer\n    \
         require: { field: email, is: set }\n    refused: { email: null }\n    accepted: { email: a@b.example }\n",
    );
    assert!(matches!(rule, Change::Additive { rules, .. } if rules.len() == 1));
    let transition = changed(
        "        - { name: reopen,",
        "        - { name: give_up, from: [waiting], to: closed, roles: [admin] }\n        - { name: reopen,",
    );
    assert!(matches!(transition, Change::Additive { transitions, .. } if transitions == ["ticket.give_up"]));
}

#[test]
fn what_tenants_would_lose_is_refused_with_a_reason() {
    for (from, to, what) in [
        ("      - name: phone\n        type: string\n", "      - name: phone\n        type: text\n", "customer.phone"),
        ("      - name: customer_since\n", "      - name: customer_from\n", "customer.customer_since"),
        ("        title: Minutes spent\n", "        title: Minutes\n", "reply.minutes_spent"),
        (
            "        title: Only for colleagues\n        type: boolean\n",
            "        title: Only for colleagues\n        type: boolean\n        required: true\n",
            "reply.internal",
        ),
        ("    price: €29 a month", "    price: €39 a month", "editions"),
        ("  noun: company", "  noun: club", "tenancy"),
    ] {
        let source = HELPDESK.replacen(from, to, 1).replace(
            ", customer_since:",
            if what.ends_with("since") { ", customer_from:" } else { ", customer_since:" },
        );
        let new = parse(&source, "b.yaml").unwrap();
        let change = compare(&parse(HELPDESK, "a.yaml").unwrap(), &new);
        let Change::Refused { reasons } = change else {
            panic!("{what}: {change:?}");
        };
        assert!(reasons.iter().any(|refusal| refusal.what == what), "{reasons:#?}");
    }
}

#[test]
fn a_smoke_test_makes_each_record_after_those_it_names() {
    let requests = smoke_requests(&parse(BOOKING, "b").unwrap());
    let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/api/equipment", "/api/bookings"]);
    assert_eq!(requests[1].body["equipment"], "@equipment");
    assert_eq!(requests[0].body["needs_training"], true);
}

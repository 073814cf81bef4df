//! Definitions: every mistake at once, each at its place.

use mesh_skills::yaml::Mistake;
use std::collections::BTreeMap;

use super::*;
use crate::{
    definition::{digest, from_json, to_json},
    testing::run_cases,
};

fn mistakes(source: &str) -> Vec<Mistake> {
    let known = Known {
        skills: Some(BTreeMap::from([
            (
                "mail.send".to_owned(),
                json!({
                    "type": "object", "required": ["to"], "additionalProperties": false,
                    "properties": {"to": {"type": "string"}, "count": {"type": "integer"}},
                }),
            ),
            ("text.echo".to_owned(), json!({"type": "object"})),
        ])),
        agents: Some(BTreeMap::from([("clerk".to_owned(), 2), ("planner".to_owned(), 0)])),
    };
    parse(source, Some("f.yaml"), &known).expect_err("it has mistakes")
}

/// The mistakes as `line:column message help`.
fn told(source: &str) -> Vec<String> {
    mistakes(source)
        .iter()
        .map(|m| format!("{}:{} {} {}", m.line, m.column, m.message, m.help.clone().unwrap_or_default()))
        .collect()
}

#[test]
fn agents_that_nobody_published_are_told_with_their_step() {
    let step = |id: &str, agent: &str| format!("  - {{ id: {id}, agent: {agent} }}\n");
    let good =
        [step("a", "{ agent: clerk }"), step("b", "{ agent: clerk, version: 2 }"), step("c", "{ agent: planner }")];
    let bad = [
        step("d", "{ agent: clark }"),
        step("e", "{ agent: clerk, version: 3 }"),
        step("f", "{ agent: planner, version: 1 }"),
    ];
    let told = told(&format!("name: sort\nsteps:\n{}{}", good.concat(), bad.concat())).join("\n");
    for part in [
        "6:30 there is no agent `clark` did you mean `clerk`?",
        "7:46 agent `clerk` has no version 3 it has 1 to 2",
        "8:48 agent `planner` has no version 1 it comes with the node: leave the version out",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(told.lines().count(), 3, "{told}");
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let source = "name: Bad Name
tilte: x
timeout: soon
steps:
  - id: a
    skil: text.echo
  - id: b
    needs: [aa, c]
    skill: mail.sent
  - id: c
    needs: [b]
    skill: mail.send
    with: { too: x, count: many }
  - id: a
    signal: { name: s }
    compensate: { skill: text.echo }
  - id: d
    skill: text.echo
    when: 'steps.b.output.x >'
    with: { v: '${steps.c.output}' }
outputs:
  x: '${steps.zz.output}'
";
    let told = told(source);
    for (place, part) in [
        ("1:7", "cannot be a definition's name"),
        ("2:1", "did you mean `title`"),
        ("3:10", "a duration is expected"),
        ("6:5", "did you mean `skill`"),
        ("8:13", "there is no step `aa`"),
        ("9:12", "did you mean `mail.send`"),
        ("8:12", "for ever"),
        ("13:11", "needs `to`"),
        ("13:18", "takes no `too`"),
        ("13:28", "`count` does not fit"),
        ("14:9", "already"),
        ("16:17", "no effect"),
        ("19:11", "not CEL"),
        ("22:6", "there is no step `zz`"),
    ] {
        assert!(
            told.iter().any(|line| line.starts_with(&format!("{place} ")) && line.contains(part)),
            "{place} {part} is missing in:\n{}",
            told.join("\n")
        );
    }
}

#[test]
fn a_circle_is_named_step_by_step() {
    let source = "name: c\nsteps:\n  - { id: a, needs: c, skill: text.echo }\n  - { id: b, needs: a, skill: text.echo }\n  - { id: c, needs: b, skill: text.echo }\n  - { id: d, needs: d, skill: text.echo }\n";
    let told = told(source).join("\n");
    assert!(told.contains("`a` needs `c` needs `b` needs `a`"), "{told}");
    assert!(told.contains("`d` needs `d`"), "{told}");
}

#[test]
fn a_step_reads_only_what_it_needs() {
    let source = "name: r\nsteps:\n  - { id: a, skill: text.echo }\n  - { id: b, needs: a, skill: text.echo }\n  - { id: c, needs: b, skill: text.echo, with: { x: '${steps.a.output}' } }\n  - { id: d, skill: text.echo, with: { x: '${steps.a.output}' } }\n";
    let told = told(source);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("6:") && told[0].contains("add `a` to the needs of `d`"), "{told:?}");
}

#[test]
fn each_kind_of_nonsense_is_refused_with_its_reason() {
    for (step, part) in [
        ("{ id: a, agent: { goal: x } }", "cannot be an agent's name"),
        ("{ id: a }", "does not say what it does"),
        ("{ id: a, skill: text.echo, signal: s }", "cannot stand beside"),
        ("{ id: a, timer: { until: tomorrow } }", "no instant"),
        ("{ id: a, timer: {} }", "does not say when"),
        ("{ id: a, approval: { roles: [boss] } }", "is no role"),
        ("{ id: a, approval: { deadline: 1h, escalateAfter: 2h } }", "only after it was rejected"),
        ("{ id: a, forEach: { items: 3, skill: text.echo } }", "no list"),
        ("{ id: a, forEach: { skill: text.echo } }", "which list"),
        ("{ id: a, skill: text.echo, with: { x: '${item}' } }", "only within a for-each"),
        ("{ id: a, skill: text.echo, with: { x: '${output}' } }", "only within `compensate`"),
        ("{ id: a, signal: s, retry: { maxAttempts: 2 } }", "never retried"),
        ("{ id: a, skill: text.echo, retry: { multiplier: 0.5 } }", "cannot grow by"),
        ("{ id: a, skill: text.echo, retry: { maxAttempts: many } }", "a whole number"),
        ("{ id: 9a, skill: text.echo }", "cannot be a step's id"),
        ("{ id: a, needs: 3, skill: text.echo }", "is a list"),
    ] {
        let told = told(&format!("name: n\nsteps:\n  - {step}\n")).join("\n");
        assert!(told.contains(part), "{step}:\n{told}");
    }
    let told = told("name: n\ninputSchema: { type: wrong }\nsteps: [{ id: a, skill: text.echo }]").join("\n");
    assert!(told.starts_with("2:") && told.contains("no JSON Schema"), "{told}");
}

#[test]
fn yaml_and_json_of_the_same_definition_have_the_same_digest() {
    let yaml = definition(
        "
name: same
title: Same
steps:
  - { id: a, skill: text.echo, timeout: 1m30s, with: { n: 3, x: 1.5, list: [1, two] } }
  - { id: b, needs: a, timer: 5m }
",
    );
    let json = to_json(&yaml.message);
    let snake = serde_json::to_string(&json!({
        "title": "Same", "name": "same",
        "steps": [
            {"timeout": "90s", "with": {"list": [1, "two"], "n": 3, "x": 1.5}, "skill": "text.echo", "id": "a"},
            {"id": "b", "needs": ["a"], "timer": {"duration": "300s"}},
        ],
    }))
    .unwrap();
    let read = parse(&snake, None, &Known::default()).unwrap();
    assert_eq!(read.digest, yaml.digest);
    assert_eq!(digest(&from_json(&json).unwrap()), yaml.digest);
    assert_eq!(json["steps"][0]["with"]["n"], 3);
}

#[test]
fn snake_case_keys_are_taken_too() {
    let one = definition("name: n\nsteps: [{ id: a, for_each: { items: [1], skill: x.y } }]");
    let two = definition("name: n\nsteps: [{ id: a, forEach: { items: [1], skill: x.y } }]");
    assert_eq!(one.digest, two.digest);
}

#[test]
fn a_definitions_own_cases_are_run_with_time_skipped() {
    let source = "
name: cases
steps:
  - { id: a, skill: pay.charge, retry: { initialBackoff: 1h, maxBackoff: 4h } }
  - { id: wait, needs: a, timer: 3d }
  - { id: ask, needs: wait, approval: ok? }
  - { id: go, needs: ask, signal: go }
outputs: { paid: '${steps.a.output.paid}' }
tests:
  - name: it works at the third try
    answers:
      - { skill: pay.charge, times: 2, failure: { class: external, code: busy } }
      - { skill: pay.charge, output: { paid: 5 } }
    signals: [{ name: go }]
    expect: { outputs: { paid: 5 }, attempts: { a: 3 }, tookAtLeast: 3d }
  - name: a person says no
    approvals: { ask: false }
    answers: [{ skill: pay.charge, output: { paid: 5 } }]
    expect: { state: failed, failure: approval.rejected, steps: { a: succeeded, go: pending } }
  - name: this one is wrong
    answers: [{ skill: pay.charge, output: { paid: 5 } }]
    signals: [{ name: go }]
    expect: { outputs: { paid: 6 } }
  - name: nobody sends the signal
    answers: [{ skill: pay.charge, output: { paid: 5 } }]
";
    let reports = run_cases(&definition(source));
    assert_eq!(reports[0].problems, Vec::<String>::new());
    assert!(reports[0].took.as_secs() > 3 * 86_400);
    assert_eq!(reports[1].problems, Vec::<String>::new());
    assert_eq!(reports[2].problems, ["output `paid` is 5, not 6"]);
    assert!(reports[3].problems[0].contains("signal `go`"), "{:?}", reports[3]);
}

#[test]
fn an_old_event_and_state_are_read_back_as_they_were() {
    let mut run =
        submitted("name: n\nsteps: [{ id: a, skill: text.echo }, { id: b, needs: a, signal: s }]", json!({"x": 1}));
    ok(&mut run, "a", json!({"y": 2}));
    for (_, event) in &run.events {
        let text = serde_json::to_string(event).unwrap();
        let back: Event = serde_json::from_str(&text).unwrap();
        assert_eq!(&back, event, "{text}");
    }
}

/// The definitions that come with the repository: name and text.
const SHIPPED: [(&str, &str); 6] = [
    ("hello.yaml", include_str!("../../../../config/workflows/hello.yaml")),
    ("order.yaml", include_str!("../../../../config/workflows/order.yaml")),
    ("release.yaml", include_str!("../../../../config/workflows/release.yaml")),
    ("fan-out.yaml", include_str!("../../../../config/workflows/fan-out.yaml")),
    ("onboarding.yaml", include_str!("../../../../config/workflows/onboarding.yaml")),
    ("product.yaml", include_str!("../../../../config/workflows/product.yaml")),
];

#[test]
fn the_shipped_definitions_have_no_mistakes_and_pass_their_own_cases() {
    let validator = jsonschema::validator_for(&crate::definition::schema()).unwrap();
    for (name, source) in SHIPPED {
        let definition = parse(source, Some(name), &Known::default()).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        for report in run_cases(&definition) {
            assert!(report.passed(), "{name}: {}: {:?}", report.name, report.problems);
        }
        let written = mesh_skills::yaml::parse(source).unwrap().to_json();
        let misfits: Vec<String> = validator.iter_errors(&written).map(|e| e.to_string()).collect();
        assert!(misfits.is_empty(), "{name}: {misfits:?}");
    }
}

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::contract::{Accepts, Ceiling, Effect, FailureClass, Gives, Manifest, Permission, Rate};

const WHOLE: &str = "\
name: shop.order
version: 1.2.0
description: Orders what is missing.
category: purchasing
effect: at-least-once
timeout: 1m30s
input: { type: object, required: [item] }
output: { type: object }
failureClasses: [validation]
failures:
  - { code: shop.no-stock, class: external, description: The shop has none now. }
permissions: [network, files]
hosts: [api.example.com]
files: [{ path: orders/**, write: true }]
ceiling: confidential
accepts: tainted
resources: { memoryMax: 67108864, concurrentMax: 4, rate: { calls: 60, per: 1m, burst: 5 } }
examples:
  - { title: nothing to order, input: {}, failure: validation }
  - { title: an order, input: { item: a }, output: { placed: true }, alone: false }
";

fn told(source: &str) -> Vec<String> {
    read(source, "shop.yaml").unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_says_all_that_a_manifest_can_say() {
    let whole = read(WHOLE, "shop.yaml").unwrap();
    assert_eq!((whole.name.as_str(), whole.category()), ("shop.order", "purchasing"));
    assert_eq!((whole.effect, whole.timeout), (Effect::AtLeastOnce, Duration::from_secs(90)));
    assert_eq!(whole.failures, [FailureClass::Validation, FailureClass::External]);
    assert_eq!(whole.permissions, [Permission::Network, Permission::Files]);
    assert_eq!((whole.ceiling, whole.accepts), (Ceiling::Confidential, Accepts::Tainted));
    assert_eq!(whole.resources.concurrent_max, Some(4));
    let rate = Rate { calls: 60, per: Duration::from_secs(60), burst: Some(5) };
    assert_eq!(whole.resources.rate, Some(rate));
    assert!(whole.files[0].write && !whole.examples[1].alone && whole.examples[0].alone);
    assert_eq!(whole.examples[0].gives, Gives::Failure(FailureClass::Validation));
    let least = read("{name: a.b, version: 1.0.0, description: x, effect: pure}", "x").unwrap();
    assert_eq!(least, Manifest::new("a.b", "x"));
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_place_and_the_nearest_key() {
    let several =
        WHOLE.replace("effect: at-least-once", "efect: pure").replace("ceiling: confidential", "ceiling: secret");
    let found = told(&several);
    for mistake in [
        "shop.yaml:1:1: `effect` is missing (add `effect:`)",
        "shop.yaml:5:1: `efect` is not known here (did you mean `effect`?)",
        "shop.yaml:15:10: `ceiling` cannot be `secret` (one of public, internal, confidential, restricted is expected)",
    ] {
        assert!(found.iter().any(|told| told == mistake), "`{mistake}` is missing in {found:#?}");
    }
    for (from, to, place, part) in [
        ("version: 1.2.0", "version: 1.2", "shop.yaml:2:10", "write it in quotes"),
        ("version: 1.2.0", "version: one", "shop.yaml:2:10", "no semantic version"),
        ("1m30s", "soon", "shop.yaml:6:10", "`timeout`"),
        ("timeout: 1m30s", "timeout: 0s", "shop.yaml:6:10", "no time that a call can take"),
        ("class: external", "class: extrenal", "shop.yaml:11:35", "did you mean `external`?"),
        ("{ path: orders/**, write", "{ pth: orders/**, path: a, write", "shop.yaml:14:11", "did you mean `path`?"),
        ("type: object, required: [item]", "type: strnig", "shop.yaml:7:8", "no JSON Schema"),
        ("orders/**, write", "/etc/**, write", "shop.yaml:14:8", "no file scope"),
        ("permissions: [network, files]", "permissions: [files]", "shop.yaml:13:8", "neither `network`"),
        (
            "failure: validation }",
            "failure: validation, output: 1 }",
            "shop.yaml:19:5",
            "one of `output` and `failure`",
        ),
        ("name: shop.order", "name: order", "shop.yaml:1:7", "`name`"),
    ] {
        assert!(WHOLE.contains(from), "{from}");
        let found = told(&WHOLE.replacen(from, to, 1));
        assert!(found.iter().any(|told| told.starts_with(place) && told.contains(part)), "{to}: {found:#?}");
    }
    assert!(told("a: [")[0].starts_with("shop.yaml:"), "{:?}", told("a: ["));
}

#[test]
fn the_schema_and_the_contract_know_the_same_words() {
    let schema = schema();
    let words = |pointer: &str| {
        let found =
            schema.pointer(&format!("/else{pointer}")).and_then(|words| words.as_array()).cloned().unwrap_or_default();
        found.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(words("/properties/ceiling/enum"), Ceiling::ALL.map(|it| it.as_str().to_owned()));
    assert_eq!(words("/properties/accepts/enum"), Accepts::ALL.map(|it| it.as_str().to_owned()));
    assert_eq!(words("/properties/permissions/items/enum"), Permission::ALL.map(|it| it.as_str().to_owned()));
    let classes: Vec<_> = FailureClass::ALL.iter().map(ToString::to_string).filter(|it| it != "cancelled").collect();
    assert_eq!(words("/properties/failures/items/properties/class/enum"), classes);
}

#[test]
fn the_schema_takes_both_kinds_of_files_and_tells_them_apart() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let is_valid = |text: &str| schema.is_valid(&crate::yaml::parse(text).unwrap().to_json());
    assert!(is_valid(WHOLE));
    let server = "{kind: McpServer, name: a, version: 1.0.0, stdio: {command: /bin/x}, defaults: {timeout: 3s}}";
    assert!(is_valid(server) && !is_valid(&server.replace("3s", "soon")));
    assert!(!is_valid("{kind: McpServer, name: a.b, version: 1.0.0, description: x, effect: pure}"));
}

const SKILL: &str = "\
---
name: pdf-forms
description: Fills in PDF forms. Use when a form is to be filled in.
license: Apache-2.0
allowed-tools: Bash(git:*) Read
metadata:
  author: somebody
  version: 1.1
---
# PDF forms

Ask which form it is.
";

#[test]
fn a_folder_of_instructions_becomes_a_skill_that_gives_its_text() {
    let read = read_instructions(SKILL, "SKILL.md", "pdf-forms").unwrap();
    assert_eq!(
        (read.name.as_str(), read.version.as_str(), read.effect),
        ("instructions.pdf-forms", "1.1.0", Effect::Pure)
    );
    assert!(read.description.starts_with("Fills in"), "{}", read.description);
    let given = read.instructions.unwrap();
    assert_eq!(given.text, "# PDF forms\n\nAsk which form it is.");
    assert_eq!(
        (given.license.as_deref(), given.allowed_tools.as_deref()),
        (Some("Apache-2.0"), Some("Bash(git:*) Read"))
    );
    assert_eq!(serde_json::to_value(&given.metadata).unwrap(), json!({"author": "somebody", "version": "1.1"}));
    let plain = SKILL.replace("  version: 1.1\n", "").replace('\n', "\r\n");
    assert_eq!(read_instructions(&plain, "SKILL.md", "pdf-forms").unwrap().version, "1.0.0");
}

#[test]
fn what_is_wrong_with_a_folder_is_told_with_file_and_line() {
    for (from, to, place, part) in [
        ("---\nname", "name", "1:1", "no front matter"),
        ("1.1\n---\n", "1.1\n", "1:1", "does not end"),
        ("name: pdf-forms", "name: PDF", "2:7", "`name`"),
        ("name: pdf-forms", "name: other", "2:7", "its folder is `pdf-forms`"),
        (
            "description: Fills in PDF forms. Use when a form is to be filled in.",
            "x: y",
            "2:1",
            "`description` is missing",
        ),
        ("license", "licence", "4:1", "did you mean `license`?"),
        ("version: 1.1", "version: latest", "8:12", "no semantic version"),
        ("# PDF forms\n\nAsk which form it is.\n", "", "10:1", "no instructions"),
        ("author: somebody", "author: [a", "", "not YAML"),
    ] {
        assert!(SKILL.contains(from), "{from}");
        let found = read_instructions(&SKILL.replacen(from, to, 1), "SKILL.md", "pdf-forms").unwrap_err();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        let place = format!("SKILL.md:{place}");
        assert!(found.iter().any(|told| told.starts_with(&place) && told.contains(part)), "{to}: {found:#?}");
    }
    let digit = SKILL.replace("name: pdf-forms", "name: 3d-forms");
    let found = read_instructions(&digit, "SKILL.md", "3d-forms").unwrap_err();
    assert!(
        found[0].to_string().starts_with("SKILL.md:2:7") && found[0].message.contains("no skill name"),
        "{found:?}"
    );
}

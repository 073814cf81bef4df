//! Rules that an agent writes, without cargo: what is asked for, read and put in its place.

use serde_json::{Value, json};

use super::place::Place;

const LIBRARY: &str = include_str!("../../../../config/blueprints/library.yaml");

/// The answers from which the shipped cassette is made.
macro_rules! written {
    ($rule:literal, $attempt:literal) => {
        json!({
            "function": include_str!(concat!("../../../../config/agents/cassettes/by-hand/", $rule, "/", $attempt, ".function")),
            "test": include_str!(concat!("../../../../config/agents/cassettes/by-hand/", $rule, "/", $attempt, ".test")),
        })
    };
}

fn isbn() -> Value {
    written!("the_check_digit_of_an_isbn_is_right", "2")
}

fn mark() -> Value {
    written!("a_shelf_mark_is_three_capital_letters_a_dash_and_four_digits", "2")
}

async fn rendered(place: &Place) -> Value {
    place.call("run-1", "template.render", json!({"blueprint": {"source": LIBRARY}})).await.unwrap()
}

#[tokio::test]
async fn each_sentence_is_asked_for_with_the_code_that_it_needs() {
    let place = Place::new();
    let output = rendered(&place).await;
    let sentences = output["sentences"].as_array().unwrap();
    assert_eq!(sentences.len(), 2);
    assert_eq!(sentences[0]["rule"], "the_check_digit_of_an_isbn_is_right");
    assert_eq!(sentences[0]["kept"], false);
    let helpdesk = include_str!("../../../../config/blueprints/helpdesk.yaml");
    let plain = place.call("run-2", "template.render", json!({"blueprint": {"source": helpdesk}})).await.unwrap();
    assert_eq!(plain.get("sentences"), None, "a blueprint without sentences says nothing of them");
}

#[tokio::test]
async fn a_source_is_read_for_the_rule_of_the_tenants_own_product() {
    let place = Place::new();
    rendered(&place).await;
    let asked = |output: Value, rule: &str| json!({"output": output, "input": {"product": "library", "rule": rule}});
    let right = asked(isbn(), "the_check_digit_of_an_isbn_is_right");
    let tests = place.call("run-1", "rule.check", right.clone()).await.unwrap();
    assert_eq!(tests["tests"].as_array().unwrap().len(), 3);
    let refused = place.call_of("other", "run-1", "rule.check", right).await.unwrap_err();
    assert_eq!(refused.code, "rule.not-rendered", "another tenant has no such product");
    let unknown = place.call("run-1", "rule.check", asked(isbn(), "no_such_rule")).await.unwrap_err();
    assert_eq!(unknown.code, "rule.unknown");
    let mut reaching = isbn();
    reaching["function"] = json!("pub(super) fn holds(book: &Book, now: &str) -> bool { std::fs::read(now).is_ok() }");
    let told = place.call("run-1", "rule.check", asked(reaching, "the_check_digit_of_an_isbn_is_right")).await;
    assert!(told.unwrap_err().message.contains("`std::fs` is not taken"));
}

#[tokio::test]
async fn what_was_written_is_placed_and_what_was_not_is_refused() {
    let place = Place::new();
    let digest = rendered(&place).await["digest"].clone();
    let placed = |written: Value| json!({"product": "library", "rendered": digest, "written": written});
    for missing in [json!([]), json!([isbn()]), json!([isbn(), null])] {
        let refused = place.call("run-1", "rule.place", placed(missing)).await.unwrap_err();
        assert_eq!(refused.code, "rule.missing");
    }
    let mut reaching = mark();
    reaching["function"] = json!("pub(super) fn holds(book: &Book, now: &str) -> bool { unsafe { true } }");
    let refused = place.call("run-1", "rule.place", placed(json!([isbn(), reaching]))).await.unwrap_err();
    assert_eq!(refused.code, "rule.source", "whatever the agent's own checks said");
    let output = place.call("run-1", "rule.place", placed(json!([isbn(), mark()]))).await.unwrap();
    let again = place.call("run-1", "rule.place", placed(json!([isbn(), mark()]))).await.unwrap();
    assert_eq!(output, again);
    let folder = place.layout("library").rendered(output["digest"].as_str().unwrap());
    for path in output["rules"].as_array().unwrap() {
        let file = std::fs::read_to_string(folder.join(path.as_str().unwrap())).unwrap();
        assert!(file.contains("pub(super) fn holds(book: &Book, _now: &str) -> bool {"), "{file}");
    }
}

#[tokio::test]
async fn what_was_written_once_stays_while_its_sentence_does() {
    let place = Place::new();
    let digest = rendered(&place).await["digest"].clone();
    let input = json!({"product": "library", "rendered": digest, "written": [isbn(), mark()]});
    let placed = place.call("run-1", "rule.place", input).await.unwrap();
    let input = json!({"product": "library", "rendered": placed["digest"], "written": placed["rules"]});
    let committed = place.call("run-1", "repository.commit", input).await.unwrap();
    let repository = std::path::Path::new(committed["repository"].as_str().unwrap());
    let message = super::commits::git(repository, &["log", "-1", "--format=%(trailers:only)", "main"]);
    let path = "app/src/book/rules/the_check_digit_of_an_isbn_is_right.rs";
    assert!(message.contains(&format!("Mesh-Agent-Wrote: {path}")), "{message}");

    let first = "The check digit of an ISBN is right.";
    let edited = LIBRARY.replace(first, "Thirteen digits make an ISBN.");
    let output = place.call("run-2", "template.render", json!({"blueprint": {"source": edited}})).await.unwrap();
    let kept: Vec<_> = output["sentences"].as_array().unwrap().iter().map(|one| one["kept"].clone()).collect();
    assert_eq!(kept, [json!(false), json!(true)], "another sentence is another rule");
    let input = json!({"product": "library", "rendered": output["digest"], "written": [isbn(), null]});
    let placed = place.call("run-2", "rule.place", input).await.unwrap();
    assert_eq!(placed["rules"].as_array().unwrap().len(), 2);
}

#[test]
fn the_first_answers_of_the_shipped_cassette_are_well_formed_and_wrong_for_another_reason() {
    let signature = "pub(super) fn holds(book: &Book, now: &str) -> bool";
    for answer in [
        written!("the_check_digit_of_an_isbn_is_right", "1"),
        written!("a_shelf_mark_is_three_capital_letters_a_dash_and_four_digits", "1"),
    ] {
        let source = serde_json::from_value(answer).unwrap();
        assert!(crate::rule::check(&source, signature).is_ok(), "the tests are to find it, not the reader");
    }
}

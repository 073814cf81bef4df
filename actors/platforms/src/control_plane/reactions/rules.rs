//! The steps of a product whose blueprint has rules that an agent writes.
//!
//! A blueprint without such a rule is made by the shipped definition as it is. With some, each sentence is a step
//! of its own between rendering and committing, so that what was written for one is kept when another fails.

use serde_json::{Map, Value, json};

/// The agent that writes rules.
const AUTHOR: &str = "rule-author";

/// Longest title of a step. **Units**: characters.
const TITLE_CHARS_MAX: usize = 80;

/// The definition with a step for each sentence, and one that puts what was written in its place.
pub(super) fn written_in(product: &Value, sentences: &[String]) -> Value {
    let mut workflow = product.clone();
    if sentences.is_empty() {
        return workflow;
    }
    let Some(steps) = workflow.get_mut("steps").and_then(Value::as_array_mut) else { return workflow };
    let Some(at) = steps.iter().position(|step| step.get("id").is_some_and(|id| id == "commit")) else {
        return workflow;
    };
    if let Some(commit) = steps.get_mut(at).and_then(Value::as_object_mut) {
        commit.insert("needs".to_owned(), json!(["rules"]));
        if let Some(with) = commit.get_mut("with").and_then(Value::as_object_mut) {
            with.insert("rendered".to_owned(), json!("${steps.rules.output.digest}"));
            with.insert("written".to_owned(), json!("${steps.rules.output.rules}"));
        }
    }
    let numbered = || sentences.iter().enumerate();
    let written = numbered().map(|(at, sentence)| write(at, sentence));
    let inserted: Vec<Value> = written.chain([place(sentences.len())]).collect();
    steps.splice(at..at, inserted);
    workflow
}

/// One sentence. It is left out when the product has the rule already.
fn write(at: usize, sentence: &str) -> Value {
    let given = |what: &str| format!("${{steps.render.output.sentences[{at}].{what}}}");
    let with: Map<String, Value> = ["product", "rule", "sentence", "code"]
        .into_iter()
        .map(|what| (what.to_owned(), Value::from(given(what))))
        .collect();
    json!({
        "id": id(at),
        "title": format!("Write the rule: {}", short(sentence)),
        "needs": ["render"],
        "when": format!("!steps.render.output.sentences[{at}].kept"),
        "agent": { "agent": AUTHOR, "goal": "Write the rule and its tests." },
        "with": with,
    })
}

fn place(count: usize) -> Value {
    let ids: Vec<String> = (0..count).map(id).collect();
    let written: Vec<String> = ids.iter().map(|id| format!("${{steps[\"{id}\"].output}}")).collect();
    let needs: Vec<&str> = ["render"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    json!({
        "id": "rules",
        "title": "Put the rules in place",
        "needs": needs,
        // A rule that stood already was left out, and its step skipped: that is no reason to skip this one.
        "when": "true",
        "skill": "rule.place",
        "with": {
            "product": "${input.blueprint.name}",
            "rendered": "${steps.render.output.digest}",
            "written": written,
        },
    })
}

fn id(at: usize) -> String {
    format!("rule-{}", at + 1)
}

fn short(sentence: &str) -> String {
    match sentence.char_indices().nth(TITLE_CHARS_MAX) {
        Some((cut, _)) => format!("{}…", sentence.get(..cut).unwrap_or_default()),
        None => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mesh_workflows::definition::{Known, parse, to_json};

    use super::{super::product_definition, *};

    #[test]
    fn a_blueprint_without_sentences_is_made_by_the_shipped_definition() {
        let product = to_json(&product_definition().unwrap().message);
        assert_eq!(written_in(&product, &[]), product);
    }

    #[test]
    fn each_sentence_is_a_step_before_the_commit() {
        let product = to_json(&product_definition().unwrap().message);
        let workflow = written_in(&product, &["One is ${odd}.".to_owned(), "Two is even.".to_owned()]);
        let parsed = parse(&workflow.to_string(), None, &Known::default()).unwrap();
        let ids: Vec<&str> = parsed.message.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(
            ids,
            ["validate", "render", "rule-1", "rule-2", "rules", "commit", "build", "test", "start", "probe", "smoke"]
        );
        let commit = parsed.message.steps.iter().find(|step| step.id == "commit").unwrap();
        assert_eq!(commit.needs, ["rules"]);
        assert_eq!(written_in(&product, &["One is ${odd}.".to_owned()])["steps"][4]["needs"], json!(["rules"]));
    }
}

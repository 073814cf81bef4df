//! Rules that are sentences, on the real node, offline: the shipped blueprint asks what the shipped cassette answers,
//! and what nobody answers is told in one line. That the product is built and tested so is `tests/product/run`'s to
//! show: it needs a dependency seed.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use mesh_proto::v1::{self, tail_response::Item};
use mesh_tests::{Client, Node, NodeOptions};
use serde_json::Value;

const LIBRARY: &str = include_str!("../config/blueprints/library.yaml");
const FIRST: &str = "The check digit of an ISBN is right.";
const SECOND: &str = "A shelf mark is three capital letters, a dash and four digits.";

/// What to do when the cassette no longer fits.
const AGAIN: &str = "the template, the agent or the blueprint has changed, and the shipped cassette answers another \
                     question: `cargo build -p mesh -p mesh-model-server`, then `target/debug/make_cassette \
                     target/debug/mesh`, then look at the difference and build again";

/// A node that can make no dependency seed: a file lies where they are kept, so nothing is compiled.
fn node(data: &Path) -> Result<Node> {
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data);
    std::fs::write(data.join("no-folder"), "a file")?;
    options.settings.push(("XDG_CACHE_HOME".to_owned(), data.join("no-folder").display().to_string()));
    for variable in ["OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"] {
        options.settings.push((variable.to_owned(), String::new()));
    }
    Node::start(&options)
}

async fn apply(client: &mut Client, text: &str) -> Result<String> {
    let source = v1::BlueprintSource { text: text.to_owned(), file_name: "library.yaml".to_owned() };
    let request = v1::ApplyBlueprintRequest { source: Some(source), ..Default::default() };
    let answer = client.blueprints.apply_blueprint(request).await?.into_inner();
    Ok(answer.blueprint.context("no blueprint")?.run_id)
}

/// Follows the journal until this many of these events have come, and gives their subjects and payloads.
async fn events(client: &mut Client, names: &[&str], count: usize) -> Result<Vec<(String, Value)>> {
    let tail = v1::JournalTail {
        start: v1::WatchStart::Beginning.into(),
        event_types: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    let request = v1::TailRequest { source: Some(v1::tail_request::Source::Journal(tail)) };
    let mut told = client.telemetry.tail(request).await?.into_inner();
    let mut events = Vec::new();
    while events.len() < count {
        let message =
            tokio::time::timeout(Duration::from_secs(60), told.message()).await.context("nothing comes")??;
        let Some(Item::Event(event)) = message.context("the tail ended")?.item else { continue };
        let envelope = event.envelope.context("no envelope")?;
        let payload = serde_json::from_slice(&envelope.payload)?;
        events.push((envelope.headers.context("no headers")?.subject, payload));
    }
    Ok(events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_cassette_answers_what_the_shipped_blueprint_asks() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = node(data.path())?;
    let mut client = node.client().await?;
    apply(&mut client, LIBRARY).await?;
    let asked = events(&mut client, &["ModelCallAnswered", "ModelCallFailed", "AgentTaskFailed"], 2).await?;
    let mut answered = BTreeSet::new();
    for (_, payload) in asked {
        let Some(text) = payload.pointer("/answer/said/text").and_then(Value::as_str) else {
            bail!("{AGAIN}: {payload}")
        };
        let written: Value = serde_json::from_str(text)?;
        let function = written.get("function").and_then(Value::as_str).context("no function")?;
        ensure!(function.contains("pub(super) fn holds(book: &Book, _now: &str) -> bool"), "{function}");
        answered.insert(function.to_owned());
    }
    ensure!(answered.len() == 2, "two sentences, two answers: {answered:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentence_that_nobody_answers_is_told_in_one_line_with_both_variables() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = node(data.path())?;
    let mut client = node.client().await?;
    let (before, after) = LIBRARY.split_once(SECOND).context("the second sentence")?;
    let (start, _) = before.rsplit_once("  # The examples").context("what comes before it")?;
    let (_, rest) = after.split_once("\n\n").context("what comes after it")?;
    let other = format!("{start}{rest}").replace(FIRST, "An ISBN says in which country a book was made.");
    let run_id = apply(&mut client, &other).await?;
    let mut run = client.run(&run_id).await;
    while run.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        run = client.run(&run_id).await;
    }
    let run = client.wait_for_end(&run_id, Duration::from_secs(60)).await?;
    let failure = run.failure.clone().context("no failure")?;
    assert_eq!((failure.code.as_str(), failure.step_id.as_str()), ("model.no-endpoint", "rule-1"), "{run:#?}");
    for part in ["OPENAI_BASE_URL", "OPENAI_API_KEY"] {
        assert!(failure.message.contains(part) && !failure.message.contains('\n'), "{}", failure.message);
    }
    let commit = run.steps.iter().find(|step| step.step_id == "commit").context("no step `commit`")?;
    assert_ne!(commit.state(), v1::StepState::Succeeded, "nothing is committed without the rule");
    Ok(())
}

/// `mesh run --intent`, with nobody at a terminal.
fn intend(data: &Path, words: &str) -> Result<std::process::Output> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.args(["run", "--exit", "--intent", words, "--data"]).arg(data.join("mesh"));
    std::fs::write(data.join("no-folder"), "a file")?;
    command.env("XDG_CACHE_HOME", data.join("no-folder"));
    for variable in ["OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL", "MESH_API_KEY"] {
        command.env_remove(variable);
    }
    Ok(command.stdin(std::process::Stdio::null()).output()?)
}

#[test]
fn an_intent_is_drafted_corrected_and_kept_for_who_approves_it() -> Result<()> {
    let data = tempfile::tempdir()?;
    let done = intend(data.path(), "a helpdesk for dentists")?;
    let said = String::from_utf8(done.stdout)?;
    ensure!(done.status.success(), "{AGAIN}: {said}{}", String::from_utf8_lossy(&done.stderr));
    let draft = data.path().join("mesh/drafts/dental-helpdesk.yaml");
    let text = std::fs::read_to_string(&draft).context("the draft")?;
    assert_eq!(text, include_str!("../config/agents/cassettes/by-hand/intent/2.blueprint"), "the corrected one");
    assert!(said.contains(&format!("mesh run {}", draft.display())), "{said}");
    Ok(())
}

#[test]
fn an_intent_that_nobody_answers_is_told_in_one_line_with_both_variables() -> Result<()> {
    let data = tempfile::tempdir()?;
    let done = intend(data.path(), "a shop for boats")?;
    let said = String::from_utf8(done.stderr)?;
    assert_eq!(done.status.code(), Some(1), "{said}");
    let told = said.lines().filter(|line| line.contains("OPENAI_BASE_URL") && line.contains("OPENAI_API_KEY"));
    assert_eq!(told.count(), 1, "{said}");
    assert!(!data.path().join("mesh/drafts").exists(), "nothing is kept of what was not drafted");
    Ok(())
}

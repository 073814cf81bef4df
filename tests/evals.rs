//! `mesh agents evals` on the real node: the shipped cases offline, what a failure tells, and which version is worse.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use mesh_model_server::{Answer, Script, Server};
use mesh_proto::v1;
use mesh_tests::{Node, NodeOptions};
use serde_json::Value;

fn shipped(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config").join(path).display().to_string()
}

/// A node that answers from the shipped cassette, with the shipped agent.
fn recorded(data: &Path) -> Result<Node> {
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data);
    options.settings.push(("MESH_MODELS_CASSETTE".to_owned(), shipped("agents/cassettes/triage")));
    options.settings.push(("OPENAI_MODEL".to_owned(), "gpt-4o".to_owned()));
    let node = Node::start(&options)?;
    let (code, _, errors) = node.mesh(&["agents", "publish", &shipped("agents/triage.yaml")])?;
    assert_eq!(code, 0, "{errors}");
    Ok(node)
}

fn lines(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_cases_pass_on_recorded_traffic_and_are_reported() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = recorded(data.path())?;
    let (json, xml) = (data.path().join("report.json"), data.path().join("report.xml"));
    let cases = shipped("evals/triage.yaml");
    let reports = [json.display().to_string(), xml.display().to_string()];
    let [json_file, xml_file] = &reports;
    let (code, out, errors) =
        node.mesh(&["agents", "evals", &cases, "--jobs", "3", "--report", json_file, "--report", xml_file])?;
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    let row = out.lines().find(|line| line.contains("a wrong invoice")).context("no row")?;
    let words: Vec<&str> = row.split_whitespace().collect();
    assert!(words.windows(4).any(|words| words == ["passed", "3/3", "2", "310"]), "{row}");

    let report: Value = serde_json::from_str(&std::fs::read_to_string(json)?)?;
    let trial = report.pointer("/cases/0/now/trials/2").context("no third trial")?;
    assert_eq!(trial.pointer("/output/department"), Some(&Value::from("billing")), "{report:#}");
    assert_eq!(trial.pointer("/calls/0/arguments/text"), Some(&Value::from("mock-text")), "{report:#}");
    let xml = std::fs::read_to_string(xml)?;
    assert!(xml.contains("<testsuite name=\"triage@1\" tests=\"2\" failures=\"0\""), "{xml}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_fails_tells_where_and_why_and_a_file_with_mistakes_tries_nothing() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = recorded(data.path())?;
    let file = data.path().join("cases.yaml");
    let name = file.display().to_string();
    std::fs::write(
        &file,
        "agent: triage
defaults: { goal: Where does this letter go? }
cases:
  - name: to sales
    input: { letter: My invoice of May is wrong. }
    expect: [{ exact: { department: sales, urgency: 1 } }, { calls: [{ skill: text.echo, times: 0 }] }]
  - name: nobody recorded it
    input: { letter: My invoice of May is right. }
    expect: [{ outcome: failed, code: model.no-cassette-entry }]
  - name: it should be known
    input: { letter: My invoice of May is right. }
    expect: [{ cel: output.urgency == 1 }]
",
    )?;
    let (code, out, errors) = node.mesh(&["agents", "evals", &name])?;
    assert_eq!(code, 1, "{out}{errors}");
    assert!(errors.contains("2 of 3 cases failed with triage@1"), "{errors}");
    for part in [
        "`/department` should be `\"sales\"` and is `\"billing\"`",
        "`text.echo` should be called 0 times and was called once: called were text.echo `{\"text\":\"mock-text\"}`",
        "the outcome should be `completed` and is `failed` (model.no-cassette-entry)",
        "mesh agents task task-",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    let (code, out, _) = node.mesh(&["agents", "evals", &name, "--case", "recorded", "--output", "json"])?;
    let told = lines(&out)?;
    assert_eq!((code, told.len()), (0, 1), "{out}");
    assert_eq!(told.first().and_then(|case| case.get("passed")), Some(&Value::Bool(true)), "{out}");

    std::fs::write(&file, "agent: triage\ncases: [{ name: x, expct: [] }]\n")?;
    let (code, _, errors) = node.mesh(&["agents", "evals", &name])?;
    assert_eq!(code, 3, "{errors}");
    assert!(errors.contains("cases.yaml:2:20: `expct` is not known here\n  help: did you mean `expect`?"), "{errors}");
    assert_eq!(node.mesh(&["agents", "evals", "no-such-file.yaml"])?.0, 2);
    assert_eq!(node.mesh(&["agents", "evals", &shipped("evals/triage.yaml"), "--agent", "nobody"])?.0, 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_worse_than_the_one_before_it_is_told() -> Result<()> {
    let data = tempfile::tempdir()?;
    let node = recorded(data.path())?;
    let cases = shipped("evals/triage.yaml");
    let (code, _, errors) = node.mesh(&["agents", "evals", &cases, "--against", "previous"])?;
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("`triage@1` is the first version"), "{errors}");

    // Nobody recorded what a model says to these instructions.
    let changed = data.path().join("triage.yaml");
    let source = std::fs::read_to_string(shipped("agents/triage.yaml"))?;
    std::fs::write(&changed, source.replace("You sort letters", "You lose letters"))?;
    assert_eq!(node.mesh(&["agents", "publish", &changed.display().to_string()])?.0, 0);
    let (code, out, errors) = node.mesh(&["agents", "evals", &cases, "--against", "previous"])?;
    assert_eq!(code, 1, "{out}");
    assert!(errors.contains("1 of 2 cases got worse from triage@1 to triage@2"), "{errors}");
    let row = out.lines().find(|line| line.contains("a wrong invoice")).context("no row")?;
    let words: Vec<&str> = row.split_whitespace().collect();
    assert!(words.windows(4).any(|words| words == ["worse", "3/3", "0/3", "310"]), "{row}");
    let row = out.lines().find(|line| line.contains("never empty")).context("no row")?;
    assert!(row.contains("equal"), "{row}");

    let back = ["agents", "evals", &cases, "--agent", "triage@1", "--against", "2", "--output", "json"];
    let (code, out, errors) = node.mesh(&back)?;
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    let changes: Vec<Value> = lines(&out)?.iter().filter_map(|case| case.get("change").cloned()).collect();
    assert_eq!(changes, ["better", "equal"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_that_waits_is_graded_at_once_and_its_task_is_ended() -> Result<()> {
    let (data, models) = (tempfile::tempdir()?, Server::start().await?);
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path());
    options.settings.push(("OPENAI_BASE_URL".to_owned(), models.url()));
    options.settings.push(("OPENAI_MODEL".to_owned(), "small".to_owned()));
    let node = Node::start(&options)?;
    let (agent, cases) = (data.path().join("clerk.yaml"), data.path().join("cases.yaml"));
    std::fs::write(&agent, "name: clerk\ninstructions: sort\noutput: { type: object }\nlimits: { corrections: 1 }\n")?;
    assert_eq!(node.mesh(&["agents", "publish", &agent.display().to_string()])?.0, 0);
    let tried = async |script: Vec<Answer>, limit: &str, outcome: &str| -> Result<()> {
        models.script(Script { answers: script, ..Script::default() });
        let text = format!(
            "agent: clerk\ncases: [{{ name: x, goal: sort, timeLimit: {limit}, expect: [{{ outcome: {outcome} }}] }}]\n"
        );
        std::fs::write(&cases, text)?;
        let (code, out, errors) = node.mesh(&["agents", "evals", &cases.display().to_string(), "--output", "json"])?;
        assert_eq!(code, 0, "{out}{errors}");
        let told = lines(&out)?;
        let run = told.first().and_then(|case| case.pointer("/now/trials/0/runId")).and_then(Value::as_str);
        let ended = node.client().await?.wait_for_end(run.context("no run")?, Duration::from_secs(30)).await?;
        assert_ne!(ended.state(), v1::RunState::Succeeded, "{ended:#?}");
        Ok(())
    };
    let says = |text: &str| Answer { text: text.to_owned(), ..Answer::default() };
    tried(vec![says("x"), says("y")], "1m", "escalated").await?;
    tried(vec![Answer { delay_ms: 60_000, ..says("late") }], "1s", "timed-out").await
}

//! Agents that give parts of their tasks to others, on the real node.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use mesh_model_server::{Answer, Script, Server, ToolCall};
use mesh_proto::v1::{self, TaskState, steer_task_request::Action};
use mesh_tests::{Client, Node, NodeOptions, object};
use serde_json::json;

const CLERK: &str = "name: clerk\ninstructions: You are the clerk.\n";
const HEAD: &str = "name: head\ninstructions: You are the head.\nagents: [clerk]\n";

fn options(data: &Path, models: &Server) -> NodeOptions {
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data);
    options.settings.push(("OPENAI_BASE_URL".to_owned(), models.url()));
    options.settings.push(("OPENAI_MODEL".to_owned(), "small".to_owned()));
    options
}

fn gives(goals: &[&str]) -> Answer {
    let call = |goal: &&str| ToolCall {
        name: "clerk".to_owned(),
        arguments: json!({ "goal": goal, "input": { "n": 1 } }),
        ..ToolCall::default()
    };
    Answer { tool_calls: goals.iter().map(call).collect(), ..Answer::default() }
}

fn says(text: &str, delay_ms: u64) -> Answer {
    Answer { text: text.to_owned(), delay_ms, ..Answer::default() }
}

fn of(when: &str, answers: Vec<Answer>) -> Script {
    Script { when: when.to_owned(), answers, ..Script::default() }
}

async fn publish(client: &mut Client, source: &str) -> Result<()> {
    let request = v1::PublishAgentRequest { source: source.to_owned(), ..Default::default() };
    client.agents.publish_agent(request).await?;
    Ok(())
}

async fn give(client: &mut Client) -> Result<String> {
    let request = v1::RunAgentRequest {
        name: "head".to_owned(),
        goal: "sort them".to_owned(),
        input: Some(object(&json!({}))),
        ..Default::default()
    };
    Ok(client.agents.run_agent(request).await?.into_inner().run.context("no run")?.run_id)
}

/// The tasks of a run, once this many are in this state.
async fn tasks(client: &mut Client, run: &str, agent: &str, state: TaskState, count: usize) -> Result<Vec<v1::Task>> {
    let mut listed = Vec::new();
    for _ in 0..1_500 {
        let filter = format!("run_id = \"{run}\"");
        listed =
            client.agents.list_tasks(v1::ListTasksRequest { filter, ..Default::default() }).await?.into_inner().tasks;
        let found = listed.iter().filter(|task| task.agent == agent && task.state() == state).cloned();
        let found: Vec<v1::Task> = found.collect();
        if found.len() == count {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("there are never {count} of {agent} {state:?}: {listed:#?}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_gives_parts_to_another_and_dies_with_its_node_and_goes_on() -> Result<()> {
    let (data, models) = (tempfile::tempdir()?, Server::start().await?);
    let mut node = Node::start(&options(data.path(), &models))?;
    let mut client = node.client().await?;
    let early = publish(&mut client, HEAD).await.err().context("an agent that is not there was taken")?;
    ensure!(early.to_string().contains("there is no agent `clerk`"), "{early}");
    publish(&mut client, CLERK).await?;
    publish(&mut client, HEAD).await?;
    models.script(of("You are the head.", vec![gives(&["letters", "bills"]), says("all sorted", 0)]));
    models.script(of("You are the clerk.", vec![says("in order", 1_500)]));
    let run = give(&mut client).await?;
    tasks(&mut client, &run, "clerk", TaskState::Executing, 2).await?;
    node.kill()?;
    let node = Node::start(&options(data.path(), &models))?;
    let mut client = node.client().await?;
    let ended = client.wait_for_end(&run, Duration::from_secs(30)).await?;
    assert_eq!(ended.state(), v1::RunState::Succeeded, "{ended:#?}");
    let head = tasks(&mut client, &run, "head", TaskState::Completed, 1).await?.remove(0);
    let parts = tasks(&mut client, &run, "clerk", TaskState::Completed, 2).await?;
    let request = v1::GetTaskRequest { task_id: parts.first().context("no part")?.task_id.clone() };
    let part = client.agents.get_task(request).await?.into_inner().task.context("no task")?;
    assert_eq!((part.parent_task_id.as_str(), part.run_id.as_str()), (head.task_id.as_str(), run.as_str()));
    let request = v1::GetTaskRequest { task_id: head.task_id };
    let whole = client.agents.get_task(request).await?.into_inner().task.context("no task")?;
    let told: Vec<&str> =
        whole.conversation.iter().filter(|said| said.from == "tool").map(|said| said.text.as_str()).collect();
    assert_eq!(told.len(), 2, "{whole:#?}");
    ensure!(told.iter().all(|text| text.contains("in order")), "{told:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_cancelled_takes_those_with_it_that_it_gave() -> Result<()> {
    let (data, models) = (tempfile::tempdir()?, Server::start().await?);
    let node = Node::start(&options(data.path(), &models))?;
    let mut client = node.client().await?;
    publish(&mut client, CLERK).await?;
    publish(&mut client, HEAD).await?;
    models.script(of("You are the head.", vec![gives(&["letters"]), says("all sorted", 0)]));
    models.script(of("You are the clerk.", vec![says("late", 60_000)]));
    let run = give(&mut client).await?;
    tasks(&mut client, &run, "clerk", TaskState::Executing, 1).await?;
    let head = tasks(&mut client, &run, "head", TaskState::Executing, 1).await?.remove(0);
    let cancel = Some(Action::Cancel(v1::steer_task_request::Cancel { reason: "enough".to_owned() }));
    let steer = v1::SteerTaskRequest { task_id: head.task_id, action: cancel, ..Default::default() };
    client.agents.steer_task(steer).await?;
    tasks(&mut client, &run, "clerk", TaskState::Cancelled, 1).await?;
    Ok(())
}

//! Budgets above tasks on the real node: held to, shown, raised, and what a crash makes of them; and the list of tasks.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use mesh_model_server::{Answer, Script, Server};
use mesh_proto::v1::{self, TaskState, steer_task_request::Action};
use mesh_tests::{Client, Node, NodeOptions, object};
use serde_json::json;

const CLERK: &str = "name: clerk\ninstructions: You sort letters.\nmodel: { maxTokens: 500 }\n";

fn options(data: &Path, models: &Server, more: &[(&str, &str)]) -> NodeOptions {
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data);
    options.settings.push(("OPENAI_BASE_URL".to_owned(), models.url()));
    options.settings.push(("OPENAI_MODEL".to_owned(), "small".to_owned()));
    options.settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    options
}

fn says(text: &str, delay_ms: u64) -> Script {
    let answer = Answer { text: text.to_owned(), usage: Some((40, 10)), delay_ms, ..Answer::default() };
    Script { answers: vec![answer], ..Script::default() }
}

async fn give(client: &mut Client, project: &str) -> Result<String> {
    let request = v1::RunAgentRequest {
        name: "clerk".to_owned(),
        goal: "sort them".to_owned(),
        input: Some(object(&json!({ "letters": 3 }))),
        project_id: project.to_owned(),
        ..Default::default()
    };
    Ok(client.agents.run_agent(request).await?.into_inner().run.context("no run")?.run_id)
}

async fn listed(client: &mut Client, filter: &str) -> Result<Vec<v1::Task>> {
    let request = v1::ListTasksRequest { filter: filter.to_owned(), ..Default::default() };
    Ok(client.agents.list_tasks(request).await?.into_inner().tasks)
}

/// The task of a run, once the list has it in this state.
async fn task(client: &mut Client, run: &str, state: TaskState) -> Result<v1::Task> {
    for _ in 0..1_500 {
        if let Some(task) = listed(client, &format!("run_id = \"{run}\"")).await?.into_iter().next()
            && task.state() == state
        {
            return Ok(task);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("the task of {run} is never {state:?}: {:#?}", listed(client, "").await?)
}

async fn budget(client: &mut Client, level: &str, tokens: u64) -> Result<v1::Budget> {
    let request = v1::SetBudgetRequest { level: level.to_owned(), tokens: Some(tokens), ..Default::default() };
    client.agents.set_budget(request).await?.into_inner().budget.context("no budget")
}

async fn spent(client: &mut Client, level: &str) -> Result<v1::Budget> {
    let budgets = client.agents.list_budgets(v1::ListBudgetsRequest::default()).await?.into_inner().budgets;
    budgets.into_iter().find(|budget| budget.level == level).with_context(|| format!("no budget of {level}"))
}

async fn get(client: &mut Client, task_id: &str) -> Result<v1::Task> {
    let request = v1::GetTaskRequest { task_id: task_id.to_owned() };
    client.agents.get_task(request).await?.into_inner().task.context("no task")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_room_is_not_sent_and_its_task_goes_on_when_the_budget_is_raised() -> Result<()> {
    let (data, models) = (tempfile::tempdir()?, Server::start().await?);
    let node = Node::start(&options(data.path(), &models, &[]))?;
    let mut client = node.client().await?;
    client.agents.publish_agent(v1::PublishAgentRequest { source: CLERK.to_owned(), ..Default::default() }).await?;
    models.script(says("sorted", 0));
    assert_eq!(budget(&mut client, "project/proj-1", 400).await?.tokens, Some(400));

    let run = give(&mut client, "proj-1").await?;
    let waits = task(&mut client, &run, TaskState::Paused).await?;
    let told = get(&mut client, &waits.task_id).await?;
    ensure!(
        told.waiting.contains("budget of project/proj-1") && told.waiting.contains("of 400 are 400 left"),
        "{told:#?}"
    );
    assert_eq!((models.seen().len(), told.spent.context("nothing")?.model_calls), (0, 0), "nothing was sent");
    // Another project is not touched by it.
    let other = give(&mut client, "proj-2").await?;
    task(&mut client, &other, TaskState::Completed).await?;

    budget(&mut client, "project/proj-1", 4_000).await?;
    let resume = Some(Action::Resume(v1::steer_task_request::Resume::default()));
    let steer = v1::SteerTaskRequest { task_id: waits.task_id, action: resume, ..Default::default() };
    client.agents.steer_task(steer).await?;
    let done = task(&mut client, &run, TaskState::Completed).await?;
    assert_eq!((done.agent.as_str(), done.version, done.step_id.as_str()), ("clerk", 1, "call"));
    assert_eq!(done.spent.context("nothing spent")?.input_tokens, 40);
    for level in ["project/proj-1", "project/proj-2", &format!("run/{run}")] {
        let stands = spent(&mut client, level).await?;
        let (spent, reserved) = (stands.spent.unwrap_or_default(), stands.reserved.unwrap_or_default());
        assert_eq!((spent.tokens, reserved.tokens), (50, 0), "{level}");
    }
    assert_eq!(spent(&mut client, "tenant").await?.spent.unwrap_or_default().tokens, 100);

    assert_eq!(listed(&mut client, "state = COMPLETED").await?.len(), 2);
    assert_eq!(listed(&mut client, "agent = clerk AND state = FAILED").await?.len(), 0);
    let page = |page_token| v1::ListTasksRequest { page_size: 1, page_token, ..Default::default() };
    let first = client.agents.list_tasks(page(String::new())).await?.into_inner();
    let second = client.agents.list_tasks(page(first.next_page_token)).await?.into_inner();
    let pages = [first.tasks, second.tasks].concat();
    let runs: Vec<&str> = pages.iter().map(|task| task.run_id.as_str()).collect();
    assert_eq!((runs, second.next_page_token.as_str()), (vec![other.as_str(), run.as_str()], ""), "newest first");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_in_a_call_counts_what_it_had_reserved_and_a_budget_that_stops_fails_the_task() -> Result<()> {
    let (data, models) = (tempfile::tempdir()?, Server::start().await?);
    let settings = [("MESH_BUDGETS_RUN", "tokens=1100"), ("MESH_BUDGETS_THEN", "stop")];
    let options = options(data.path(), &models, &settings);
    let mut node = Node::start(&options)?;
    let mut client = node.client().await?;
    client.agents.publish_agent(v1::PublishAgentRequest { source: CLERK.to_owned(), ..Default::default() }).await?;
    models.script(says("sorted", 3_000));
    let run = give(&mut client, "").await?;
    let level = format!("run/{run}");
    let mut reserved = 0;
    for _ in 0..500 {
        if models.seen().len() == 1 {
            reserved = spent(&mut client, &level).await?.reserved.unwrap_or_default().tokens;
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ensure!(reserved >= 500, "{reserved}");
    node.kill()?;
    models.script(says("sorted", 0));
    let node = Node::start(&options)?;
    let mut client = node.client().await?;
    task(&mut client, &run, TaskState::Completed).await?;
    let stands = spent(&mut client, &level).await?;
    let (after, open) = (stands.spent.unwrap_or_default().tokens, stands.reserved.unwrap_or_default().tokens);
    assert_eq!((after, open), (reserved + 50, 0), "the lost call counts as it was reserved");
    ensure!(after <= 1_100, "{after}");

    let small = v1::PublishAgentRequest { source: CLERK.replace("500", "2000"), ..Default::default() };
    client.agents.publish_agent(small).await?;
    let run = give(&mut client, "").await?;
    let failed = task(&mut client, &run, TaskState::Failed).await?;
    let told = get(&mut client, &failed.task_id).await?.failure.context("no failure")?;
    assert_eq!(told.code, "agent.budget", "{told:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shipped_agents_are_listed_and_a_definition_that_names_no_agent_is_not_published() -> Result<()> {
    let (data, models) = (tempfile::tempdir()?, Server::start().await?);
    let node = Node::start(&options(data.path(), &models, &[]))?;
    let mut client = node.client().await?;
    let list = client.agents.list_agents(v1::ListAgentsRequest::default()).await?.into_inner().agents;
    let names: Vec<(&str, u32)> = list.iter().map(|agent| (agent.name.as_str(), agent.version)).collect();
    assert_eq!(names, [("planner", 0), ("rule-author", 0)]);
    let flow = "name: sort\nsteps:\n  - { id: sort, agent: { agent: clerk, goal: sort } }\n";
    let refused = client.publish(flow).await.err().context("it was published")?.to_string();
    ensure!(refused.contains("there is no agent `clerk`"), "{refused}");
    client.agents.publish_agent(v1::PublishAgentRequest { source: CLERK.to_owned(), ..Default::default() }).await?;
    client.publish(flow).await?;
    let list =
        client.agents.list_agents(v1::ListAgentsRequest { page_size: 1, ..Default::default() }).await?.into_inner();
    assert_eq!(list.agents.first().map(|agent| (agent.name.as_str(), agent.version)), Some(("clerk", 1)));
    ensure!(!list.next_page_token.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_go_with_the_run_that_gave_them() -> Result<()> {
    let (data, models) = (tempfile::tempdir()?, Server::start().await?);
    let settings = [("MESH_RETENTION_RUNS", "2s"), ("MESH_RETENTION_CHECK_EVERY", "1s")];
    let node = Node::start(&options(data.path(), &models, &settings))?;
    let mut client = node.client().await?;
    client.agents.publish_agent(v1::PublishAgentRequest { source: CLERK.to_owned(), ..Default::default() }).await?;
    models.script(says("sorted", 0));
    let run = give(&mut client, "").await?;
    let done = client.wait_for_end(&run, Duration::from_secs(30)).await?;
    let id = done.steps.first().context("no step")?.task_id.clone();
    get(&mut client, &id).await?;
    for _ in 0..300 {
        let gone = get(&mut client, &id).await.is_err();
        if gone && listed(&mut client, "").await?.is_empty() {
            let archived = client.run(&run).await?;
            ensure!(archived.archive_time.is_some(), "its task went before it: {archived:#?}");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("the task is never erased: {:#?}", listed(&mut client, "").await?)
}

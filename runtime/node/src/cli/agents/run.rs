//! `mesh agents run`: one task, from its assignment to what it gives.

use std::time::Duration;

use clap::Args;
use mesh_proto::v1::{self, TaskState};
use mesh_workflows::{form::struct_to_json, invocation::OUTPUT};

use super::{pretty, task};
use crate::cli::{
    Failure,
    args::time,
    clients,
    connect::Link,
    context::{Context, fresh_request_id},
    runs::{InputArgs, Marks, end_of, labels, name_and_version, show},
};

/// How often it is looked whether the task waits for a person.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What `mesh agents run` takes.
#[derive(Debug, Args)]
pub(crate) struct RunAgent {
    /// The agent, as NAME or NAME@VERSION
    #[arg(value_name = "AGENT")]
    name: String,
    /// What it should reach, in words
    #[arg(long, short = 'g', value_name = "TEXT", default_value = "", hide_default_value = true)]
    goal: String,
    #[command(flatten)]
    input: InputArgs,
    /// How long to wait for the task, such as 10m; as long as the agent's limits say when not given
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    #[command(flatten)]
    marks: Marks,
    /// Check everything and give no task
    #[arg(long)]
    validate_only: bool,
}

pub(super) async fn run(args: RunAgent, context: Context) -> Result<(), Failure> {
    let (name, version) = name_and_version(&args.name)?;
    let request = v1::RunAgentRequest {
        name,
        version,
        goal: args.goal,
        input: Some(args.input.read()?),
        timeout: args.timeout.and_then(|time| time.try_into().ok()),
        request_id: args.marks.request_id.unwrap_or_else(fresh_request_id),
        project_id: args.marks.project,
        validate_only: args.validate_only,
        labels: labels(&args.marks.labels)?,
    };
    let link = context.link().await?;
    let answer = clients::agents(link.clone()).run_agent(request).await?.into_inner();
    let Some(run) = answer.run else { return Ok(context.out.line("valid: no task was given")?) };
    let mut id = None;
    let ended = end_of(run.run_id.clone(), clients::workflows(link.clone()), |_, _| Ok(()));
    let run = tokio::select! {
        run = ended => run?,
        failure = attend(&link, &run.run_id, &mut id) => return Err(failure),
    };
    told(&run, &link, &context).await
}

async fn told(run: &v1::Run, link: &Link, context: &Context) -> Result<(), Failure> {
    if let Some(id) = given(run)
        && let Some(task) = task::get(link, &id).await?
    {
        eprintln!("{}", task::summary(&task));
    }
    if context.out.is_json() {
        context.out.json("Run", run)?;
        return crate::cli::runs::ended(run);
    }
    if run.state() != v1::RunState::Succeeded {
        let why = run.failure.as_ref().map_or_else(|| show::state_label(run), show::failure_text);
        return Err(Failure::Failed(format!("{why}\n  mesh runs get {} shows more", run.run_id)));
    }
    let outputs = run.outputs.as_ref().map(struct_to_json).unwrap_or_default();
    let gave = outputs.get(OUTPUT).cloned().unwrap_or_default();
    let text = gave.get("text").and_then(serde_json::Value::as_str);
    let alone = gave.as_object().is_some_and(|fields| fields.len() == 1);
    let shown = text.filter(|_| alone).map_or_else(|| pretty(&gave), str::to_owned);
    Ok(context.out.line(shown)?)
}

/// Says which task it is, and when it waits for a person; comes back with a failure alone.
async fn attend(link: &Link, run_id: &str, id: &mut Option<String>) -> Failure {
    let mut said = String::new();
    loop {
        match look(link, run_id, id).await {
            Ok(Some(task)) => {
                let waits = matches!(task.state(), TaskState::Escalated | TaskState::Paused);
                if waits && task.waiting != said {
                    said.clone_from(&task.waiting);
                    eprintln!("{}", task::waits(&task));
                }
            }
            Ok(None) => {}
            // The watch of the run tells what it is about, or goes on.
            Err(Failure::Refused(_) | Failure::Unreachable { .. }) => {}
            Err(failure) => return failure,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(link: &Link, run_id: &str, id: &mut Option<String>) -> Result<Option<v1::Task>, Failure> {
    if id.is_none() {
        let request = v1::GetRunRequest { run_id: run_id.to_owned() };
        let run = clients::workflows(link.clone()).get_run(request).await?.into_inner().run;
        *id = run.as_ref().and_then(given);
    }
    match id {
        Some(id) => task::get(link, id).await,
        None => Ok(None),
    }
}

/// The task that a run has given.
fn given(run: &v1::Run) -> Option<String> {
    run.steps.iter().find(|step| !step.task_id.is_empty()).map(|step| step.task_id.clone())
}

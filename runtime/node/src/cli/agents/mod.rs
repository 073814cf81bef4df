//! `mesh agents`: agents, checked, published, given tasks; and their tasks.

mod budgets;
mod evals;
mod run;
mod task;
mod tasks;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mesh_agents::definition::{self, Agent};
use mesh_proto::v1;
use mesh_workflows::form::struct_to_json;
use serde_json::Value;

use super::{
    Failure,
    args::PageArgs,
    clients,
    context::{Context, fresh_request_id, read_text, to_proto},
    output::{Table, age, clean, or_dash},
    runs::name_and_version,
};

/// What can be done with agents.
#[derive(Debug, Subcommand)]
pub(crate) enum Agents {
    /// List the published agents, and those that come with the node
    List(PageArgs),
    /// Show a published agent and its versions, as NAME or NAME@VERSION
    Describe(Named),
    /// Find every mistake of an agent's definition at once and publish nothing
    Validate(File),
    /// Publish an agent and use this version from now on; the same content again answers with its version
    Publish(File),
    /// Use another version from now on, as NAME@VERSION
    Activate(Named),
    /// Give an agent one task, wait for its end, and print what it gives
    Run(run::RunAgent),
    /// Try an agent's cases on the node that runs, and say which failed, or got worse than with another version
    Evals(evals::Evals),
    /// List tasks, the newest first
    Tasks(tasks::List),
    /// Show a task: where it stands, what was said, what it has spent
    Task(task::Show),
    /// Let a task begin nothing new
    Pause(task::Because),
    /// Let a task go on: after a pause, for a person, or with more budget
    Resume(task::Resume),
    /// Tell a task something that it minds from its next turn on
    Redirect(task::Redirect),
    /// Give what the task should give, in its place
    TakeOver(task::TakeOver),
    /// Stop a task
    Cancel(task::Because),
    /// List what the tenant, its projects and its runs may spend on models, and have spent
    Budgets(PageArgs),
    /// Set what the tenant, a project or a run may spend on models
    Budget(budgets::Set),
    /// Print the JSON Schema of definitions, for editors and checks
    Schema(Form),
}

/// Of what form a schema is.
#[derive(Debug, Args)]
pub(crate) struct Form {
    /// Of files of cases instead
    #[arg(long)]
    evals: bool,
}

/// An agent, and perhaps a version of it.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The agent, as NAME or NAME@VERSION
    #[arg(value_name = "AGENT")]
    name: String,
}

/// A file with a definition.
#[derive(Debug, Args)]
pub(crate) struct File {
    /// The definition, in YAML or JSON; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn dispatch(command: Agents, context: Context) -> Result<(), Failure> {
    match command {
        Agents::List(page) => list(page, context).await,
        Agents::Describe(args) => describe(args, context).await,
        Agents::Validate(args) => validate(&args, &context),
        Agents::Publish(args) => publish(args, context).await,
        Agents::Activate(args) => activate(args, context).await,
        Agents::Run(args) => run::run(args, context).await,
        Agents::Evals(args) => evals::evals(args, context).await,
        Agents::Tasks(args) => tasks::list(args, context).await,
        Agents::Task(args) => task::show(args, context).await,
        Agents::Pause(args) => task::pause(args, context).await,
        Agents::Resume(args) => task::resume(args, context).await,
        Agents::Redirect(args) => task::redirect(args, context).await,
        Agents::TakeOver(args) => task::take_over(args, context).await,
        Agents::Cancel(args) => task::cancel(args, context).await,
        Agents::Budgets(page) => budgets::list(page, context).await,
        Agents::Budget(args) => budgets::set(args, context).await,
        Agents::Schema(form) => {
            let schema = if form.evals { evals::schema() } else { definition::schema() };
            Ok(context.out.line(pretty(&schema))?)
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn parsed(args: &File) -> Result<(String, Agent), Failure> {
    let text = read_text(&args.file)?;
    let agent = definition::parse(&text, Some(&args.file.display().to_string()))
        .map_err(|mistakes| Failure::Mistakes(mistakes.into_iter().map(to_proto).collect()))?;
    Ok((text, agent))
}

fn validate(args: &File, context: &Context) -> Result<(), Failure> {
    let (_, agent) = parsed(args)?;
    Ok(context.out.line(format!("{} is valid: {}", clean(&agent.name), agent.digest()))?)
}

async fn publish(args: File, context: Context) -> Result<(), Failure> {
    let (source, _) = parsed(&args)?;
    let file = args.file.display().to_string();
    let request = v1::PublishAgentRequest { source, file, request_id: fresh_request_id(), validate_only: false };
    let answer = clients::agents(context.link().await?).publish_agent(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("PublishAgentResponse", &answer);
    }
    let (name, version) = (clean(&answer.name), answer.version);
    Ok(context.out.line(format!("{name}@{version} is active: {}", answer.digest))?)
}

async fn list(page: PageArgs, context: Context) -> Result<(), Failure> {
    let request = v1::ListAgentsRequest { page_size: page.limit, page_token: page.page };
    let answer = clients::agents(context.link().await?).list_agents(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListAgentsResponse", &answer);
    }
    let mut table = Table::new(&["AGENT", "VERSION", "MODELS", "SKILLS", "WHAT IT IS FOR"]);
    for agent in &answer.agents {
        let what = if agent.description.is_empty() { &agent.title } else { &agent.description };
        table.row([
            agent.name.as_str().into(),
            version(agent).into(),
            agent.model_class.as_str().into(),
            clean(or_dash(&agent.skills.join(", "))).into(),
            clean(what).into(),
        ]);
    }
    context.out.table(&table, "no agents: `mesh agents publish FILE` publishes one")?;
    context.more(&answer.next_page_token)
}

/// Its version; one that comes with the node has none.
fn version(agent: &v1::Agent) -> String {
    if agent.version == 0 { "shipped".to_owned() } else { agent.version.to_string() }
}

async fn describe(args: Named, context: Context) -> Result<(), Failure> {
    let (name, version) = name_and_version(&args.name)?;
    let request = v1::GetAgentRequest { name, version };
    let answer = clients::agents(context.link().await?).get_agent(request).await?.into_inner();
    shown(&answer.agent.ok_or(Failure::Lacking("agent"))?, &context)
}

fn shown(agent: &v1::Agent, context: &Context) -> Result<(), Failure> {
    if context.out.is_json() {
        return context.out.json("Agent", agent);
    }
    let lines = [
        format!("agent   {}@{}", clean(&agent.name), agent.version),
        format!("for     {}", clean(or_dash(&agent.description))),
        format!("models  {}", clean(&agent.model_class)),
        format!("skills  {}", clean(or_dash(&agent.skills.join(", ")))),
        String::new(),
        pretty(&agent.definition.as_ref().map(struct_to_json).unwrap_or_default()),
        String::new(),
    ];
    for line in lines {
        context.out.line(line)?;
    }
    let mut table = Table::new(&["VERSION", "", "PUBLISHED", "BY"]);
    for version in &agent.versions {
        let mark = if version.version == agent.active_version { "active" } else { "" };
        table.row([
            version.version.to_string().into(),
            mark.into(),
            age(version.publish_time, context.now()).into(),
            clean(&version.published_by).into(),
        ]);
    }
    Ok(context.out.table(&table, "no versions")?)
}

async fn activate(args: Named, context: Context) -> Result<(), Failure> {
    let (name, version) = name_and_version(&args.name)?;
    if version == 0 {
        return Err(Failure::Usage(format!("`{name}`: say which version, as in {name}@2")));
    }
    let request = v1::ActivateAgentRequest { name, version, request_id: fresh_request_id() };
    let answer = clients::agents(context.link().await?).activate_agent(request).await?.into_inner();
    let agent = answer.agent.ok_or(Failure::Lacking("agent"))?;
    if context.out.is_json() {
        return context.out.json("Agent", &agent);
    }
    Ok(context.out.line(format!("{}@{} is active", clean(&agent.name), agent.version))?)
}

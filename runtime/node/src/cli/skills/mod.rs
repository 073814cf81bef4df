//! `mesh skills`: what steps may call, begun, registered, looked at, called, tested.

mod cases;
mod describe;
mod new;
mod register;

use std::time::Duration;

use clap::{Args, Subcommand};
use mesh_proto::v1;
use mesh_workflows::{form::struct_to_json, invocation::OUTPUT};
use serde_json::Value;

use super::{
    Failure,
    args::{PageArgs, time},
    clients,
    connect::Link,
    context::{Context, fresh_request_id},
    output::{Table, clean, duration, label},
    runs::{InputArgs, Marks, end_of, ended, labels, show},
};

/// What can be done with skills.
#[derive(Debug, Subcommand)]
pub(crate) enum Skills {
    /// List the skills that steps may call
    List(PageArgs),
    /// Show what a skill takes, gives, needs and how it may fail
    Describe(describe::Describe),
    /// Call a skill by itself, as a run of one step, and print what it gives
    Invoke(Invoke),
    /// Begin a skill of one's own from an example that works
    New(new::New),
    /// Register skills from manifest files and folders with a SKILL.md, all or none
    Register(register::Register),
    /// Print the JSON Schema of manifest files, for editors and checks
    Schema,
    /// Let no new call use a version, as SKILL@VERSION, unless there is no other
    Deprecate(Deprecate),
    /// Let nobody call a version any more, as SKILL@VERSION; it does not come back
    Withdraw(Deprecate),
    /// Call the examples of skills that need nothing around them, and compare what comes of it
    Test(cases::Test),
}

/// What `mesh skills invoke` takes.
#[derive(Debug, Args)]
pub(crate) struct Invoke {
    /// The skill
    #[arg(value_name = "SKILL")]
    name: String,
    #[command(flatten)]
    input: InputArgs,
    /// How long an attempt may take, such as 30s; as long as the skill says when not given
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    /// How often it is tried in all, when the failure is one that may pass
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: u32,
    #[command(flatten)]
    marks: Marks,
    /// Check everything and call nothing
    #[arg(long)]
    validate_only: bool,
}

/// What `mesh skills deprecate` and `withdraw` take.
#[derive(Debug, Args)]
pub(crate) struct Deprecate {
    /// The version, as in acme.shout@1.0.0
    #[arg(value_name = "SKILL@VERSION")]
    skill: String,
    /// Why, and what to use instead
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) async fn dispatch(command: Skills, context: Context) -> Result<(), Failure> {
    match command {
        Skills::List(page) => list(page, context).await,
        Skills::Describe(args) => describe::describe(args, context).await,
        Skills::Invoke(args) => invoke(args, context).await,
        Skills::New(args) => new::new(args, &context),
        Skills::Register(args) => register::register(args, context).await,
        Skills::Schema => Ok(context.out.line(pretty(&mesh_skills::manifests::schema()))?),
        Skills::Deprecate(args) => deprecate(args, context).await,
        Skills::Withdraw(args) => withdraw(args, context).await,
        Skills::Test(args) => cases::test(args, context).await,
    }
}

async fn list(page: PageArgs, context: Context) -> Result<(), Failure> {
    let request = v1::ListSkillsRequest { page_size: page.limit, page_token: page.page };
    let answer = clients::skills(context.link().await?).list_skills(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListSkillsResponse", &answer);
    }
    let mut table = Table::new(&["SKILL", "VERSION", "EFFECT", "WITHIN", "HOST", "WHAT IT DOES"]);
    for skill in &answer.skills {
        table.row([
            skill.name.as_str().into(),
            skill.version.as_str().into(),
            effect(skill).into(),
            within(skill).into(),
            hosted(skill).into(),
            clean(first_sentence(&skill.description)).into(),
        ]);
    }
    context.out.table(&table, "no skills")?;
    context.more(&answer.next_page_token)
}

/// Where its code runs, and how many have it.
fn hosted(skill: &v1::Skill) -> String {
    match skill.host.as_str() {
        "worker" => format!("worker ({})", skill.workers),
        host => clean(host),
    }
}

async fn deprecate(args: Deprecate, context: Context) -> Result<(), Failure> {
    let (name, version) = name_and_version(&args.skill)?;
    let request = v1::DeprecateSkillRequest { name, version, reason: args.reason, request_id: fresh_request_id() };
    let answer = clients::skills(context.link().await?).deprecate_skill(request).await?.into_inner();
    let skill = answer.skill.ok_or(Failure::Lacking("skill"))?;
    if context.out.is_json() {
        return context.out.json("Skill", &skill);
    }
    let (name, version) = (clean(&skill.name), clean(&skill.version));
    Ok(context.out.line(format!("{} is deprecated; new calls use {name}@{version}", clean(&args.skill)))?)
}

async fn withdraw(args: Deprecate, context: Context) -> Result<(), Failure> {
    let (name, version) = name_and_version(&args.skill)?;
    let request = v1::WithdrawSkillRequest { name, version, reason: args.reason, request_id: fresh_request_id() };
    let answer = clients::skills(context.link().await?).withdraw_skill(request).await?.into_inner();
    let skill = answer.skill.ok_or(Failure::Lacking("skill"))?;
    if context.out.is_json() {
        return context.out.json("Skill", &skill);
    }
    let (name, version) = (clean(&skill.name), clean(&skill.version));
    let calls = match skill.withdrawn.as_str() {
        "" => format!("new calls use {name}@{version}"),
        _ => format!("nobody calls {name} any more"),
    };
    Ok(context.out.line(format!("{} is withdrawn; {calls}", clean(&args.skill)))?)
}

fn name_and_version(skill: &str) -> Result<(String, String), Failure> {
    let parts = skill.split_once('@').map(|(name, version)| (name.to_owned(), version.to_owned()));
    parts.ok_or_else(|| Failure::Usage(format!("`{skill}`: write skill and version, as in acme.shout@1.0.0")))
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}

fn effect(skill: &v1::Skill) -> String {
    label(skill.effect().as_str_name(), "SKILL_EFFECT").replace('_', "-")
}

fn within(skill: &v1::Skill) -> String {
    skill.timeout.and_then(|time| Duration::try_from(time).ok()).map(duration).unwrap_or_default()
}

async fn invoke(args: Invoke, context: Context) -> Result<(), Failure> {
    let request = v1::InvokeSkillRequest {
        name: args.name,
        input: Some(args.input.read()?),
        timeout: args.timeout.and_then(|time| time.try_into().ok()),
        request_id: args.marks.request_id.unwrap_or_else(fresh_request_id),
        project_id: args.marks.project,
        validate_only: args.validate_only,
        labels: labels(&args.marks.labels)?,
        retry: Some(at_most(args.attempts)),
    };
    let link = context.link().await?;
    let Some(run) = call(&link, request).await? else { return Ok(context.out.line("valid: nothing was called")?) };
    if context.out.is_json() {
        context.out.json("Run", &run)?;
        return ended(&run);
    }
    if run.state() != v1::RunState::Succeeded {
        return Err(Failure::Failed(format!("{}\n  mesh logs {} shows more", why(&run), run.run_id)));
    }
    Ok(context.out.line(pretty(&gave(&run)))?)
}

/// Every class of failure is tried so often in all.
fn at_most(attempts: u32) -> v1::Retry {
    v1::Retry { max_attempts: attempts, ..v1::Retry::default() }
}

/// The run that called the skill, when it has ended; none when it was only validated.
async fn call(link: &Link, request: v1::InvokeSkillRequest) -> Result<Option<v1::Run>, Failure> {
    let answer = clients::skills(link.clone()).invoke_skill(request).await?.into_inner();
    let Some(run) = answer.run else { return Ok(None) };
    let run = end_of(run.run_id, clients::workflows(link.clone()), |_, _| Ok(())).await?;
    Ok(Some(run))
}

fn gave(run: &v1::Run) -> Value {
    let outputs = run.outputs.as_ref().map(struct_to_json).unwrap_or_default();
    outputs.get(OUTPUT).cloned().unwrap_or_default()
}

fn why(run: &v1::Run) -> String {
    match &run.failure {
        Some(failure) => show::failure_text(failure),
        None => format!("the run {} is {}", run.run_id, show::state_label(run)),
    }
}

async fn get(link: Link, name: String) -> Result<v1::Skill, Failure> {
    let answer = clients::skills(link).get_skill(v1::GetSkillRequest { name }).await?.into_inner();
    answer.skill.ok_or(Failure::Lacking("skill"))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

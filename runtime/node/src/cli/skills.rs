//! `mesh skills`: what steps may call, looked at, called, tested.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use mesh_proto::v1::{self, skill_example::Gives as Told};
use mesh_skills::contract::{FailureClass, Gives};
use mesh_workflows::{
    form::{parse_duration, struct_to_json, value_to_json},
    invocation::OUTPUT,
};
use prost_types::value::Kind;
use serde_json::{Value, json};

use super::{
    Failure,
    args::PageArgs,
    clients,
    connect::Link,
    context::{Context, fresh_request_id},
    output::{Cell, Table, Tone, clean, duration, label, or_dash},
    runs::{InputArgs, end_of, ended, labels, show},
};

/// What can be done with skills.
#[derive(Debug, Subcommand)]
pub(crate) enum Skills {
    /// List the skills that steps may call
    List(PageArgs),
    /// Show what a skill takes, gives, needs and how it may fail
    Describe(Describe),
    /// Call a skill by itself, as a run of one step, and print what it gives
    Invoke(Invoke),
    /// Let no new call use a version, as SKILL@VERSION, unless there is no other
    Deprecate(Deprecate),
    /// Call the examples of skills that need nothing around them, and compare what comes of it
    Test(Test),
}

/// What `mesh skills describe` takes.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// The skill
    #[arg(value_name = "SKILL")]
    name: String,
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
    /// Makes the request repeatable: the same id again answers with the same run
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// The project that it belongs to
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    project: String,
    /// A name and a value to find the run by; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// Check everything and call nothing
    #[arg(long)]
    validate_only: bool,
}

/// What `mesh skills deprecate` takes.
#[derive(Debug, Args)]
pub(crate) struct Deprecate {
    /// The version, as in acme.shout@1.0.0
    #[arg(value_name = "SKILL@VERSION")]
    skill: String,
    /// Why, and what to use instead
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What `mesh skills test` takes.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The skills; all of them when none is named
    #[arg(value_name = "SKILL")]
    names: Vec<String>,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration as in 30s, 5m or 1h30m".to_owned())
}

pub(super) async fn dispatch(command: Skills, context: Context) -> Result<(), Failure> {
    match command {
        Skills::List(page) => list(page, context).await,
        Skills::Describe(args) => describe(args, context).await,
        Skills::Invoke(args) => invoke(args, context).await,
        Skills::Deprecate(args) => deprecate(args, context).await,
        Skills::Test(args) => test(args, context).await,
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
    let (name, version) = args
        .skill
        .split_once('@')
        .ok_or_else(|| Failure::Usage(format!("`{}`: write skill and version, as in acme.shout@1.0.0", args.skill)))?;
    let request = v1::DeprecateSkillRequest {
        name: name.to_owned(),
        version: version.to_owned(),
        reason: args.reason,
        request_id: fresh_request_id(),
    };
    let answer = clients::skills(context.link().await?).deprecate_skill(request).await?.into_inner();
    let skill = answer.skill.ok_or(Failure::Lacking("skill"))?;
    if context.out.is_json() {
        return context.out.json("Skill", &skill);
    }
    let (name, version) = (clean(&skill.name), clean(&skill.version));
    Ok(context.out.line(format!("{} is deprecated; new calls use {name}@{version}", clean(&args.skill)))?)
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

async fn describe(args: Describe, context: Context) -> Result<(), Failure> {
    let skill = get(context.link().await?, args.name).await?;
    if context.out.is_json() {
        return context.out.json("Skill", &skill);
    }
    for line in described(&skill) {
        context.out.line(line)?;
    }
    Ok(())
}

async fn get(link: Link, name: String) -> Result<v1::Skill, Failure> {
    let answer = clients::skills(link).get_skill(v1::GetSkillRequest { name }).await?.into_inner();
    answer.skill.ok_or(Failure::Lacking("skill"))
}

fn described(skill: &v1::Skill) -> Vec<String> {
    let list = |names: &[String]| clean(or_dash(&names.join(", ")));
    let mut lines = vec![
        format!("skill        {}@{}", clean(&skill.name), clean(&skill.version)),
        format!("what it does {}", clean(&skill.description)),
        format!("effect       {}", effect(skill)),
        format!("within       {}", within(skill)),
        format!("may fail     {}", list(&skill.failure_classes)),
        format!("needs        {}", list(&skill.permissions)),
        format!("host         {}", hosted(skill)),
    ];
    let schema = |value: Option<&prost_types::Value>| pretty(&value.map(value_to_json).unwrap_or_default());
    lines.extend(["\ninput".to_owned(), schema(skill.input_schema.as_ref())]);
    lines.extend(["\noutput".to_owned(), schema(skill.output_schema.as_ref())]);
    for example in &skill.examples {
        let input = example.input.as_ref().map(value_to_json).unwrap_or_default();
        let gives = match &example.gives {
            Some(Told::Output(output)) => value_to_json(output).to_string(),
            Some(Told::FailureClass(class)) => format!("a failure of class {class}"),
            None => "nothing that is told".to_owned(),
        };
        lines.push(clean(&format!("example: {}", example.title)));
        lines.push(format!("  {input}"));
        lines.push(format!("  gives {gives}"));
    }
    let first = lines.iter().position(|line| line.starts_with("example: "));
    if let Some(line) = first.and_then(|at| lines.get_mut(at)) {
        line.insert(0, '\n');
    }
    lines
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

async fn invoke(args: Invoke, context: Context) -> Result<(), Failure> {
    let request = v1::InvokeSkillRequest {
        name: args.name,
        input: Some(args.input.read()?),
        timeout: args.timeout.and_then(|time| time.try_into().ok()),
        request_id: args.request_id.unwrap_or_else(fresh_request_id),
        project_id: args.project,
        validate_only: args.validate_only,
        labels: labels(&args.labels)?,
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

/// What came of an example.
struct Case {
    skill: String,
    title: String,
    /// Why it is not what was said; nothing when it is.
    problem: Option<String>,
    took: Duration,
}

async fn test(args: Test, context: Context) -> Result<(), Failure> {
    let link = context.link().await?;
    let names = if args.names.is_empty() { every_name(link.clone()).await? } else { args.names };
    let mut cases = Vec::new();
    for name in names {
        let skill = get(link.clone(), name).await?;
        for example in skill.examples.iter().filter(|example| example.alone) {
            let began = Instant::now();
            let problem = tried(&link, &skill.name, example).await?;
            let case = Case { skill: skill.name.clone(), title: example.title.clone(), problem, took: began.elapsed() };
            if context.out.is_json() {
                context.out.line(case_json(&case).to_string())?;
            }
            cases.push(case);
        }
    }
    if !context.out.is_json() {
        context.out.table(&case_table(&cases), "there is no example that can be called by itself")?;
    }
    let failed: Vec<_> = cases.iter().filter_map(|case| Some((case, case.problem.as_ref()?))).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let told = failed.iter().map(|(case, problem)| format!("\n  {}: {}: {problem}", case.skill, case.title));
    Err(Failure::Failed(format!("{} of {} examples failed{}", failed.len(), cases.len(), told.collect::<String>())))
}

async fn every_name(link: Link) -> Result<Vec<String>, Failure> {
    let (mut names, mut client, mut page_token) = (Vec::new(), clients::skills(link), String::new());
    loop {
        let request = v1::ListSkillsRequest { page_size: 500, page_token };
        let answer = client.list_skills(request).await?.into_inner();
        names.extend(answer.skills.into_iter().map(|skill| skill.name));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return Ok(names);
        }
    }
}

/// Why what came of an example is not what it says.
async fn tried(link: &Link, name: &str, example: &v1::SkillExample) -> Result<Option<String>, Failure> {
    let Some(Kind::StructValue(input)) = example.input.as_ref().and_then(|input| input.kind.clone()) else {
        return Ok(Some("its input is no object, so no run can be given it".to_owned()));
    };
    let Some(gives) = example.gives.as_ref().and_then(said) else {
        return Ok(Some("it does not say what comes of it".to_owned()));
    };
    let request = v1::InvokeSkillRequest {
        name: name.to_owned(),
        input: Some(input),
        request_id: fresh_request_id(),
        retry: Some(at_most(1)),
        ..Default::default()
    };
    let run = match call(link, request).await {
        Ok(run) => run.ok_or(Failure::Lacking("run"))?,
        // The input is refused before anything is called: that may be what the example shows.
        Err(Failure::Refused(status)) if status.code() == tonic::Code::InvalidArgument => {
            let problem = format!("it was refused: {}", status.message());
            return Ok((!gives.fits(Err(FailureClass::Validation))).then_some(problem));
        }
        Err(failure) => return Err(failure),
    };
    let output = gave(&run);
    let class = run.failure.as_ref().and_then(|failure| failure.failure_class.parse().ok());
    let came = class.map_or(Ok(&output), Err);
    let is_as_said = gives.fits(came) && (came.is_err() || run.state() == v1::RunState::Succeeded);
    Ok((!is_as_said).then(|| if came.is_err() { why(&run) } else { format!("it gave {output}") }))
}

fn said(told: &Told) -> Option<Gives> {
    Some(match told {
        Told::Output(output) => Gives::Output(value_to_json(output)),
        Told::FailureClass(class) => Gives::Failure(class.parse().ok()?),
    })
}

fn case_json(case: &Case) -> Value {
    json!({
        "skill": case.skill,
        "example": case.title,
        "passed": case.problem.is_none(),
        "problem": case.problem,
        "seconds": case.took.as_secs_f64(),
    })
}

fn case_table(cases: &[Case]) -> Table {
    let mut table = Table::new(&["SKILL", "EXAMPLE", "RESULT", "TOOK"]);
    for case in cases {
        let result = match case.problem {
            None => Cell::toned("passed", Tone::Good),
            Some(_) => Cell::toned("failed", Tone::Bad),
        };
        table.row([case.skill.as_str().into(), clean(&case.title).into(), result, duration(case.took).into()]);
    }
    table
}

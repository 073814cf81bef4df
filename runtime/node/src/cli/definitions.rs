//! `mesh definitions`: workflow definitions, checked, tested and published.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use mesh_proto::v1::{self, publish_definition_request::Body, validate_definition_request};
use mesh_workflows::{
    definition::{Known, parse, schema, to_json as definition_json},
    testing::{CaseReport, run_cases},
};

use super::{
    Failure,
    args::PageArgs,
    clients,
    context::{Context, fresh_request_id, read_text},
    output::{Cell, Paint, Table, Tone, age, clean, duration, instant},
    runs::name_and_version,
};

/// What can be done with definitions.
#[derive(Debug, Subcommand)]
pub(crate) enum Definitions {
    /// Find every mistake of a definition at once and publish nothing
    Validate(File),
    /// Publish a definition; the same content again answers with the version that it has
    Publish(Publish),
    /// Show a published definition, as NAME or NAME@VERSION
    Get(Get),
    /// List published definitions, the latest version of each
    List(PageArgs),
    /// Print the JSON Schema of definitions, for editors and checks
    Schema,
    /// Run a definition's test cases, with skills answered from the file and time skipped
    Test(File),
}

/// A file with a definition.
#[derive(Debug, Args)]
pub(crate) struct File {
    /// The definition, in YAML or JSON; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What `mesh definitions publish` takes.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    file: File,
    /// Say what would happen and publish nothing
    #[arg(long)]
    validate_only: bool,
    /// Publish only when the definition is still as it was seen
    #[arg(long, value_name = "ETAG", default_value = "", hide_default_value = true)]
    etag: String,
}

/// What `mesh definitions get` takes.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The definition, as NAME or NAME@VERSION
    #[arg(value_name = "DEFINITION")]
    name: String,
}

pub(super) async fn dispatch(command: Definitions, context: Context) -> Result<(), Failure> {
    match command {
        Definitions::Validate(args) => validate(args, context).await,
        Definitions::Publish(args) => publish(args, context).await,
        Definitions::Get(args) => get(args, context).await,
        Definitions::List(page) => list(page, context).await,
        Definitions::Schema => Ok(context.out.line(serde_json::to_string_pretty(&schema()).unwrap_or_default())?),
        Definitions::Test(args) => test(&args, &context),
    }
}

fn source(path: &Path) -> Result<v1::DefinitionSource, Failure> {
    Ok(v1::DefinitionSource { text: read_text(path)?, file_name: path.display().to_string() })
}

async fn validate(args: File, context: Context) -> Result<(), Failure> {
    let source = source(&args.file)?;
    let link = match context.link().await {
        Ok(link) => link,
        // A definition can be checked without a node, all but the skills that it calls.
        Err(Failure::NoNode(_) | Failure::Unreachable { .. }) => return alone(&source, &context),
        Err(failure) => return Err(failure),
    };
    let request = v1::ValidateDefinitionRequest { body: Some(validate_definition_request::Body::Source(source)) };
    let answer = clients::workflows(link).validate_definition(request).await?.into_inner();
    if context.out.is_json() {
        context.out.json("ValidateDefinitionResponse", &answer)?;
    }
    if !answer.valid {
        return Err(Failure::Mistakes(answer.mistakes));
    }
    if context.out.is_json() {
        return Ok(());
    }
    Ok(context.out.line(format!("{} is valid: {}", clean(&answer.name), answer.digest))?)
}

fn alone(source: &v1::DefinitionSource, context: &Context) -> Result<(), Failure> {
    let definition = parsed(source)?;
    if context.out.is_json() {
        let answer = v1::ValidateDefinitionResponse {
            valid: true,
            mistakes: Vec::new(),
            name: definition.message.name,
            digest: definition.digest.to_string(),
        };
        return context.out.json("ValidateDefinitionResponse", &answer);
    }
    let name = clean(&definition.message.name);
    context.out.line(format!("{name} is valid: {}", definition.digest))?;
    Ok(context.out.line("no node is running: the skills that it calls were not checked")?)
}

fn parsed(source: &v1::DefinitionSource) -> Result<mesh_workflows::definition::Definition, Failure> {
    parse(&source.text, Some(&source.file_name), &Known::default())
        .map_err(|found| Failure::Mistakes(found.into_iter().map(super::context::to_proto).collect()))
}

async fn publish(args: Publish, context: Context) -> Result<(), Failure> {
    let request = v1::PublishDefinitionRequest {
        body: Some(Body::Source(source(&args.file.file)?)),
        request_id: fresh_request_id(),
        validate_only: args.validate_only,
        etag: args.etag,
    };
    let answer = clients::workflows(context.link().await?).publish_definition(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("PublishDefinitionResponse", &answer);
    }
    let Some(definition) = answer.definition else {
        return Ok(context.out.line("valid: nothing was published")?);
    };
    let how = if args.validate_only {
        "would be published"
    } else if answer.unchanged {
        "was published before with this content"
    } else {
        "is published"
    };
    Ok(context.out.line(format!("{}@{} {how}: {}", clean(&definition.name), definition.version, definition.digest))?)
}

async fn get(args: Get, context: Context) -> Result<(), Failure> {
    let (name, version) = name_and_version(&args.name)?;
    let request = v1::GetDefinitionRequest { name, version };
    let answer = clients::workflows(context.link().await?).get_definition(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("GetDefinitionResponse", &answer);
    }
    let found = answer.definition.ok_or(Failure::Lacking("definition"))?;
    let lines = [
        format!("definition  {}@{} of {}", found.name, found.version, found.latest_version),
        format!("title       {}", found.title),
        format!("digest      {}", found.digest),
        format!("published   {} by {}", instant(found.publish_time), found.published_by),
    ];
    for line in lines {
        context.out.line(clean(&line))?;
    }
    let Some(definition) = &found.definition else { return Ok(()) };
    let json = serde_json::to_string_pretty(&definition_json(definition)).unwrap_or_default();
    Ok(context.out.line(format!("\n{json}"))?)
}

async fn list(page: PageArgs, context: Context) -> Result<(), Failure> {
    let request = v1::ListDefinitionsRequest { page_size: page.limit, page_token: page.page, ..Default::default() };
    let answer = clients::workflows(context.link().await?).list_definitions(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListDefinitionsResponse", &answer);
    }
    let mut table = Table::new(&["DEFINITION", "VERSION", "PUBLISHED", "BY", "TITLE"]);
    for found in &answer.definitions {
        table.row([
            found.name.as_str().into(),
            found.version.to_string().into(),
            age(found.publish_time, context.now()).into(),
            found.published_by.as_str().into(),
            found.title.as_str().into(),
        ]);
    }
    context.out.table(&table, "no definitions")?;
    context.more(&answer.next_page_token)
}

fn test(args: &File, context: &Context) -> Result<(), Failure> {
    let definition = parsed(&source(&args.file)?)?;
    let reports = run_cases(&definition);
    if context.out.is_json() {
        for report in &reports {
            context.out.line(report_json(report).to_string())?;
        }
    } else {
        report_table(&reports, context)?;
    }
    let failed = reports.iter().filter(|report| !report.passed()).count();
    if failed == 0 { Ok(()) } else { Err(Failure::Failed(format!("{failed} of {} cases failed", reports.len()))) }
}

fn report_json(report: &CaseReport) -> serde_json::Value {
    serde_json::json!({
        "case": report.name,
        "passed": report.passed(),
        "state": report.state,
        "problems": report.problems,
        "simulatedSeconds": report.took.as_secs_f64(),
    })
}

fn report_table(reports: &[CaseReport], context: &Context) -> Result<(), Failure> {
    context.out.table(&cases(reports), "the definition has no test cases")?;
    for report in reports.iter().filter(|report| !report.passed()) {
        context.out.line("")?;
        for line in problems(report, context.out.paint) {
            context.out.line(line)?;
        }
    }
    Ok(())
}

fn cases(reports: &[CaseReport]) -> Table {
    let mut table = Table::new(&["CASE", "RESULT", "STATE", "SIMULATED"]);
    for report in reports {
        let result = if report.passed() { Cell::toned("passed", Tone::Good) } else { Cell::toned("failed", Tone::Bad) };
        table.row([report.name.as_str().into(), result, report.state.as_str().into(), duration(report.took).into()]);
    }
    table
}

fn problems(report: &CaseReport, paint: Paint) -> Vec<String> {
    let mut lines = vec![paint.tone(Tone::Strong, &clean(&report.name))];
    lines.extend(report.problems.iter().map(|problem| format!("  {}", clean(problem))));
    lines
}

//! `mesh blueprints`: checked, planned, applied.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use mesh_proto::v1::{self, BlueprintChange};

use super::{
    Failure,
    args::PageArgs,
    clients,
    context::{Context, fresh_request_id, read_text},
    output::{Cell, Table, age, clean, instant, label, or_dash, tone_of},
    run::finish::login_text,
    runs,
};

/// What can be done with blueprints.
#[derive(Debug, Subcommand)]
pub(crate) enum Blueprints {
    /// Find every mistake of a blueprint at once and change nothing
    Validate(File),
    /// Say what applying a blueprint would change, and change nothing
    Plan(File),
    /// Apply a blueprint: make its product, or go on with the latest run of the same content
    Apply(Apply),
    /// Show a blueprint and its product
    Get(Get),
    /// List the blueprints that were applied
    List(PageArgs),
}

/// A file with a blueprint.
#[derive(Debug, Args)]
pub(crate) struct File {
    /// The blueprint; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What `mesh blueprints apply` takes.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    file: File,
    /// Apply only when the blueprint is still as `plan` saw it
    #[arg(long, value_name = "ETAG", default_value = "", hide_default_value = true)]
    etag: String,
    /// Check everything and change nothing
    #[arg(long)]
    validate_only: bool,
    /// Follow the run until it ends; the exit code says whether it succeeded
    #[arg(long, short = 'w')]
    watch: bool,
}

/// What `mesh blueprints get` takes.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The blueprint's name
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) async fn dispatch(command: Blueprints, context: Context) -> Result<(), Failure> {
    match command {
        Blueprints::Validate(args) => validate(args, context).await,
        Blueprints::Plan(args) => plan(args, context).await,
        Blueprints::Apply(args) => apply(args, context).await,
        Blueprints::Get(args) => get(args, context).await,
        Blueprints::List(page) => list(page, context).await,
    }
}

/// A blueprint's file as the contract carries it.
pub(super) fn source(path: &Path) -> Result<v1::BlueprintSource, Failure> {
    Ok(v1::BlueprintSource { text: read_text(path)?, file_name: path.display().to_string() })
}

async fn validate(args: File, context: Context) -> Result<(), Failure> {
    let request = v1::ValidateBlueprintRequest { source: Some(source(&args.file)?) };
    let answer = clients::blueprints(context.link().await?).validate_blueprint(request).await?.into_inner();
    if context.out.is_json() {
        context.out.json("ValidateBlueprintResponse", &answer)?;
    }
    if !answer.valid {
        return Err(Failure::Mistakes(answer.mistakes));
    }
    if context.out.is_json() {
        return Ok(());
    }
    Ok(context.out.line(format!("{} is valid: {}", clean(&answer.name), answer.digest))?)
}

async fn plan(args: File, context: Context) -> Result<(), Failure> {
    let request = v1::PlanBlueprintRequest { source: Some(source(&args.file)?) };
    let answer = clients::blueprints(context.link().await?).plan_blueprint(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("PlanBlueprintResponse", &answer);
    }
    for line in planned(&answer) {
        context.out.line(line)?;
    }
    Ok(())
}

fn planned(plan: &v1::PlanBlueprintResponse) -> Vec<String> {
    let name = clean(&plan.name);
    let mut lines = vec![match plan.change() {
        BlueprintChange::Create => format!("{name} would be made: there is no product of this name yet"),
        BlueprintChange::None => format!("{name} is applied already"),
        BlueprintChange::Add => format!("{name} would get its next commit, and its tenants' files be migrated"),
        BlueprintChange::Refused => format!("{name} cannot follow this change"),
        BlueprintChange::Unspecified => format!("{name}: the node did not say what would change"),
    }];
    lines.extend(plan.additions.iter().map(|line| format!("  + {}", clean(line))));
    lines.extend(plan.refusals.iter().map(|line| format!("  ! {}", clean(line))));
    lines.push(format!("digest {}", plan.digest));
    if plan.change() != BlueprintChange::Refused {
        lines.push(format!("to apply this plan and no other: mesh blueprints apply FILE --etag '{}'", plan.etag));
    }
    lines
}

async fn apply(args: Apply, context: Context) -> Result<(), Failure> {
    let request = v1::ApplyBlueprintRequest {
        source: Some(source(&args.file.file)?),
        request_id: fresh_request_id(),
        validate_only: args.validate_only,
        etag: args.etag,
    };
    let link = context.link().await?;
    let answer = clients::blueprints(link.clone()).apply_blueprint(request).await?.into_inner();
    if context.out.is_json() {
        context.out.json("ApplyBlueprintResponse", &answer)?;
    } else {
        context.out.line(applied(&answer))?;
    }
    match answer.run {
        Some(run) if args.watch => runs::until_end(run.run_id, clients::workflows(link), &context).await,
        _ => Ok(()),
    }
}

fn applied(answer: &v1::ApplyBlueprintResponse) -> String {
    let Some(blueprint) = &answer.blueprint else { return "valid: nothing was applied".to_owned() };
    let outcome = label(answer.outcome().as_str_name(), "APPLY_OUTCOME");
    let run = answer.run.as_ref().map(|run| run.run_id.as_str()).unwrap_or_default();
    clean(&format!("{} version {} is applied; run {run}: {outcome}", blueprint.name, blueprint.version))
}

async fn get(args: Get, context: Context) -> Result<(), Failure> {
    let request = v1::GetBlueprintRequest { name: args.name };
    let answer = clients::blueprints(context.link().await?).get_blueprint(request).await?.into_inner();
    let blueprint = answer.blueprint.ok_or(Failure::Lacking("blueprint"))?;
    if context.out.is_json() {
        return context.out.json("Blueprint", &blueprint);
    }
    for line in lines(&blueprint) {
        context.out.line(clean(&line))?;
    }
    Ok(())
}

fn lines(blueprint: &v1::Blueprint) -> Vec<String> {
    let mut lines = vec![
        format!("blueprint   {} version {}", blueprint.name, blueprint.version),
        format!("title       {}", or_dash(&blueprint.title)),
        format!("digest      {}", blueprint.digest),
        format!("applied     {} by {}", instant(blueprint.apply_time), or_dash(&blueprint.applied_by)),
        format!("run         {}", or_dash(&blueprint.run_id)),
    ];
    let Some(product) = &blueprint.product else { return lines };
    let tests = product.tests.unwrap_or_default();
    lines.extend([
        format!("product     {} {}", or_dash(&product.state), product.url),
        format!("repository  {}", or_dash(&product.repository)),
        format!("commit      {}", or_dash(&product.commit)),
        format!("tests       {} passed, {} failed", tests.passed, tests.failed),
    ]);
    lines.extend(product.logins.iter().map(|login| format!("log-in      {}", login_text(login))));
    lines
}

async fn list(page: PageArgs, context: Context) -> Result<(), Failure> {
    let request = v1::ListBlueprintsRequest { page_size: page.limit, page_token: page.page, ..Default::default() };
    let answer = clients::blueprints(context.link().await?).list_blueprints(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListBlueprintsResponse", &answer);
    }
    let mut table = Table::new(&["BLUEPRINT", "VERSION", "APPLIED", "RUN", "PRODUCT", "URL"]);
    for blueprint in &answer.blueprints {
        let product = blueprint.product.clone().unwrap_or_default();
        table.row([
            blueprint.name.as_str().into(),
            blueprint.version.to_string().into(),
            age(blueprint.apply_time, context.now()).into(),
            or_dash(&blueprint.run_id).into(),
            Cell::toned(or_dash(&product.state), tone_of(&product.state)),
            or_dash(&product.url).into(),
        ]);
    }
    context.out.table(&table, "no blueprints")?;
    context.more(&answer.next_page_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_it_adds_and_what_it_refuses() {
        let mut plan = v1::PlanBlueprintResponse {
            name: "helpdesk".into(),
            digest: "sha256:2".into(),
            change: BlueprintChange::Add as i32,
            additions: vec!["entity `Note`".into()],
            etag: "\"v3\"".into(),
            ..Default::default()
        };
        insta::assert_snapshot!(planned(&plan).join("\n"), @r#"
        helpdesk would get its next commit, and its tenants' files be migrated
          + entity `Note`
        digest sha256:2
        to apply this plan and no other: mesh blueprints apply FILE --etag '"v3"'
        "#);
        plan.change = BlueprintChange::Refused as i32;
        plan.refusals = vec!["field `Ticket.title` is gone: keep it".into()];
        assert!(planned(&plan).contains(&"  ! field `Ticket.title` is gone: keep it".to_owned()));
    }
}

//! `mesh knowledge search` and `context`.

use std::time::Duration;

use clap::Args;
use mesh_proto::v1;

use super::Class;
use crate::cli::{
    Failure,
    args::time,
    clients,
    context::{Context, fresh_request_id},
    output::{clean, instant},
};

/// Lines of a match that are shown.
const LINES_SHOWN: usize = 6;

/// What `mesh knowledge search` takes.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// What is looked for, in words
    #[arg(value_name = "QUERY")]
    query: String,
    /// Only in this collection; may be given again
    #[arg(long, value_name = "NAME")]
    collection: Vec<String>,
    /// Only documents of this source; may be given again
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// Only documents whose path begins so
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    path: String,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(i32).range(1..=100))]
    limit: i32,
}

/// What `mesh knowledge context` takes.
#[derive(Debug, Args)]
pub(crate) struct Package {
    /// What it is for, in words; or the id of a package, ctx-…, to show it again
    #[arg(value_name = "INTENT")]
    intent: String,
    /// Only in this collection; may be given again
    #[arg(long, value_name = "NAME")]
    collection: Vec<String>,
    /// Only documents of this source; may be given again
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// Tokens at most
    #[arg(long, value_name = "N", default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    budget: u32,
    /// Sources at most
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=40))]
    sources: u32,
    /// Nothing above this
    #[arg(long, value_enum, default_value = "internal")]
    ceiling: Class,
    /// Count the tokens of this model
    #[arg(long, value_name = "MODEL", default_value = "", hide_default_value = true)]
    model: String,
    /// How long it may be used
    #[arg(long, value_name = "TIME", value_parser = time)]
    ttl: Option<Duration>,
    /// Say why each source is in, and what was left out
    #[arg(long)]
    explain: bool,
}

pub(super) async fn search(args: Search, context: Context) -> Result<(), Failure> {
    let request = v1::SearchKnowledgeRequest {
        collections: args.collection,
        query: args.query,
        page_size: args.limit,
        sources: args.source,
        path_prefix: args.path,
        ceiling: v1::Classification::Unspecified.into(),
    };
    let answer = clients::knowledge(context.link().await?).search_knowledge(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("SearchKnowledgeResponse", &answer);
    }
    if answer.matches.is_empty() {
        return Ok(context.out.line("nothing was found")?);
    }
    for found in &answer.matches {
        context.out.line(format!("{:.3}  {}{}", found.score, clean(&place(found)), why(found)))?;
        for line in found.text.lines().filter(|line| !line.trim().is_empty()).take(LINES_SHOWN) {
            context.out.line(format!("       {}", clean(line)))?;
        }
    }
    Ok(())
}

fn place(found: &v1::Match) -> String {
    let revision = if found.revision.is_empty() { String::new() } else { format!("@{}", found.revision) };
    let v1::Match { collection, source, path, first_line, last_line, .. } = found;
    format!("{collection}/{source}{revision}#{path}:{first_line}-{last_line}")
}

fn why(found: &v1::Match) -> String {
    let rank = |name: &str, rank: u32| (rank > 0).then(|| format!("{name} {rank}"));
    let ranks = [rank("words", found.lexical_rank), rank("meaning", found.vector_rank)];
    let ranks: Vec<String> = ranks.into_iter().flatten().collect();
    let taint = if found.tainted { ", from outside" } else { "" };
    format!("  ({}{taint})", ranks.join(", "))
}

pub(super) async fn package(args: Package, context: Context) -> Result<(), Failure> {
    let mut client = clients::knowledge(context.link().await?);
    let package = match args.intent.starts_with("ctx-") {
        true => client.get_context(v1::GetContextRequest { context_id: args.intent }).await?.into_inner().package,
        false => {
            let ttl = args.ttl.map(prost_types::Duration::try_from).transpose();
            let request = v1::BuildContextRequest {
                intent: args.intent,
                collections: args.collection,
                token_budget: args.budget,
                max_sources: args.sources,
                ceiling: v1::Classification::from(args.ceiling).into(),
                sources: args.source,
                model: args.model,
                ttl: ttl.map_err(|_| Failure::Usage("the time is too long".to_owned()))?,
                request_id: fresh_request_id(),
            };
            client.build_context(request).await?.into_inner().package
        }
    };
    let package = package.ok_or(Failure::Lacking("package"))?;
    if context.out.is_json() {
        return context.out.json("ContextPackage", &package);
    }
    if args.explain { explained(&package, &context) } else { shown(&package, &context) }
}

fn shown(package: &v1::ContextPackage, context: &Context) -> Result<(), Failure> {
    for line in package.text.lines() {
        context.out.line(clean(line))?;
    }
    context.out.line(String::new())?;
    context.out.line(summary(package))?;
    Ok(())
}

fn summary(package: &v1::ContextPackage) -> String {
    let taint = if package.tainted { "; some of it is from outside" } else { "" };
    format!(
        "{}: {} of {} tokens ({}), {} sources, {} left out, until {}{taint}",
        package.id,
        package.tokens_used,
        package.token_budget,
        clean(&package.tokenizer),
        package.sources.len(),
        package.left_out.len(),
        instant(package.expires_at),
    )
}

fn explained(package: &v1::ContextPackage, context: &Context) -> Result<(), Failure> {
    if let Some(model) = &package.model {
        context.out.line(format!("meaning by {}: {}", clean(&model.name), clean(&model.note)))?;
    }
    for source in &package.sources {
        let found = source.r#match.clone().unwrap_or_default();
        let redacted = if source.redacted { ", redacted" } else { "" };
        let line = format!(
            "[{}] {:.3}  {} tokens  {}{}{redacted}",
            source.handle,
            found.score,
            source.tokens,
            clean(&source.citation),
            why(&found)
        );
        context.out.line(line)?;
    }
    for left in &package.left_out {
        let detail = if left.detail.is_empty() { String::new() } else { format!(": {}", clean(&left.detail)) };
        let what = if left.path.is_empty() { &left.chunk_id } else { &left.path };
        context.out.line(format!("left out for {}  {}{detail}", left.reason, clean(what)))?;
    }
    Ok(context.out.line(summary(package))?)
}

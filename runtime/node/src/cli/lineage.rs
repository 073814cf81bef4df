//! `mesh lineage`: what came from what.

use std::io::Write as _;

use clap::{Args, Subcommand};
use mesh_proto::v1;

use super::{
    Failure,
    args::{PageArgs, time},
    clients,
    context::Context,
    output::{Table, age, clean, instant, or_dash},
};

/// Names of one kind that are shown when it is folded.
const FOLDED: usize = 3;
/// Nodes of the way to the origin that are shown when they are folded.
const CHAIN: usize = 8;

/// What can be asked of lineage.
#[derive(Debug, Subcommand)]
pub(crate) enum Lineage {
    /// Show what led to a node: the way to where it began, and the rest by kind
    Why(Asked),
    /// Show what came of a node
    Impact(Asked),
    /// Show a shortest way between two nodes
    Path(Two),
    /// Show what all of some nodes come from
    Common(Several),
    /// Show how two nodes differ: runs by what came of them, others by what led to them
    Diff(Two),
    /// Show a node and the edges at it
    Get(One),
    /// Print what led to a node for other programs
    Export(Export),
}

/// A node, and how far to go.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// The node: the id of a run, task or commit, a whole name, or the beginning of either
    #[arg(value_name = "NODE")]
    node: String,
    /// List the nodes instead of folding them by kind
    #[arg(long)]
    all: bool,
    /// Only nodes of this kind, such as Approval; may be repeated
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Only along edges of this kind, such as PRODUCED_BY; may be repeated
    #[arg(long, value_name = "EDGE")]
    along: Vec<String>,
    /// At most so many edges far
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    depth: u32,
    /// As it was known so long ago, such as 2h
    #[arg(long, value_name = "AGO", value_parser = time)]
    as_of: Option<std::time::Duration>,
    /// Nothing that was known longer ago, such as 7d
    #[arg(long, value_name = "AGO", value_parser = time)]
    since: Option<std::time::Duration>,
    #[command(flatten)]
    page: PageArgs,
}

/// Two nodes.
#[derive(Debug, Args)]
pub(crate) struct Two {
    /// One node
    #[arg(value_name = "NODE")]
    one: String,
    /// The other
    #[arg(value_name = "NODE")]
    two: String,
}

/// Some nodes.
#[derive(Debug, Args)]
pub(crate) struct Several {
    /// The nodes
    #[arg(value_name = "NODE", num_args = 2.., required = true)]
    nodes: Vec<String>,
    #[command(flatten)]
    page: PageArgs,
}

/// One node.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The node
    #[arg(value_name = "NODE")]
    node: String,
}

/// What is exported, and how.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The node
    #[arg(value_name = "NODE")]
    node: String,
    /// W3C PROV-JSON, OpenLineage events (one a line), Graphviz, or Mermaid
    #[arg(long, value_name = "FORM", default_value = "dot", value_parser = ["prov", "openlineage", "dot", "mermaid"])]
    form: String,
    /// What came of it, instead of what led to it
    #[arg(long)]
    impact: bool,
    /// Nodes at most, from the oldest on
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    nodes_max: u32,
}

pub(super) async fn dispatch(command: Lineage, context: Context) -> Result<(), Failure> {
    match command {
        Lineage::Why(args) => why(args, context).await,
        Lineage::Impact(args) => impact(args, context).await,
        Lineage::Path(args) => path(args, context).await,
        Lineage::Common(args) => common(args, context).await,
        Lineage::Diff(args) => diff(args, context).await,
        Lineage::Get(args) => get(args, context).await,
        Lineage::Export(args) => export(args, context).await,
    }
}

impl Asked {
    fn bounds(&self, context: &Context) -> Option<v1::LineageBounds> {
        let ago = |ago: std::time::Duration| {
            let nanos = i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX);
            let at = context.now().unix_nanos().saturating_sub(nanos).max(0);
            mesh_kernel::envelope::Timestamp::from_unix_nanos(at).into()
        };
        Some(v1::LineageBounds {
            edge_kinds: self.along.clone(),
            kinds: self.kind.clone(),
            depth: self.depth,
            as_of: self.as_of.map(ago),
            since: self.since.map(ago),
        })
    }

    /// Folded, a page is as long as it may be: the more of each kind is told.
    fn rows(&self) -> i32 {
        if self.all { self.page.limit } else { 500 }
    }
}

async fn why(args: Asked, context: Context) -> Result<(), Failure> {
    let request = v1::WhyRequest {
        node: args.node.clone(),
        bounds: args.bounds(&context),
        page_size: args.rows(),
        page_token: args.page.page.clone(),
    };
    let answer = clients::lineage(context.link().await?).why(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("WhyResponse", &answer);
    }
    headed(answer.node.as_ref(), &answer.counts, answer.spent.as_ref(), &context)?;
    chain(&answer.chain, args.all, &context)?;
    rest(&args, &answer.nodes, &answer.counts, &context)?;
    if args.all { context.more(&answer.next_page_token) } else { Ok(()) }
}

async fn impact(args: Asked, context: Context) -> Result<(), Failure> {
    let request = v1::ImpactRequest {
        node: args.node.clone(),
        bounds: args.bounds(&context),
        page_size: args.rows(),
        page_token: args.page.page.clone(),
    };
    let answer = clients::lineage(context.link().await?).impact(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ImpactResponse", &answer);
    }
    headed(answer.node.as_ref(), &answer.counts, answer.spent.as_ref(), &context)?;
    rest(&args, &answer.nodes, &answer.counts, &context)?;
    if args.all { context.more(&answer.next_page_token) } else { Ok(()) }
}

fn headed(
    node: Option<&v1::LineageNode>,
    counts: &[v1::LineageCount],
    spent: Option<&v1::LineageSpent>,
    context: &Context,
) -> Result<(), Failure> {
    let node = node.ok_or(Failure::Lacking("node"))?;
    context.out.line(titled(node))?;
    let others = counts.iter().map(|count| count.count).sum::<u64>().saturating_sub(1);
    context.out.line(format!("{others} other nodes{}", cost(spent)))?;
    Ok(())
}

fn cost(spent: Option<&v1::LineageSpent>) -> String {
    let Some(spent) = spent else { return String::new() };
    let money = format!("{}.{:06}", spent.cost_micros / 1_000_000, spent.cost_micros % 1_000_000);
    format!("; {} tokens, {money} of the currency, {} ms with models", spent.tokens, spent.took_ms)
}

fn titled(node: &v1::LineageNode) -> String {
    let label = if node.label.is_empty() { String::new() } else { format!("  {}", node.label) };
    clean(&format!("{:<16} {}{label}", node.kind, node.name))
}

/// The way to the origin; its middle is left out when it is long.
fn chain(nodes: &[v1::LineageNode], is_whole: bool, context: &Context) -> Result<(), Failure> {
    if nodes.is_empty() {
        return Ok(());
    }
    context.out.line("\nbecause of")?;
    let (head, tail) = if is_whole || nodes.len() <= CHAIN { (nodes.len(), 0) } else { (CHAIN - 2, 2) };
    for node in nodes.iter().take(head) {
        context.out.line(format!("  {}", titled(node)))?;
    }
    if tail > 0 {
        context.out.line(format!("  … {} more", nodes.len() - head - tail))?;
    }
    for node in nodes.iter().skip(nodes.len() - tail) {
        context.out.line(format!("  {}", titled(node)))?;
    }
    Ok(())
}

fn rest(
    args: &Asked,
    nodes: &[v1::LineageNode],
    counts: &[v1::LineageCount],
    context: &Context,
) -> Result<(), Failure> {
    context.out.line("")?;
    if args.all {
        return list(nodes, "nothing else", context);
    }
    for count in counts.iter().filter(|count| args.kind.is_empty() || args.kind.contains(&count.kind)) {
        let some: Vec<&str> =
            nodes.iter().filter(|node| node.kind == count.kind).map(|node| node.name.as_str()).collect();
        let more = if some.len() > FOLDED || count.count > some.len() as u64 { ", …" } else { "" };
        let some = some.into_iter().take(FOLDED).collect::<Vec<_>>().join(", ");
        context.out.line(clean(&format!("{:<16} {:>6}  {some}{more}", count.kind, count.count)))?;
    }
    context.note("`--all` lists them, `--kind KIND` chooses")
}

fn list(nodes: &[v1::LineageNode], none: &str, context: &Context) -> Result<(), Failure> {
    let mut table = Table::new(&["KIND", "NODE", "KNOWN", "WHAT"]);
    for node in nodes {
        table.row([
            node.kind.as_str().into(),
            clean(&node.name).into(),
            age(node.time, context.now()).into(),
            clean(or_dash(&node.label)).into(),
        ]);
    }
    Ok(context.out.table(&table, none)?)
}

async fn path(args: Two, context: Context) -> Result<(), Failure> {
    let request = v1::PathRequest { from: args.one, to: args.two, edge_kinds: Vec::new() };
    let answer = clients::lineage(context.link().await?).path(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("PathResponse", &answer);
    }
    if answer.nodes.is_empty() {
        return Ok(context.out.line("neither came of the other")?);
    }
    let edges = answer.edges.iter().map(Some).chain([None]);
    for (node, edge) in answer.nodes.iter().zip(edges) {
        context.out.line(titled(node))?;
        if let Some(edge) = edge {
            let arrow = if edge.from == node.name { "↓" } else { "↑" };
            context.out.line(format!("  {arrow} {}", clean(&edge.kind)))?;
        }
    }
    Ok(())
}

async fn common(args: Several, context: Context) -> Result<(), Failure> {
    let request = v1::CommonCauseRequest { nodes: args.nodes, page_size: args.page.limit, page_token: args.page.page };
    let answer = clients::lineage(context.link().await?).common_cause(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("CommonCauseResponse", &answer);
    }
    list(&answer.nodes, "they have nothing in common", &context)?;
    context.more(&answer.next_page_token)
}

async fn diff(args: Two, context: Context) -> Result<(), Failure> {
    let request = v1::DiffRequest { one: args.one.clone(), two: args.two.clone(), page_size: 0 };
    let answer = clients::lineage(context.link().await?).diff(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("DiffResponse", &answer);
    }
    let sides = [(&args.one, &answer.only_one, &answer.counts_one), (&args.two, &answer.only_two, &answer.counts_two)];
    for (name, nodes, counts) in sides {
        let all = counts.iter().map(|count| count.count).sum::<u64>();
        context.out.line(clean(&format!("only of {name}: {all}")))?;
        list(nodes, "nothing", &context)?;
        if all > nodes.len() as u64 {
            context.out.line(format!("… {} more", all - nodes.len() as u64))?;
        }
        context.out.line("")?;
    }
    Ok(())
}

async fn get(args: One, context: Context) -> Result<(), Failure> {
    let request = v1::GetNodeRequest { node: args.node };
    let answer = clients::lineage(context.link().await?).get_node(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("GetNodeResponse", &answer);
    }
    let node = answer.node.as_ref().ok_or(Failure::Lacking("node"))?;
    context.out.line(titled(node))?;
    context.out.line(format!("known since {}{}", instant(node.time), cost(node.spent.as_ref())))?;
    for edge in &answer.edges {
        context.out.line(clean(&format!("  {} {} {}", edge.from, edge.kind, edge.to)))?;
    }
    Ok(())
}

/// Prints the text as it comes, whatever the output is: it is for programs already.
async fn export(args: Export, context: Context) -> Result<(), Failure> {
    let request =
        v1::ExportRequest { node: args.node, impact: args.impact, format: args.form, nodes_max: args.nodes_max };
    let mut pieces = clients::lineage(context.link().await?).export(request).await?.into_inner();
    let mut out = std::io::stdout().lock();
    let mut left_out = 0;
    while let Some(piece) = pieces.message().await? {
        out.write_all(piece.text.as_bytes())?;
        left_out = left_out.max(piece.left_out);
    }
    out.flush()?;
    drop(out);
    if left_out > 0 {
        context.note(format!("{left_out} nodes were left out: `--nodes-max` takes more"))?;
    }
    Ok(())
}

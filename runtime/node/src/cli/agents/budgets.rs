//! `mesh agents budgets | budget`.

use std::time::Duration;

use clap::Args;
use mesh_proto::v1;

use crate::cli::{
    Failure,
    args::{PageArgs, time},
    clients,
    context::{Context, fresh_request_id},
    output::{Table, clean, duration},
};

/// What `mesh agents budget` takes.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["tokens", "cost", "time", "lift", "restart"]))]
pub(crate) struct Set {
    /// Whose: tenant, project/ID or run/ID
    #[arg(value_name = "LEVEL")]
    level: String,
    /// Tokens that may be spent, with what was spent so far
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tokens: Option<u64>,
    /// Millionths of the currency that may be spent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    cost: Option<u64>,
    /// How long models may be waited for, all calls added up, such as 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// A task that finds no room fails, instead of waiting for a person
    #[arg(long)]
    stop: bool,
    /// Take the budget back: the node's configuration holds again
    #[arg(long, conflicts_with_all = ["tokens", "cost", "time", "stop"])]
    lift: bool,
    /// What was spent so far counts no more
    #[arg(long)]
    restart: bool,
}

pub(super) async fn set(args: Set, context: Context) -> Result<(), Failure> {
    let request = v1::SetBudgetRequest {
        level: args.level,
        tokens: args.tokens,
        cost_micros: args.cost,
        time: args.time.and_then(|time| time.try_into().ok()),
        stops: args.stop,
        lift: args.lift,
        restart: args.restart,
        request_id: fresh_request_id(),
    };
    let answer = clients::agents(context.link().await?).set_budget(request).await?.into_inner();
    let budget = answer.budget.ok_or(Failure::Lacking("budget"))?;
    if context.out.is_json() {
        return context.out.json("Budget", &budget);
    }
    Ok(context.out.line(format!("{}: {}", clean(&budget.level), bounds(&budget)))?)
}

pub(super) async fn list(page: PageArgs, context: Context) -> Result<(), Failure> {
    let request = v1::ListBudgetsRequest { page_size: page.limit, page_token: page.page };
    let answer = clients::agents(context.link().await?).list_budgets(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListBudgetsResponse", &answer);
    }
    let mut table = Table::new(&["LEVEL", "", "TOKENS", "COST", "TIME", "WHEN SPENT", "SET BY"]);
    for budget in &answer.budgets {
        let (spent, reserved) = (budget.spent.unwrap_or_default(), budget.reserved.unwrap_or_default());
        let waited = budget.waited.map_or_else(String::new, shown);
        table.row([
            clean(&budget.level).into(),
            (if budget.is_near { "near" } else { "" }).into(),
            of(spent.tokens, reserved.tokens, budget.tokens).into(),
            of(spent.cost_micros, reserved.cost_micros, budget.cost_micros).into(),
            budget.time.map_or_else(|| waited.clone(), |all| format!("{waited} of {}", shown(all))).into(),
            (if budget.stops { "stop" } else { "pause" }).into(),
            (if budget.is_own { "tenant" } else { "node" }).into(),
        ]);
    }
    context.out.table(&table, "no budgets")?;
    context.more(&answer.next_page_token)
}

/// What was spent, with what is set aside, of what may be.
fn of(spent: u64, reserved: u64, all: Option<u64>) -> String {
    let reserved = if reserved == 0 { String::new() } else { format!(" + {reserved}") };
    let all = all.map_or_else(String::new, |all| format!(" of {all}"));
    format!("{spent}{reserved}{all}")
}

fn shown(time: prost_types::Duration) -> String {
    Duration::try_from(time).map_or_else(|_| "-".to_owned(), duration)
}

fn bounds(budget: &v1::Budget) -> String {
    let bounds: Vec<String> = [
        budget.tokens.map(|tokens| format!("{tokens} tokens")),
        budget.cost_micros.map(|cost| format!("{cost} millionths")),
        budget.time.map(shown),
    ]
    .into_iter()
    .flatten()
    .collect();
    let then = if budget.stops { "then tasks fail" } else { "then tasks wait for a person" };
    if bounds.is_empty() { "no bound".to_owned() } else { format!("{}, {then}", bounds.join(", ")) }
}

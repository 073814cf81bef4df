//! `mesh agents tasks`.

use clap::Args;
use mesh_proto::v1;

use crate::cli::{
    Failure,
    args::PageArgs,
    clients,
    context::Context,
    output::{Cell, Table, age, clean, label, or_dash, tone_of},
};

/// What `mesh agents tasks` takes.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only in this state; may be given several times
    #[arg(long, value_name = "STATE", value_parser = [
        "context-loading", "executing", "validating", "correcting", "paused", "escalated", "completed", "failed",
        "timed-out", "cancelled",
    ])]
    state: Vec<String>,
    /// Only those that wait for a person
    #[arg(long, conflicts_with = "state")]
    waiting: bool,
    /// Only of this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only those that this run gave
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn list(args: List, context: Context) -> Result<(), Failure> {
    let states = if args.waiting { vec!["paused".to_owned(), "escalated".to_owned()] } else { args.state };
    let quoted = |field: &str, value: String| format!("{field} = {}", serde_json::Value::from(value));
    let terms: Vec<String> = states
        .iter()
        .map(|state| format!("state = {}", state.to_uppercase().replace('-', "_")))
        .chain(args.agent.map(|agent| quoted("agent", agent)))
        .chain(args.run.map(|run| quoted("run_id", run)))
        .collect();
    let request = v1::ListTasksRequest {
        page_size: args.page.limit,
        page_token: args.page.page,
        filter: terms.join(" AND "),
        min_position: 0,
    };
    let answer = clients::agents(context.link().await?).list_tasks(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListTasksResponse", &answer);
    }
    let mut table = Table::new(&["TASK", "AGENT", "STATE", "ASKED", "RUN", "STEP", "TOKENS", "COST"]);
    for task in &answer.tasks {
        let state = label(task.state().as_str_name(), "TASK_STATE");
        let version = if task.version == 0 { String::new() } else { format!("@{}", task.version) };
        let spent = task.spent.map(|spent| spent.input_tokens + spent.output_tokens + spent.lost_tokens);
        table.row([
            task.task_id.as_str().into(),
            format!("{}{version}", clean(&task.agent)).into(),
            Cell::toned(&state, tone_of(&state)),
            age(task.assign_time, context.now()).into(),
            or_dash(&task.run_id).into(),
            clean(or_dash(&task.step_id)).into(),
            spent.map_or_else(|| "-".to_owned(), |tokens| tokens.to_string()).into(),
            task.spent.map_or_else(|| "-".to_owned(), |spent| money(spent.cost_micros.unsigned_abs())).into(),
        ]);
    }
    context.out.table(&table, "no tasks")?;
    context.more(&answer.next_page_token)
}

fn money(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

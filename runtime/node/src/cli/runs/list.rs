//! `mesh runs list`.

use clap::Args;
use mesh_kernel::envelope::Timestamp;
use mesh_proto::v1;

use super::{filter::Filter, show::state_label};
use crate::cli::{
    Failure,
    args::PageArgs,
    clients,
    context::Context,
    output::{Cell, Table, age, span, tone_of},
};

/// What `mesh runs list` takes.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn list(args: List, context: Context) -> Result<(), Failure> {
    let request = v1::ListRunsRequest {
        page_size: args.page.limit,
        page_token: args.page.page,
        filter: args.filter.text(context.now())?,
        min_position: 0,
    };
    let answer = clients::workflows(context.link().await?).list_runs(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("ListRunsResponse", &answer);
    }
    context.out.table(&table(&answer.runs, context.now()), "no runs")?;
    context.more(&answer.next_page_token)
}

fn table(runs: &[v1::Run], now: Timestamp) -> Table {
    let mut table = Table::new(&["RUN", "DEFINITION", "STATE", "STEPS", "SUBMITTED", "TOOK", "FAILURE"]);
    for run in runs {
        let state = state_label(run);
        let progress = run.progress.unwrap_or_default();
        table.row([
            run.run_id.as_str().into(),
            format!("{}@{}", run.definition, run.definition_version).into(),
            Cell::toned(&state, tone_of(&state)),
            format!("{}/{}", progress.done, progress.total).into(),
            age(run.create_time, now).into(),
            span(run.start_time, run.end_time, now).into(),
            run.failure.as_ref().map(failure_line).unwrap_or_default().into(),
        ]);
    }
    table
}

fn failure_line(failure: &v1::RunFailure) -> String {
    let first = failure.message.lines().next().unwrap_or_default();
    let short: String = first.chars().take(60).collect();
    if failure.step_id.is_empty() { short } else { format!("{}: {short}", failure.step_id) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Paint;

    #[test]
    fn a_list_of_runs_reads_like_this() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let run = |id: &str, state: v1::RunState, end| v1::Run {
            run_id: id.to_owned(),
            definition: "product".to_owned(),
            definition_version: 2,
            state: state as i32,
            create_time: at(100),
            start_time: at(101),
            end_time: end,
            progress: Some(v1::RunProgress { total: 8, done: 3, ..Default::default() }),
            ..Default::default()
        };
        let mut failed = run("run-2", v1::RunState::Failed, at(300));
        failed.failure = Some(v1::RunFailure {
            step_id: "build".to_owned(),
            message: "the build failed\nline two".to_owned(),
            ..Default::default()
        });
        let table =
            table(&[run("run-1", v1::RunState::Waiting, None), failed], Timestamp::from_unix_nanos(7_300_000_000_000));
        insta::assert_snapshot!(table.render(Paint::NONE), @r"
        RUN    DEFINITION  STATE    STEPS  SUBMITTED  TOOK    FAILURE
        run-1  product@2   waiting  3/8    2h ago     1h 59m  
        run-2  product@2   failed   3/8    2h ago     3m 19s  build: the build failed
        ");
    }
}

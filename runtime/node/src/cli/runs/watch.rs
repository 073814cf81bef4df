//! `mesh runs watch`.

use std::{ops::ControlFlow, time::Duration};

use clap::Args;
use mesh_proto::v1::{
    self, WatchRunsResponse, watch_runs_request::Target, watch_runs_response::Item,
    workflow_service_client::WorkflowServiceClient,
};

use super::{filter::Filter, history::line, show};
use crate::cli::{
    Failure, clients,
    connect::Link,
    context::Context,
    stream::{Resumable, follow},
};

/// What `mesh runs watch` takes.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// One run, until it ends; the exit code says whether it succeeded
    #[arg(value_name = "RUN", conflicts_with_all = ["state", "failed", "definition", "project", "since", "filter"])]
    run: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// Go on behind this cursor
    #[arg(long, value_name = "CURSOR", default_value = "", hide_default_value = true)]
    cursor: String,
    /// Begin with everything that is kept, instead of now
    #[arg(long, conflicts_with = "cursor")]
    beginning: bool,
}

impl Resumable for WatchRunsResponse {
    fn cursor(&self) -> &str {
        &self.cursor
    }
}

pub(super) async fn watch(args: Watch, context: Context) -> Result<(), Failure> {
    let client = clients::workflows(context.link().await?);
    if let Some(run) = args.run {
        return until_end(run, client, &context).await;
    }
    let filter = args.filter.text(context.now())?;
    let start = if args.beginning { v1::WatchStart::Beginning } else { v1::WatchStart::Now };
    let open = |cursor| {
        let request = v1::WatchRunsRequest {
            cursor,
            start: start.into(),
            keep_open: false,
            target: Some(Target::Filter(filter.clone())),
        };
        opened(client.clone(), request)
    };
    follow(args.cursor, open, |message: WatchRunsResponse| {
        if let Some(Item::Event(event)) = &message.item {
            told(&message, event, true, &context)?;
        }
        Ok(ControlFlow::Continue(()))
    })
    .await
}

/// Follows one run until it ends; fails when the run did not succeed.
pub(crate) async fn until_end(
    run_id: String,
    client: WorkflowServiceClient<Link>,
    context: &Context,
) -> Result<(), Failure> {
    let run = end_of(run_id, client, |message, event| told(message, event, false, context)).await?;
    ended(&run)
}

/// How often a run is read whose end was followed: its state moves after the record, so a follower may have seen the
/// end a moment earlier.
const LOOKS_MAX: u32 = 100;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Follows one run, handing out its events, and answers how it ended.
pub(crate) async fn end_of(
    run_id: String,
    mut client: WorkflowServiceClient<Link>,
    mut each: impl FnMut(&WatchRunsResponse, &v1::RunEvent) -> Result<(), Failure>,
) -> Result<v1::Run, Failure> {
    let open = |cursor| {
        let request = v1::WatchRunsRequest {
            cursor,
            start: v1::WatchStart::Beginning.into(),
            keep_open: false,
            target: Some(Target::RunId(run_id.clone())),
        };
        opened(client.clone(), request)
    };
    let mut seen = 0;
    follow(String::new(), open, |message: WatchRunsResponse| {
        if let Some(Item::Event(event)) = &message.item {
            seen = event.version;
            each(&message, event)?;
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let mut looks = 0;
    loop {
        let answer = client.get_run(v1::GetRunRequest { run_id: run_id.clone() }).await?.into_inner();
        let run = answer.run.ok_or(Failure::Lacking("run"))?;
        looks += 1;
        if run.version >= seen || looks == LOOKS_MAX {
            return Ok(run);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn opened(
    mut client: WorkflowServiceClient<Link>,
    request: v1::WatchRunsRequest,
) -> Result<tonic::Streaming<WatchRunsResponse>, tonic::Status> {
    Ok(client.watch_runs(request).await?.into_inner())
}

/// JSON keeps the cursor, so that a program can go on behind it.
fn told(message: &WatchRunsResponse, event: &v1::RunEvent, many: bool, context: &Context) -> Result<(), Failure> {
    if context.out.is_json() {
        return context.out.json("WatchRunsResponse", message);
    }
    let run = if many { format!("{}  ", event.run_id) } else { String::new() };
    Ok(context.out.line(format!("{run}{}", line(event)))?)
}

/// Whether a run in this state has ended.
pub(crate) fn is_final(state: v1::RunState) -> bool {
    matches!(state, v1::RunState::Succeeded | v1::RunState::Failed | v1::RunState::Cancelled)
}

/// Succeeded, or the failure that the exit code tells.
pub(crate) fn ended(run: &v1::Run) -> Result<(), Failure> {
    match run.state() {
        v1::RunState::Succeeded => Ok(()),
        _ => {
            let state = show::state_label(run);
            let why = run.failure.as_ref().map(|failure| format!("\n  {}", show::failure_text(failure)));
            Err(Failure::Failed(format!("run {} is {state}{}", run.run_id, why.unwrap_or_default())))
        }
    }
}

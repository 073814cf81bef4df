//! `mesh runs history`.

use clap::Args;
use mesh_proto::v1;

use crate::cli::{
    Failure, clients,
    context::Context,
    output::{clean, instant},
};

/// What `mesh runs history` takes.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Every event, instead of the timeline
    #[arg(long)]
    events: bool,
}

pub(super) async fn history(args: History, context: Context) -> Result<(), Failure> {
    let mut client = clients::workflows(context.link().await?);
    let mut page_token = String::new();
    loop {
        let request = v1::GetRunHistoryRequest {
            run_id: args.run.clone(),
            page_size: 0,
            page_token,
            include_timeline: !args.events && !context.out.is_json(),
        };
        let answer = client.get_run_history(request).await?.into_inner();
        if context.out.is_json() {
            for event in &answer.events {
                context.out.json("RunEvent", event)?;
            }
        } else if args.events {
            for event in &answer.events {
                context.out.line(line(event))?;
            }
        } else {
            for text in answer.timeline.lines() {
                context.out.line(clean(text))?;
            }
            return Ok(());
        }
        if answer.next_page_token.is_empty() {
            return Ok(());
        }
        page_token = answer.next_page_token;
    }
}

/// One event in one line.
pub(super) fn line(event: &v1::RunEvent) -> String {
    let step = if event.step_id.is_empty() { String::new() } else { format!("  {}", event.step_id) };
    clean(&format!("{}  {:>4}  {}{step}", instant(event.occur_time), event.version, event.event_type))
}

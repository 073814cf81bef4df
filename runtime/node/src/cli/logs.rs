//! `mesh logs`: what the attempts of a run's steps have written.

use std::ops::ControlFlow;

use clap::Args;
use mesh_proto::v1::{
    self, LogChunk, LogLineKind, WatchRunLogsResponse, workflow_service_client::WorkflowServiceClient,
};

use super::{
    Failure, clients,
    connect::Link,
    context::Context,
    output::{Paint, Tone, clean},
    stream::{Resumable, follow as follow_stream},
};

/// What `mesh logs` takes.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// One step
    #[arg(value_name = "STEP", default_value = "", hide_default_value = true)]
    step: String,
    /// One attempt, from 1
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    attempt: u32,
    /// Only the last lines of each attempt
    #[arg(long, value_name = "LINES", default_value_t = 0, hide_default_value = true)]
    tail: u32,
    /// Go on with what is written from now on, until the run ends
    #[arg(long, short = 'f')]
    follow: bool,
}

impl Resumable for WatchRunLogsResponse {
    fn cursor(&self) -> &str {
        ""
    }
}

pub(super) async fn logs(args: Logs, context: Context) -> Result<(), Failure> {
    let client = clients::workflows(context.link().await?);
    if args.follow { follow(args, client, context).await } else { once(args, client, context).await }
}

async fn once(args: Logs, mut client: WorkflowServiceClient<Link>, context: Context) -> Result<(), Failure> {
    let request =
        v1::GetRunLogsRequest { run_id: args.run, step_id: args.step, attempt: args.attempt, tail_lines: args.tail };
    let answer = client.get_run_logs(request).await?.into_inner();
    if context.out.is_json() {
        return context.out.json("GetRunLogsResponse", &answer);
    }
    if answer.chunks.is_empty() {
        return Ok(context.out.line("nothing was written")?);
    }
    let mut shown = Shown::default();
    for chunk in &answer.chunks {
        shown.chunk(chunk, &context)?;
    }
    Ok(())
}

async fn follow(args: Logs, client: WorkflowServiceClient<Link>, context: Context) -> Result<(), Failure> {
    let open = |_| {
        let request = v1::WatchRunLogsRequest {
            run_id: args.run.clone(),
            step_id: args.step.clone(),
            attempt: args.attempt,
            tail_lines: args.tail,
        };
        opened(client.clone(), request)
    };
    let mut shown = Shown::default();
    follow_stream(String::new(), open, |message: WatchRunLogsResponse| {
        match &message.chunk {
            Some(_) if context.out.is_json() => context.out.json("WatchRunLogsResponse", &message)?,
            Some(chunk) => shown.chunk(chunk, &context)?,
            None => {}
        }
        Ok(ControlFlow::Continue(()))
    })
    .await
}

async fn opened(
    mut client: WorkflowServiceClient<Link>,
    request: v1::WatchRunLogsRequest,
) -> Result<tonic::Streaming<WatchRunLogsResponse>, tonic::Status> {
    Ok(client.watch_run_logs(request).await?.into_inner())
}

/// Says whose lines follow, whenever that changes.
#[derive(Default)]
struct Shown(Option<(String, Option<u32>, u32)>);

impl Shown {
    fn chunk(&mut self, chunk: &LogChunk, context: &Context) -> Result<(), Failure> {
        let whose = (chunk.step_id.clone(), chunk.item, chunk.attempt);
        if self.0.as_ref() != Some(&whose) {
            context.out.line(context.out.paint.tone(Tone::Strong, &heading(chunk)))?;
            self.0 = Some(whose);
        }
        for line in &chunk.lines {
            context.out.line(text(line, context.out.paint))?;
        }
        Ok(())
    }
}

fn heading(chunk: &LogChunk) -> String {
    let item = chunk.item.map(|item| format!(" item {item}")).unwrap_or_default();
    clean(&format!("── {}{item}, attempt {}", chunk.step_id, chunk.attempt))
}

/// One line of a log, in the tone of where it came from.
pub(super) fn text(line: &v1::LogLine, paint: Paint) -> String {
    let text = clean(&line.text);
    match line.kind() {
        LogLineKind::Failure => paint.tone(Tone::Bad, &text),
        LogLineKind::Note => paint.tone(Tone::Faint, &text),
        LogLineKind::Progress => match &line.progress {
            Some(progress) => paint.tone(Tone::Busy, &format!("{text} {} of {}", progress.done, progress.total)),
            None => text,
        },
        LogLineKind::Unspecified | LogLineKind::Out | LogLineKind::Err => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let line = v1::LogLine {
            kind: LogLineKind::Progress as i32,
            text: "compiling".into(),
            progress: Some(v1::LogProgress { done: 3, total: 7 }),
            ..Default::default()
        };
        assert_eq!(text(&line, Paint::NONE), "compiling 3 of 7");
        let chunk = LogChunk { step_id: "each".into(), item: Some(2), attempt: 1, lines: vec![] };
        assert_eq!(heading(&chunk), "── each item 2, attempt 1");
    }
}

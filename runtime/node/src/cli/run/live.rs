//! Following a run: its events wake us, its snapshot says where it stands, its logs what it does.

use std::time::Duration;

use mesh_kernel::task;
use mesh_proto::v1::{self, watch_runs_request::Target};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{plain::Plain, progress::Progress, screen::Screen};
use crate::cli::{Failure, clients, connect::Link, context::Context};

/// How often the view is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(125);

/// How often the run is read when no event says that something happened.
const READ_EVERY: Duration = Duration::from_secs(2);

/// Messages that wait for the view; a stream that is faster waits.
const UPDATES_MAX: usize = 256;

/// What a stream tells the view.
enum Update {
    /// Something happened to the run.
    Moved,
    /// A step has written something.
    Wrote(v1::LogChunk),
}

/// Where progress is shown.
enum View {
    Screen(Screen),
    Plain(Plain),
}

/// Shows a run until it has ended.
pub(super) async fn until_end(
    link: Link,
    run_id: &str,
    mut progress: Progress,
    context: &Context,
) -> Result<Progress, Failure> {
    let (send, mut updates) = mpsc::channel(UPDATES_MAX);
    let events = task::spawn("run-events", events(link.clone(), run_id.to_owned(), send.clone()));
    let writing = task::spawn("run-logs", writing(link.clone(), run_id.to_owned(), send));
    let shown = show(link, &mut progress, &mut updates, context).await;
    events.abort();
    writing.abort();
    shown.map(|()| progress)
}

async fn show(
    link: Link,
    progress: &mut Progress,
    updates: &mut mpsc::Receiver<Update>,
    context: &Context,
) -> Result<(), Failure> {
    let mut client = clients::workflows(link);
    let run_id = progress.run().run_id.clone();
    let on_screen = context.out.terminal && !context.out.is_json();
    let mut view = if on_screen { View::Screen(Screen::new(context.out.paint)) } else { View::Plain(Plain::default()) };
    let mut tick = interval(DRAWN_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut moved, mut since_read) = (true, Duration::ZERO);
    loop {
        tokio::select! {
            Some(update) = updates.recv() => match update {
                Update::Moved => moved = true,
                Update::Wrote(chunk) => progress.hear(&chunk),
            },
            _ = tick.tick() => {
                since_read += DRAWN_EVERY;
                if moved || since_read >= READ_EVERY {
                    (moved, since_read) = (false, Duration::ZERO);
                    let answer = client.get_run(v1::GetRunRequest { run_id: run_id.clone() }).await?.into_inner();
                    progress.see(answer.run.ok_or(Failure::Lacking("run"))?);
                }
                draw(&mut view, progress, context)?;
                if progress.has_ended() {
                    return Ok(());
                }
            }
        }
    }
}

fn draw(view: &mut View, progress: &Progress, context: &Context) -> Result<(), Failure> {
    match view {
        View::Screen(screen) => Ok(screen.draw(progress, context.now())?),
        View::Plain(plain) => {
            for line in plain.lines(progress, context.now()) {
                context.note(line)?;
            }
            Ok(())
        }
    }
}

/// Wakes the view with each event. When the stream is lost, the view still reads now and then.
async fn events(link: Link, run_id: String, send: mpsc::Sender<Update>) {
    let mut client = clients::workflows(link);
    let mut cursor = String::new();
    loop {
        let request = v1::WatchRunsRequest {
            cursor: cursor.clone(),
            start: v1::WatchStart::Unspecified.into(),
            // A retried run has ended before and is not over.
            keep_open: true,
            target: Some(Target::RunId(run_id.clone())),
        };
        if let Ok(stream) = client.watch_runs(request).await {
            let mut stream = stream.into_inner();
            while let Ok(Some(message)) = stream.message().await {
                if !message.cursor.is_empty() {
                    cursor = message.cursor;
                }
                if send.send(Update::Moved).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(READ_EVERY).await;
    }
}

/// Hands over what the steps write.
async fn writing(link: Link, run_id: String, send: mpsc::Sender<Update>) {
    let mut client = clients::workflows(link);
    loop {
        let request = v1::WatchRunLogsRequest { run_id: run_id.clone(), tail_lines: 30, ..Default::default() };
        if let Ok(stream) = client.watch_run_logs(request).await {
            let mut stream = stream.into_inner();
            while let Ok(Some(message)) = stream.message().await {
                if let Some(chunk) = message.chunk
                    && send.send(Update::Wrote(chunk)).await.is_err()
                {
                    return;
                }
            }
        }
        tokio::time::sleep(READ_EVERY).await;
    }
}

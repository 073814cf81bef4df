//! Who tells the traces: a follower of the journal for runs, and one that empties the path's spans.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mesh_kernel::{
    envelope::{Address, Envelope, peek_type},
    ports::{Cursor, Cursors, Feed, Journal, JournalError, Recorded},
};
use mesh_proto::otlp::trace::v1::Span;
use tokio_util::sync::CancellationToken;

use super::{
    Otlp, PathSpans, Sink, ids,
    runs::{self, ENDS},
    sampler::Sampler,
    tasks,
};

/// The name of the cursor.
const NAME: &str = "traces";

/// How long the last spans may take when the node stops.
const LAST_WITHIN: Duration = Duration::from_secs(1);

/// Tells each run's trace when the run has ended, from the cursor of last time on.
///
/// The cursor moves when the collector has the spans; while it is away the journal keeps them. Who
/// never told anything begins at `now`, not with all that ever ran.
///
/// # Errors
/// [`JournalError`] when the journal cannot be read; the supervisor starts it again.
pub async fn follow_runs(
    journal: Arc<dyn Journal>,
    cursors: Arc<dyn Cursors>,
    now: Option<Cursor>,
    (sink, otlp): (Sink, Otlp),
    stop: CancellationToken,
) -> Result<(), JournalError> {
    let telling = tell_all(journal, cursors, now, &sink, &otlp.sampler);
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = telling => ended,
    }
}

async fn tell_all(
    journal: Arc<dyn Journal>,
    cursors: Arc<dyn Cursors>,
    now: Option<Cursor>,
    sink: &Sink,
    sampler: &Sampler,
) -> Result<(), JournalError> {
    let mut feed = begin(journal.as_ref(), cursors.load(NAME).or_else(|| now.clone()), now.clone())?;
    loop {
        let followed = match feed.next().await {
            Err(JournalError::Freed) => {
                tracing::warn!("runs were freed before their traces were told: going on from now");
                feed = begin(journal.as_ref(), now.clone(), now.clone())?;
                continue;
            }
            other => other?,
        };
        for record in followed.records.iter().filter(|record| is_end(record)) {
            let history = history(journal.as_ref(), &record.address, record.version).await?;
            let spans = runs::spans(history.iter().map(Arc::as_ref), sampler);
            if !spans.is_empty() {
                sink.send(spans).await;
                tell_tasks(journal.as_ref(), &history, sink).await?;
            }
        }
        cursors.store(NAME, &followed.cursor);
        cursors.reached(NAME, followed.position);
    }
}

/// Tells what agents did in a run, one task after the other, so that one is in memory at a time.
async fn tell_tasks(journal: &dyn Journal, history: &[Arc<Envelope>], sink: &Sink) -> Result<(), JournalError> {
    let (Some(first), Some(last)) = (history.first(), history.last()) else { return Ok(()) };
    for task in runs::tasks(history.iter().map(Arc::as_ref)) {
        let Ok(address) = Address::new(&first.tenant_id, mesh_agents::task::KIND, &task) else { continue };
        let events = self::history(journal, &address, u64::MAX).await?;
        let trace = ids::trace(&first.trace_id);
        sink.send(tasks::spans(events.iter().map(Arc::as_ref), trace, last.occurred_at)).await;
    }
    Ok(())
}

fn begin(journal: &dyn Journal, from: Option<Cursor>, now: Option<Cursor>) -> Result<Box<dyn Feed>, JournalError> {
    match journal.follow(None, from) {
        Err(JournalError::BadCursor | JournalError::Freed) => journal.follow(None, now),
        other => other,
    }
}

fn is_end(record: &Recorded) -> bool {
    (record.address.platform(), record.address.kind()) == ("control-plane", "run")
        && peek_type(record.event.bytes()).is_some_and(|name| ENDS.contains(&name))
}

/// The run's events up to this one; those that cannot be read are told of when they are read for a
/// better reason.
async fn history(journal: &dyn Journal, run: &Address, until: u64) -> Result<Vec<Arc<Envelope>>, JournalError> {
    let records = journal.read(run, 1).await?;
    let until = records.into_iter().take_while(|record| record.version <= until);
    Ok(until.filter_map(|record| record.event.envelope().ok()).collect())
}

/// Sends the path's spans every now and then, and what is left when the node stops. What the collector
/// does not take at once is lost and counted: these spans are a sample.
pub async fn follow_path(spans: &mut PathSpans, (sink, otlp): (Sink, Otlp), stop: CancellationToken) {
    loop {
        let mut batch: Vec<Span> = Vec::new();
        let gathered = tokio::time::timeout(otlp.every, gather(spans, &mut batch, otlp.batch));
        let stopped = stop.run_until_cancelled(gathered).await.is_none();
        if stopped {
            // What came in the meantime, without waiting for more.
            while let Ok(span) = spans.came.try_recv() {
                batch.push(span);
            }
        }
        sink.lost(spans.missed.swap(0, Ordering::Relaxed));
        if !batch.is_empty() {
            let within = if stopped { LAST_WITHIN } else { otlp.timeout };
            if !matches!(tokio::time::timeout(within, sink.once(&batch)).await, Ok(Ok(()))) {
                sink.lost(batch.len() as u64);
            }
        }
        if stopped {
            return;
        }
    }
}

async fn gather(spans: &mut PathSpans, batch: &mut Vec<Span>, most: usize) {
    while batch.len() < most {
        if spans.came.recv_many(batch, most - batch.len()).await == 0 {
            // Nobody makes spans any more: the time that is left passes.
            return std::future::pending().await;
        }
    }
}

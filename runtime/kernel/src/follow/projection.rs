//! Projections: read models built from the journal, each at its own cursor.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{Freshness, Seen};
use crate::{
    BoxFuture,
    ports::{Cursor, Feed, Followed, Journal, JournalError},
    telemetry::ServiceMeter,
};

/// About how many events a projection is given at once, at most.
const BATCH_MAX: usize = 2048;

/// Why a projection could not take a batch.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// Its store refused; nothing of the batch was kept.
    #[error("the read model cannot be written")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The journal cannot be read here.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record is no envelope.
    #[error(transparent)]
    Wire(#[from] crate::envelope::WireError),
}

/// A read model. It stores its cursor in the same transaction as what it made of the events, so
/// each event counts once.
pub trait Projection: Send + 'static {
    /// Its name, for the tree and for logs.
    fn name(&self) -> &'static str;

    /// The cursor that its store holds; `None` begins at the first event.
    fn cursor(&self) -> Option<Cursor>;

    /// The event types that it looks at; empty means all. Others are passed over undecoded, but
    /// their cursor still arrives.
    fn interests(&self) -> &'static [&'static str] {
        &[]
    }

    /// Takes events in order and the cursor behind them, all or none. `reflects` is the journal
    /// position that the model then stands at.
    ///
    /// # Errors
    /// [`ProjectionError::Store`]: the same batch is offered again later.
    fn apply(
        &mut self,
        batch: &[Seen],
        cursor: &Cursor,
        reflects: crate::ports::Position,
    ) -> Result<(), ProjectionError>;

    /// What to wait for before the next events are taken, after a batch that took so long. A model that
    /// writes ten events as cheaply as one rests a while. Nothing, unless it says so.
    fn rest(&self, _took: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    /// With what its readers wait until it has all that was durable when they asked. `None`: nobody waits so. Then
    /// it is also told of no events, when the journal has gone on without any.
    fn freshness(&self) -> Option<Freshness> {
        None
    }

    /// Forgets everything, cursor included; called when its cursor is not one of this journal.
    fn reset(&mut self);
}

/// Feeds one projection until cancelled.
///
/// # Errors
/// [`ProjectionError`] ends it; its supervisor starts it again from its cursor.
pub async fn run_projection(
    journal: Arc<dyn Journal>,
    projection: &mut dyn Projection,
    stop: CancellationToken,
    meter: Arc<ServiceMeter>,
) -> Result<(), ProjectionError> {
    let mut feed = match journal.follow(None, projection.cursor()) {
        Err(error @ (JournalError::BadCursor | JournalError::Freed)) => {
            tracing::warn!(projection = projection.name(), %error, "rebuilt from the first event");
            projection.reset();
            journal.follow(None, None)?
        }
        other => other?,
    };
    feed.only(projection.interests());
    let fresh = projection.freshness().unwrap_or_default();
    let mut stands_at = None;
    loop {
        let Look { followed, asked } = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            looked = all_there_is(feed.as_mut(), &fresh) => looked?,
        };
        if followed.records.is_empty() && stands_at == Some(followed.position) {
            // Looked at for a reader, and nothing is new.
            fresh.answer(asked.unwrap_or_default());
            continue;
        }
        let started = Instant::now();
        let batch = interesting(&followed, projection.interests())?;
        meter.holds(batch.len());
        let mut delay = Duration::from_millis(50);
        // INVARIANT: the feed is not asked again before this batch is kept, so nothing is skipped.
        while let Err(error) = projection.apply(&batch, &followed.cursor, followed.position) {
            tracing::warn!(projection = projection.name(), %error, "read model refused a batch: offered again");
            tokio::select! {
                () = stop.cancelled() => return Err(error),
                () = tokio::time::sleep(delay) => {}
            }
            delay = (delay * 2).min(Duration::from_secs(5));
        }
        meter.handled(batch.len());
        stands_at = Some(followed.position);
        if let Some(asked) = asked {
            fresh.answer(asked);
        }
        // Who is behind does not rest: what waits would leave the journal's memory meanwhile.
        if followed.records.len() < BATCH_MAX {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = fresh.wanted() => {}
                () = projection.rest(started.elapsed()) => {}
            }
        }
    }
}

/// What there was when a projection looked.
struct Look {
    followed: Followed,
    /// How many had asked before it, when it saw all there was.
    asked: Option<u64>,
}

/// Waits for events or for somebody who wants a look, and then takes what is there, within reason.
///
/// INVARIANT: dropping it may lose events for this feed, so it is dropped only together with the feed.
async fn all_there_is(feed: &mut dyn Feed, fresh: &Freshness) -> Result<Look, JournalError> {
    let first = tokio::select! {
        followed = feed.next() => Some(followed?),
        () = fresh.wanted() => None,
    };
    let asked = fresh.asked();
    let mut followed = match first {
        Some(followed) => followed,
        None => feed.poll().await?,
    };
    while followed.records.len() < BATCH_MAX {
        let more = feed.poll().await?;
        (followed.cursor, followed.position) = (more.cursor, more.position);
        if more.records.is_empty() {
            return Ok(Look { followed, asked: Some(asked) });
        }
        followed.records.extend(more.records);
    }
    Ok(Look { followed, asked: None })
}

pub(super) fn interesting(followed: &Followed, interests: &[&str]) -> Result<Vec<Seen>, crate::envelope::WireError> {
    let mut batch = Vec::new();
    for record in &followed.records {
        let wanted = interests.is_empty()
            || crate::envelope::peek_type(record.event.bytes()).is_none_or(|name| interests.contains(&name));
        if wanted {
            batch.push(Seen { envelope: record.event.envelope()?, version: record.version, position: record.position });
        }
    }
    Ok(batch)
}

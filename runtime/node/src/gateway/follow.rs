//! Following the journal for a stream: the caller's events from a place on, each with its own cursor.

use std::{collections::VecDeque, time::Duration};

use mesh_kernel::{
    envelope::{ErrorKind, Refusal},
    follow::{Seen, Subscription},
    path::Caller,
    ports::Position,
};
use mesh_proto::v1::WatchStart;
use tokio_util::sync::CancellationToken;

use super::{GatewayState, cursor::Place};

/// How long a stream is silent before it says where it stands.
const SILENT_MAX: Duration = Duration::from_secs(10);

/// What a follower comes upon.
pub(super) enum Found {
    /// An event, and the place behind it.
    Event(Seen, Place),
    /// Everything recorded so far was seen; or it still is, after a while of silence.
    CaughtUp(Position, Place),
}

/// A follower of the events of one tenant.
pub(super) struct Follow {
    subscription: Subscription,
    stopping: CancellationToken,
    /// Behind everything that was handed out.
    place: Place,
    /// What the cursor said was sent before: kept per shard until an event behind it comes, for the
    /// batches may fall otherwise this time.
    before: Place,
    queue: VecDeque<Seen>,
    live: bool,
}

impl Follow {
    /// Follows from a cursor, or from where `start` says.
    ///
    /// # Errors
    /// When the cursor is not one of this journal.
    pub(super) fn new(state: &GatewayState, caller: &Caller, cursor: &str, start: WatchStart) -> Result<Self, Refusal> {
        let place = match (cursor, start) {
            ("", WatchStart::Beginning) => Place::default(),
            ("", WatchStart::Unspecified | WatchStart::Now) => Place::at(state.lists.cursor()),
            (token, _) => Place::open(token)?,
        };
        Ok(Self {
            subscription: state.mesh.subscribe(caller, place.cursor.clone())?,
            stopping: state.stopping.clone(),
            before: place.clone(),
            place,
            queue: VecDeque::new(),
            live: false,
        })
    }

    /// What comes next.
    ///
    /// # Errors
    /// `Unavailable` when the node stops; `Internal` when a record cannot be read.
    pub(super) async fn next(&mut self) -> Result<Found, Refusal> {
        loop {
            if let Some(seen) = self.queue.pop_front() {
                if let Some(found) = self.hand_out(seen) {
                    return Ok(found);
                }
                continue;
            }
            let batch = if self.live { self.wait().await? } else { self.subscription.poll().await? };
            if batch.is_empty() {
                self.live = true;
                self.arrive();
                return Ok(Found::CaughtUp(self.subscription.position(), self.place.clone()));
            }
            self.queue.extend(batch);
        }
    }

    /// The next batch; after a while of silence it may be empty, but says how far the journal has come.
    async fn wait(&mut self) -> Result<Vec<Seen>, Refusal> {
        tokio::select! {
            batch = self.subscription.next() => batch,
            () = tokio::time::sleep(SILENT_MAX) => self.subscription.poll().await,
            () = self.stopping.cancelled() => Err(stopping()),
        }
    }

    fn hand_out(&mut self, seen: Seen) -> Option<Found> {
        let shard = seen.envelope.headers.subject.shard();
        let sent_before = self.before.has(shard, seen.position);
        if !sent_before {
            self.before.forget(shard);
            self.place.add(shard, seen.position);
        }
        if self.queue.is_empty() {
            self.arrive();
        }
        (!sent_before).then(|| Found::Event(seen, self.place.clone()))
    }

    /// The batch is done: the journal's own cursor says it all, but for what was sent before.
    fn arrive(&mut self) {
        if let Some(cursor) = self.subscription.cursor() {
            self.place = Place { cursor: Some(cursor.clone()), ..self.before.clone() };
        }
    }
}

/// What a stream says when the node stops.
pub(super) fn stopping() -> Refusal {
    Refusal::new(
        "GTW-0004",
        ErrorKind::Unavailable,
        "the node is stopping: go on with the last cursor when it is up again",
    )
    .after(Duration::from_secs(1))
}

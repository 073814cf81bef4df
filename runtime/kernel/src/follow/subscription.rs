//! A reader's view of the journal: the events of one tenant, resumable, nothing lost or doubled.

use std::sync::Arc;

use crate::{
    envelope::{Envelope, ErrorKind, Refusal, TenantScope},
    path::{Caller, Mesh},
    ports::{Cursor, Feed, Followed, JournalError, Position},
};

/// One event as a follower sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The event.
    pub envelope: Arc<Envelope>,
    /// Its version in its entity.
    pub version: u64,
    /// Where it lies in the journal.
    pub position: Position,
}

impl Mesh {
    /// Follows the journal's events of the caller's tenant, from a cursor or from the beginning.
    ///
    /// # Errors
    /// `InvalidArgument` for a cursor that is not this journal's.
    pub fn subscribe(&self, caller: &Caller, from: Option<Cursor>) -> Result<Subscription, Refusal> {
        let mut feed = self.journal().follow(None, from.clone()).map_err(|error| unreadable(&error))?;
        feed.of(caller.tenant());
        Ok(Subscription { feed, scope: caller.scope().clone(), cursor: from, position: Position::default() })
    }
}

/// The events that one caller may see, from a cursor on, then live.
pub struct Subscription {
    feed: Box<dyn Feed>,
    scope: TenantScope,
    cursor: Option<Cursor>,
    position: Position,
}

impl Subscription {
    /// The next events of this tenant, at least one, waiting for them when there is none.
    ///
    /// **Cancel safety**: a dropped future loses nothing.
    ///
    /// # Errors
    /// A refusal of kind `Internal` when a record cannot be read; it is never skipped.
    pub async fn next(&mut self) -> Result<Vec<Seen>, Refusal> {
        loop {
            let followed = self.feed.next().await.map_err(|error| unreadable(&error))?;
            let seen = self.take(followed)?;
            if !seen.is_empty() {
                return Ok(seen);
            }
        }
    }

    /// What is there now, without waiting; empty when everything was seen.
    ///
    /// # Errors
    /// As [`Subscription::next`].
    pub async fn poll(&mut self) -> Result<Vec<Seen>, Refusal> {
        loop {
            let followed = self.feed.poll().await.map_err(|error| unreadable(&error))?;
            let is_all = followed.records.is_empty();
            let seen = self.take(followed)?;
            if is_all || !seen.is_empty() {
                return Ok(seen);
            }
        }
    }

    /// The cursor behind everything that was answered so far.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// The journal position behind everything that was answered so far.
    pub fn position(&self) -> Position {
        self.position
    }

    fn take(&mut self, followed: Followed) -> Result<Vec<Seen>, Refusal> {
        let mut seen = Vec::with_capacity(followed.records.len());
        for record in followed.records {
            if self.scope.covers(record.address.tenant()) {
                seen.push(Seen {
                    envelope: record
                        .event
                        .envelope()
                        .map_err(|error| Refusal::new("KER-0010", ErrorKind::Internal, error.to_string()))?,
                    version: record.version,
                    position: record.position,
                });
            }
        }
        self.cursor = Some(followed.cursor);
        self.position = followed.position;
        Ok(seen)
    }
}

fn unreadable(error: &JournalError) -> Refusal {
    let kind = match error {
        JournalError::BadCursor | JournalError::Freed => ErrorKind::InvalidArgument,
        JournalError::Closed => ErrorKind::Unavailable,
        JournalError::Damaged { .. } | JournalError::Io { .. } => ErrorKind::Internal,
    };
    let refusal = Refusal::new("KER-0011", kind, error.to_string());
    match error {
        JournalError::BadCursor | JournalError::Freed => {
            refusal.at("cursor", "leave it out to begin at the first event")
        }
        _ => refusal,
    }
}

//! Feeds: the log in order, up to what is durable, then live.
//!
//! A feed that keeps up takes batches from memory; one that lags reads them from the disk. It waits
//! without polling: the writer wakes all feeds once for each batch.

use std::sync::{Arc, atomic::Ordering};

use mesh_kernel::{
    BoxFuture,
    envelope::Shard,
    ports::{Cursor, Feed, Followed, JournalError, Recorded},
};
use tokio::sync::watch;

use super::{
    cursor::{self, Stand},
    error::damaged,
    index,
    log::{
        Place,
        record::{Kind, Record},
        segment,
    },
    scan::{self, Batch},
    shared::{End, Shared, WriterState},
};

/// About how much one answer holds, at most; a single batch may hold more. **Units**: bytes.
const ANSWER_BYTES: usize = 256 * 1024;

/// One follower.
pub(super) struct LogFeed {
    shared: Arc<Shared>,
    ends: watch::Receiver<End>,
    shard: Option<Shard>,
    stand: Stand,
}

impl LogFeed {
    pub(super) fn new(shared: Arc<Shared>, shard: Option<Shard>, from: Option<Cursor>) -> Result<Self, JournalError> {
        let stand = match from {
            None => scan::beginning(&shared),
            Some(from) => cursor::decode(&shared.store, shard, &from)
                .filter(|stand| stand.next_batch <= shared.end().next_batch)
                .ok_or(JournalError::BadCursor)?,
        };
        let stand = scan::nothing_missed(&shared, stand)?;
        shared.feeds.fetch_add(1, Ordering::AcqRel);
        Ok(Self { ends: shared.end.subscribe(), shared, shard, stand })
    }

    /// What there is from here on, perhaps nothing; moves on only when it can be answered.
    async fn fetch(&mut self) -> Result<Vec<Recorded>, JournalError> {
        loop {
            let end = *self.ends.borrow_and_update();
            if self.stand.next_batch >= end.next_batch {
                self.stand.position = self.stand.position.max(end.last);
                return Ok(Vec::new());
            }
            let mut stand = self.stand;
            let mut batches = self.kept_in_memory(end);
            if batches.is_empty() {
                (batches, stand) = self.left_on_disk(end).await?;
            }
            let (records, stand) = self.decode(&batches, stand)?;
            self.stand = stand;
            if !records.is_empty() {
                return Ok(records);
            }
        }
    }

    fn kept_in_memory(&self, end: End) -> Vec<Batch> {
        let tail = self.shared.tail.lock();
        let mut batches = Vec::new();
        let mut bytes = 0;
        for number in self.stand.next_batch..end.next_batch {
            let Some(kept) = tail.get(number).filter(|_| bytes < ANSWER_BYTES) else {
                break;
            };
            bytes += kept.frame.len();
            batches.push(Batch::kept(kept.place, kept.frame));
        }
        batches
    }

    async fn left_on_disk(&self, end: End) -> Result<(Vec<Batch>, Stand), JournalError> {
        let (shared, stand) = (self.shared.clone(), self.stand);
        tokio::task::spawn_blocking(move || {
            // Both before and after: what is freed in between must not be missed in silence.
            let stand = scan::nothing_missed(&shared, stand)?;
            let read = scan::read_batches(&shared, stand, end, ANSWER_BYTES);
            scan::nothing_missed(&shared, stand)?;
            read
        })
        .await
        .unwrap_or(Err(JournalError::Closed))
    }

    fn decode(&self, batches: &[Batch], mut stand: Stand) -> Result<(Vec<Recorded>, Stand), JournalError> {
        let mut records = Vec::new();
        for batch in batches {
            let from = if batch.is_sparse { stand.place.offset } else { 0 };
            let segment = batch.place.segment;
            let walk = batch.walk()?;
            walk.each(|found| {
                let position = Place { segment, offset: found.offset }.into();
                if found.offset < from {
                    return Ok(());
                }
                if self.wants(&found.record) {
                    records.push(Recorded {
                        address: found.record.address.parse().map_err(|_| "the address of a record is none")?,
                        version: found.record.version,
                        position,
                        bytes: batch.frame.slice_ref(found.record.envelope),
                    });
                }
                if found.record.kind != Kind::Wake {
                    stand.position = position;
                }
                if batch.is_sparse {
                    stand.place.offset = found.offset + found.bytes.len() as u64;
                }
                Ok(())
            })
            .map_err(|(offset, what)| damaged(&segment::name(segment), offset, what))?;
            stand = batch.behind(stand, &walk);
        }
        Ok((records, stand))
    }

    fn wants(&self, record: &Record<'_>) -> bool {
        record.kind == Kind::Event
            && self.shard.is_none_or(|shard| shard.number() == record.shard)
            && !self.is_erased(record.address)
    }

    /// What an erased tenant left is nobody's any more, although its bytes may still be there.
    fn is_erased(&self, address: &str) -> bool {
        let index = self.shared.index.read();
        !index.erased.is_empty() && index.erased.contains_key(&self.shared.keys.of(index::tenant(address)))
    }

    fn followed(&self, records: Vec<Recorded>) -> Followed {
        Followed {
            records,
            cursor: cursor::encode(&self.shared.store, self.shard, self.stand),
            position: self.stand.position,
        }
    }
}

impl Feed for LogFeed {
    fn next(&mut self) -> BoxFuture<'_, Result<Followed, JournalError>> {
        Box::pin(async move {
            loop {
                let records = self.fetch().await?;
                if !records.is_empty() {
                    return Ok(self.followed(records));
                }
                if *self.shared.state.lock() == WriterState::Closed {
                    return Err(JournalError::Closed);
                }
                if self.ends.changed().await.is_err() {
                    return Err(JournalError::Closed);
                }
            }
        })
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<Followed, JournalError>> {
        Box::pin(async move {
            let records = self.fetch().await?;
            Ok(self.followed(records))
        })
    }
}

impl Drop for LogFeed {
    fn drop(&mut self) {
        self.shared.feeds.fetch_sub(1, Ordering::AcqRel);
    }
}

//! Feeds: the log in order, up to what is durable, then live.
//!
//! A feed that keeps up takes batches from memory; one that lags reads them from the disk. It waits
//! without polling: the writer wakes all feeds once for each batch.

use std::sync::{Arc, atomic::Ordering};

use bytes::{Bytes, BytesMut};
use mesh_kernel::{
    BoxFuture,
    envelope::Shard,
    ports::{Cursor, Feed, Followed, JournalError, Recorded},
};
use tokio::sync::watch;

use super::{
    cursor::{self, Stand},
    error::{damaged, io_error},
    log::{
        Place, frame,
        record::{self, Kind},
        segment::{self, Segment},
    },
    shared::{End, Shared, WriterState},
};
use crate::files::read_full;

/// About how much one answer holds, at most; a single batch may hold more. **Units**: bytes.
const ANSWER_BYTES: usize = 256 * 1024;

/// One follower.
pub(super) struct LogFeed {
    shared: Arc<Shared>,
    ends: watch::Receiver<End>,
    shard: Option<Shard>,
    stand: Stand,
}

/// A batch on its way to a follower.
struct Batch {
    place: Place,
    frame: Bytes,
}

impl LogFeed {
    pub(super) fn new(shared: Arc<Shared>, shard: Option<Shard>, from: Option<Cursor>) -> Result<Self, JournalError> {
        let stand = match from {
            None => beginning(&shared),
            Some(from) => cursor::decode(&shared.store, shard, &from)
                .filter(|stand| stand.next_batch <= shared.end().next_batch)
                .ok_or(JournalError::BadCursor)?,
        };
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
            let mut batches = self.kept_in_memory(end);
            if batches.is_empty() {
                batches = self.left_on_disk(end).await?;
            }
            let (records, stand) = self.decode(&batches)?;
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
            batches.push(Batch { place: kept.place, frame: kept.frame });
        }
        batches
    }

    async fn left_on_disk(&self, end: End) -> Result<Vec<Batch>, JournalError> {
        let (shared, stand) = (self.shared.clone(), self.stand);
        tokio::task::spawn_blocking(move || read_batches(&shared, stand, end))
            .await
            .unwrap_or(Err(JournalError::Closed))
    }

    fn decode(&self, batches: &[Batch]) -> Result<(Vec<Recorded>, Stand), JournalError> {
        let mut stand = self.stand;
        let mut records = Vec::new();
        for batch in batches {
            let no = |offset, what| damaged(&segment::name(batch.place.segment), offset, what);
            let head = frame::peek(&batch.frame).map_err(|_| no(batch.place.offset, "no batch lies here"))?;
            let mut at = frame::HEAD;
            for _ in 0..head.count {
                let offset = batch.place.offset + at as u64;
                let bytes = batch.frame.get(at..frame::HEAD + head.body_len).unwrap_or_default();
                let (record, len) = record::read(bytes, None).map_err(|what| no(offset, what))?;
                let position = Place { offset, ..batch.place }.into();
                if self.wants(&record) {
                    records.push(Recorded {
                        address: record.address.parse().map_err(|_| no(offset, "the address of a record is none"))?,
                        version: record.version,
                        position,
                        bytes: batch.frame.slice_ref(record.envelope),
                    });
                }
                if record.kind == Kind::Event {
                    stand.position = position;
                }
                at += len;
            }
            stand.next_batch = head.batch + 1;
            stand.place = Place { offset: batch.place.offset + head.len as u64, ..batch.place };
        }
        Ok((records, stand))
    }

    fn wants(&self, record: &record::Record<'_>) -> bool {
        record.kind == Kind::Event && self.shard.is_none_or(|shard| shard.number() == record.shard)
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

fn beginning(shared: &Shared) -> Stand {
    let segments = shared.segments.read();
    let (segment, next_batch) = segments.first().map_or((1, 1), |first| (first.number, first.first_batch));
    Stand { place: Place { segment, offset: segment::HEAD }, next_batch, position: Default::default() }
}

/// Reads whole batches from the disk, at least one, each checked.
fn read_batches(shared: &Shared, stand: Stand, end: End) -> Result<Vec<Batch>, JournalError> {
    let (segment, mut place) = locate(shared, stand)?;
    let mut next_batch = stand.next_batch;
    // From there on this segment is void: its last flush may have failed, and left a good frame.
    let until = shared.segment(segment.number + 1).map_or(end.next_batch, |next| next.first_batch.min(end.next_batch));
    let mut chunk = read_chunk(&segment, place.offset, ANSWER_BYTES)?;
    let mut batches = Vec::new();
    while next_batch < until {
        match frame::check(&chunk, segment.seed) {
            Ok(head) if head.batch == next_batch => {
                batches.push(Batch { place, frame: chunk.split_to(head.len) });
                place.offset += head.len as u64;
                next_batch += 1;
            }
            // The rest is for the next answer: it may lie in the next segment.
            _ if !batches.is_empty() => break,
            Err(frame::NoFrame::Longer(len)) if chunk.len() < len && place.offset + len as u64 <= segment.len => {
                chunk = read_chunk(&segment, place.offset, len)?;
                if chunk.len() < len {
                    return Err(segment.damaged(place.offset, "the batch is longer than the file"));
                }
            }
            Ok(_) => return Err(segment.damaged(place.offset, "another batch lies here")),
            Err(_) => return Err(segment.damaged(place.offset, "no good batch lies here")),
        }
    }
    Ok(batches)
}

/// What a look at the whole log found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Batches that are whole.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Bytes of both.
    pub bytes: u64,
}

/// Reads the whole log from the disk, up to what is durable now, and checks every byte of it.
pub(super) fn verify(shared: &Shared) -> Result<Verified, JournalError> {
    let end = shared.end();
    let mut stand = beginning(shared);
    let mut found = Verified::default();
    while stand.next_batch < end.next_batch {
        for batch in read_batches(shared, stand, end)? {
            let no = |offset, what| damaged(&segment::name(batch.place.segment), offset, what);
            let head = frame::peek(&batch.frame).map_err(|_| no(batch.place.offset, "no batch lies here"))?;
            let mut at = frame::HEAD;
            for _ in 0..head.count {
                let bytes = batch.frame.get(at..frame::HEAD + head.body_len).unwrap_or_default();
                let seed = segment::seed(&shared.store, batch.place.segment);
                let (record, len) =
                    record::read(bytes, Some(seed)).map_err(|what| no(batch.place.offset + at as u64, what))?;
                found.events += u64::from(record.kind == Kind::Event);
                at += len;
            }
            found.batches += 1;
            found.bytes += head.len as u64;
            stand.next_batch += 1;
            stand.place = Place { offset: batch.place.offset + head.len as u64, ..batch.place };
        }
    }
    Ok(found)
}

/// The segment that holds the next batch: the later one, when two of them could.
fn locate(shared: &Shared, stand: Stand) -> Result<(Arc<Segment>, Place), JournalError> {
    let mut place = stand.place;
    let find = |number| {
        shared.segment(number).ok_or_else(|| io_error(&segment::name(number), std::io::ErrorKind::NotFound.into()))
    };
    let mut segment = find(place.segment)?;
    while let Some(next) = shared.segment(segment.number + 1) {
        if next.first_batch > stand.next_batch {
            break;
        }
        place = Place { segment: next.number, offset: segment::HEAD };
        segment = next;
    }
    Ok((segment, place))
}

fn read_chunk(segment: &Segment, offset: u64, want: usize) -> Result<Bytes, JournalError> {
    let len = segment.len.saturating_sub(offset).min(want as u64) as usize;
    let mut chunk = BytesMut::zeroed(len);
    let got = read_full(segment.file.as_ref(), &mut chunk, offset).map_err(|error| segment.io(error))?;
    chunk.truncate(got);
    Ok(chunk.freeze())
}

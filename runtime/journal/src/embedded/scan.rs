//! Reading the log front to back from the disk, whole batches at a time.

use std::sync::{Arc, atomic::Ordering};

use bytes::{Bytes, BytesMut};
use mesh_kernel::ports::JournalError;

use super::{
    cursor::Stand,
    error::{damaged, io_error},
    log::{
        Place, frame,
        record::Kind,
        segment::{self, Segment},
        sparse::Sparse,
        walk::Walk,
    },
    shared::{End, Shared},
};
use crate::files::read_full;

/// A batch on its way to a reader.
pub(super) struct Batch {
    /// Where its frame lies.
    pub(super) place: Place,
    pub(super) frame: Bytes,
    pub(super) is_sparse: bool,
}

impl Batch {
    pub(super) fn walk(&self) -> Result<Walk<'_>, JournalError> {
        let head = frame::peek(&self.frame)
            .map_err(|_| damaged(&segment::name(self.place.segment), self.place.offset, "no batch lies here"))?;
        Ok(Walk { frame: &self.frame, head, at: self.place.offset, is_sparse: self.is_sparse, seed: None })
    }

    /// The stand behind this batch, for a reader who saw its records.
    pub(super) fn behind(&self, stand: Stand, walk: &Walk<'_>) -> Stand {
        let mut behind = Stand { next_batch: walk.head.batch + 1, ..stand };
        // Of a sparse one the last record says it.
        if !self.is_sparse {
            behind.place = Place { offset: self.place.offset + walk.head.len as u64, ..self.place };
        }
        behind
    }
}

/// Before everything that is left.
pub(super) fn beginning(shared: &Shared) -> Stand {
    let segments = shared.segments.read();
    let freed = shared.freed.load(Ordering::Acquire);
    let (segment, next_batch) = segments.first().map_or((1, 1), |first| (first.number, first.first_batch));
    Stand { place: Place { segment, offset: segment::HEAD }, next_batch, position: Default::default(), freed }
}

/// The stand, knowing of all that was freed, when none of that lies behind it.
///
/// # Errors
/// [`JournalError::Freed`] when something was freed that the follower should have seen.
pub(super) fn nothing_missed(shared: &Shared, stand: Stand) -> Result<Stand, JournalError> {
    if shared.freed.load(Ordering::Acquire) <= stand.freed {
        return Ok(stand);
    }
    // Both move under this lock.
    let segments = shared.segments.read();
    let freed = shared.freed.load(Ordering::Acquire);
    let before_all = segments.first().is_some_and(|first| stand.next_batch < first.first_batch);
    let missed = |sparse: &Sparse| sparse.freed > stand.freed && sparse.end_batch > stand.next_batch;
    if before_all || segments.iter().filter_map(|segment| segment.sparse.as_ref()).any(missed) {
        return Err(JournalError::Freed);
    }
    Ok(Stand { freed, ..stand })
}

/// Reads whole batches, about `bytes_max` of them but at least one when there is one before the
/// end, each checked; and where to stand before the first of them.
pub(super) fn read_batches(
    shared: &Shared,
    mut stand: Stand,
    end: End,
    bytes_max: usize,
) -> Result<(Vec<Batch>, Stand), JournalError> {
    loop {
        let (segment, next);
        (segment, stand) = locate(shared, stand)?;
        next = shared.segment(segment.number + 1);
        let Some(sparse) = &segment.sparse else {
            // From there on this segment is void: its last flush may have failed, and left a good frame.
            let until = next.map_or(end.next_batch, |next| next.first_batch.min(end.next_batch));
            return Ok((read_frames(&segment, stand, until, bytes_max)?, stand));
        };
        let batches = read_sparse(&segment, sparse, stand, bytes_max)?;
        if !batches.is_empty() {
            return Ok((batches, stand));
        }
        stand.next_batch = sparse.end_batch;
    }
}

/// Visits all batches of a segment that is not written to any more, before batch `until`.
pub(super) fn each_batch(
    segment: &Segment,
    until: u64,
    mut visit: impl FnMut(&Batch) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    const AT_ONCE: usize = 1024 * 1024;
    let place = Place { segment: segment.number, offset: segment::HEAD };
    let mut stand = Stand { place, next_batch: segment.first_batch, position: Default::default(), freed: 0 };
    loop {
        let batches = match &segment.sparse {
            Some(sparse) => read_sparse(segment, sparse, stand, AT_ONCE)?,
            None => read_frames(segment, stand, until, AT_ONCE)?,
        };
        if batches.is_empty() {
            return Ok(());
        }
        for batch in &batches {
            let walk = batch.walk()?;
            visit(batch)?;
            stand = batch.behind(stand, &walk);
        }
    }
}

fn read_frames(segment: &Segment, stand: Stand, until: u64, bytes_max: usize) -> Result<Vec<Batch>, JournalError> {
    let (mut next_batch, mut place) = (stand.next_batch, stand.place);
    let mut batches = Vec::new();
    if next_batch >= until {
        return Ok(batches);
    }
    let mut chunk = read_chunk(segment, place.offset, bytes_max)?;
    while next_batch < until {
        match frame::check(&chunk, segment.seed) {
            Ok(head) if head.batch == next_batch => {
                batches.push(Batch { place, frame: chunk.split_to(head.len), is_sparse: false });
                place.offset += head.len as u64;
                next_batch += 1;
            }
            // The rest is for the next answer: it may lie in the next segment.
            _ if !batches.is_empty() => break,
            Err(frame::NoFrame::Longer(len)) if chunk.len() < len && place.offset + len as u64 <= segment.len => {
                chunk = read_chunk(segment, place.offset, len)?;
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

fn read_sparse(segment: &Segment, sparse: &Sparse, stand: Stand, bytes_max: usize) -> Result<Vec<Batch>, JournalError> {
    let mut at = sparse.frame_from(segment, stand.place.offset)?;
    let mut batches = Vec::new();
    let mut bytes = 0;
    while at < segment.len && bytes < bytes_max {
        let head = read_chunk(segment, at, frame::HEAD)?;
        let len = frame::peek(&head).map_err(|_| segment.damaged(at, "no batch lies here"))?.len;
        let frame = read_chunk(segment, at, len)?;
        let head = frame::check(&frame, segment.seed).map_err(|_| segment.damaged(at, "no good batch lies here"))?;
        if head.batch >= stand.next_batch {
            bytes += head.len;
            batches.push(Batch { place: Place { segment: segment.number, offset: at }, frame, is_sparse: true });
        }
        at += head.len as u64;
    }
    Ok(batches)
}

/// The segment that holds the next batch: the later one, when two of them could.
fn locate(shared: &Shared, mut stand: Stand) -> Result<(Arc<Segment>, Stand), JournalError> {
    let segments = shared.segments.read();
    let first = segments.first().ok_or(JournalError::Closed)?;
    if stand.place.segment < first.number {
        // What was freed before it held nothing that is to be seen.
        stand.place = Place { segment: first.number, offset: segment::HEAD };
        stand.next_batch = stand.next_batch.max(first.first_batch);
    }
    let at = usize::try_from(stand.place.segment - first.number).unwrap_or(usize::MAX);
    let missing = || io_error(&segment::name(stand.place.segment), std::io::ErrorKind::NotFound.into());
    let mut segment = segments.get(at).ok_or_else(missing)?;
    for next in segments.iter().skip(at + 1).take_while(|next| next.first_batch <= stand.next_batch) {
        stand.place = Place { segment: next.number, offset: segment::HEAD };
        segment = next;
    }
    Ok((segment.clone(), stand))
}

fn read_chunk(segment: &Segment, offset: u64, want: usize) -> Result<Bytes, JournalError> {
    let len = segment.len.saturating_sub(offset).min(want as u64) as usize;
    let mut chunk = BytesMut::zeroed(len);
    let got = read_full(segment.file.as_ref(), &mut chunk, offset).map_err(|error| segment.io(error))?;
    chunk.truncate(got);
    Ok(chunk.freeze())
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
    const AT_ONCE: usize = 1024 * 1024;
    let end = shared.end();
    let mut stand = beginning(shared);
    let mut found = Verified::default();
    while stand.next_batch < end.next_batch {
        let (batches, from) = read_batches(shared, stand, end, AT_ONCE)?;
        stand = from;
        for batch in &batches {
            let mut walk = batch.walk()?;
            walk.seed = Some(segment::seed(&shared.store, batch.place.segment));
            let from = if batch.is_sparse { stand.place.offset } else { 0 };
            walk.each(|each| {
                if each.offset < from {
                    return Ok(());
                }
                found.events += u64::from(each.record.kind == Kind::Event);
                if batch.is_sparse {
                    stand.place.offset = each.offset + each.bytes.len() as u64;
                }
                Ok(())
            })
            .map_err(|(offset, what)| damaged(&segment::name(batch.place.segment), offset, what))?;
            found.batches += 1;
            found.bytes += walk.head.len as u64;
            stand = batch.behind(stand, &walk);
        }
    }
    Ok(found)
}

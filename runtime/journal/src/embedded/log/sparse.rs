//! Sparse segments: what is left of a full one once its dead records were dropped.
//!
//! ```text
//! header  = as of any segment, with a flag | at byte 64: what the segment was, with a checksum
//! frames  = as in any segment; before each record lies the offset that it had, u32
//! ```
//!
//! Nothing is ever written to one, and it was flushed before it got its name: so whatever in it is
//! not as it was written is damage.

use std::sync::OnceLock;

use mesh_kernel::ports::{JournalError, Position};

use super::{
    frame,
    numbers::{put_at, u32_at, u64_at},
    record,
    segment::{HEAD, Segment},
    walk::OFFSET_LEN,
};
use crate::files::read_full;

/// Where the part of the header lies that only sparse segments have. **Units**: bytes.
pub(super) const AT: usize = 64;
pub(super) const LEN: usize = 56;

/// What a sparse segment says about what it was.
#[derive(Debug, Default)]
pub(in crate::embedded) struct Sparse {
    /// The number of the first batch behind it.
    pub(in crate::embedded) end_batch: u64,
    /// Checksum of the last batch that it had.
    pub(in crate::embedded) last_crc: u32,
    /// Frames in it; without any it only keeps the place of its number.
    pub(in crate::embedded) frames: u32,
    /// When events of retired entities were dropped last; 0 for never. Grows through the store.
    pub(in crate::embedded) freed: u32,
    /// Nothing is left of tenants that were erased up to here.
    pub(in crate::embedded) cleaned: Position,
    /// Nothing is left of entities that were retired up to here.
    pub(in crate::embedded) applied: Position,
    /// Length of the file.
    pub(in crate::embedded) len: u64,
    /// The first offset in each frame, and where the frame lies; made when it is needed.
    pub(in crate::embedded) table: OnceLock<Vec<(u32, u32)>>,
}

impl Sparse {
    pub(in crate::embedded) fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        put_at(&mut bytes, 0, &self.end_batch.to_le_bytes());
        put_at(&mut bytes, 8, &self.last_crc.to_le_bytes());
        put_at(&mut bytes, 12, &self.frames.to_le_bytes());
        put_at(&mut bytes, 16, &self.freed.to_le_bytes());
        put_at(&mut bytes, 24, &self.cleaned.0.to_le_bytes());
        put_at(&mut bytes, 32, &self.len.to_le_bytes());
        put_at(&mut bytes, 40, &self.applied.0.to_le_bytes());
        let crc = crc32c::crc32c(bytes.get(..LEN - 4).unwrap_or_default());
        put_at(&mut bytes, LEN - 4, &crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let crc = crc32c::crc32c(bytes.get(..LEN - 4)?);
        if u32_at(bytes, LEN - 4)? != crc {
            return None;
        }
        Some(Self {
            end_batch: u64_at(bytes, 0)?,
            last_crc: u32_at(bytes, 8)?,
            frames: u32_at(bytes, 12)?,
            freed: u32_at(bytes, 16)?,
            cleaned: Position(u64_at(bytes, 24)?),
            len: u64_at(bytes, 32)?,
            applied: Position(u64_at(bytes, 40)?),
            table: OnceLock::new(),
        })
    }

    /// Where the frame lies that holds the first record at or behind `offset`; the end of the file
    /// when there is none.
    pub(in crate::embedded) fn frame_from(&self, segment: &Segment, offset: u64) -> Result<u64, JournalError> {
        let table = self.table(segment)?;
        let behind = table.partition_point(|(first, _)| u64::from(*first) <= offset);
        // The frame before may reach behind the offset.
        let frame = table.get(behind.saturating_sub(1));
        Ok(frame.map_or(segment.len, |(_, at)| u64::from(*at)))
    }

    fn table(&self, segment: &Segment) -> Result<&[(u32, u32)], JournalError> {
        if let Some(table) = self.table.get() {
            return Ok(table);
        }
        let mut table = Vec::with_capacity(self.frames as usize);
        let mut at = HEAD;
        for _ in 0..self.frames {
            let mut bytes = [0; frame::HEAD + OFFSET_LEN];
            let got = read_full(segment.file.as_ref(), &mut bytes, at).map_err(|error| segment.io(error))?;
            let head = frame::peek(bytes.get(..got).unwrap_or_default());
            let (Ok(head), Some(first)) = (head, u32_at(&bytes, frame::HEAD)) else {
                return Err(segment.damaged(at, "no batch lies here"));
            };
            table.push((first, at as u32));
            at += head.len as u64;
        }
        Ok(self.table.get_or_init(|| table))
    }

    /// The bytes of the record that had this offset.
    pub(in crate::embedded) fn record(&self, segment: &Segment, offset: u64) -> Result<Vec<u8>, JournalError> {
        let at = self.frame_from(segment, offset)?;
        let gone = || segment.damaged(at, "a record is missing that should lie here");
        let mut head = [0; frame::HEAD];
        read_full(segment.file.as_ref(), &mut head, at).map_err(|error| segment.io(error))?;
        let head = frame::peek(&head).map_err(|_| segment.damaged(at, "no batch lies here"))?;
        let end = (at + head.len as u64).min(segment.len);
        let mut body = vec![0; end.saturating_sub(at + frame::HEAD as u64) as usize];
        read_full(segment.file.as_ref(), &mut body, at + frame::HEAD as u64).map_err(|error| segment.io(error))?;
        let mut next = 0;
        for _ in 0..head.count {
            let found = u64::from(u32_at(&body, next).ok_or_else(gone)?);
            let rest = body.get(next + OFFSET_LEN..).ok_or_else(gone)?;
            let len = record::peek_len(rest).ok_or_else(gone)?;
            if found == offset {
                return Ok(rest.get(..len).ok_or_else(gone)?.to_vec());
            }
            next += OFFSET_LEN + len;
        }
        Err(gone())
    }
}

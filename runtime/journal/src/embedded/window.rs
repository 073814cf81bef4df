//! A moving window over a segment, for reading it front to back with few reads.

use mesh_kernel::ports::JournalError;

use super::log::{frame, segment::Segment};
use crate::files::read_full;

/// How much is read at once. **Units**: bytes.
const STRIDE: usize = 1024 * 1024;

/// Bytes of a segment around where it is being read.
pub(super) struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { start: 0, bytes: Vec::new() }
    }

    /// At least `want` bytes at `offset`, or as many as the file has.
    pub(super) fn bytes(&mut self, segment: &Segment, offset: u64, want: usize) -> Result<&[u8], JournalError> {
        let inside = offset.checked_sub(self.start).is_some_and(|skip| skip as usize + want <= self.bytes.len());
        if !inside {
            let left = segment.len.saturating_sub(offset);
            let len = (want.max(STRIDE) as u64).min(left) as usize;
            self.bytes.resize(len, 0);
            let got = read_full(segment.file.as_ref(), &mut self.bytes, offset).map_err(|error| segment.io(error))?;
            self.bytes.truncate(got);
            self.start = offset;
        }
        let skip = (offset - self.start) as usize;
        Ok(self.bytes.get(skip..).unwrap_or_default())
    }

    /// The bytes of the frame at `offset`, as far as the file has them.
    pub(super) fn frame(&mut self, segment: &Segment, offset: u64) -> Result<&[u8], JournalError> {
        let len = frame::peek(self.bytes(segment, offset, frame::HEAD)?).map_or(frame::HEAD, |head| head.len);
        self.bytes(segment, offset, len)
    }

    /// The first 8-byte word from `offset` on that is not zero.
    pub(super) fn next_nonzero(&mut self, segment: &Segment, mut offset: u64) -> Result<Option<u64>, JournalError> {
        while offset < segment.len {
            let bytes = self.bytes(segment, offset, 8)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(index) = first_nonzero(bytes) {
                return Ok(Some(offset + index as u64 / 8 * 8));
            }
            offset += bytes.len() as u64;
        }
        Ok(None)
    }
}

/// Block by block, so that the many that are all zeros are gone through at the speed of memory.
fn first_nonzero(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 512;
    let is_dirty = |block: &[u8]| block.iter().fold(0, |all, byte| all | byte) != 0;
    let block = bytes.chunks(BLOCK).position(is_dirty)?;
    let start = block * BLOCK;
    let within = bytes.get(start..)?.iter().position(|byte| *byte != 0)?;
    Some(start + within)
}

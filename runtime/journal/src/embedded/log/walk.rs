//! The records of a frame, one after the other.

use super::{frame, numbers::u32_at, record};

/// Length of the offset before each record of a sparse segment. **Units**: bytes.
pub(in crate::embedded) const OFFSET_LEN: usize = 4;

/// One record of a frame, and the place it has for ever.
pub(in crate::embedded) struct Found<'a> {
    pub(in crate::embedded) record: record::Record<'a>,
    /// Offset in its segment as that was when it was written: what positions are made of.
    pub(in crate::embedded) offset: u64,
    pub(in crate::embedded) bytes: &'a [u8],
}

/// A frame whose records are gone through.
#[derive(Clone, Copy)]
pub(in crate::embedded) struct Walk<'a> {
    pub(in crate::embedded) frame: &'a [u8],
    pub(in crate::embedded) head: frame::Head,
    /// Where the frame lies in its file.
    pub(in crate::embedded) at: u64,
    pub(in crate::embedded) is_sparse: bool,
    /// Checks each record as well; left out where the frame was checked a moment ago.
    pub(in crate::embedded) seed: Option<u32>,
}

impl<'a> Walk<'a> {
    /// Visits each record; an error comes with the offset in the file of what is wrong.
    pub(in crate::embedded) fn each(
        &self,
        mut visit: impl FnMut(Found<'a>) -> Result<(), &'static str>,
    ) -> Result<(), (u64, &'static str)> {
        let end = frame::HEAD + self.head.body_len;
        let mut at = frame::HEAD;
        for _ in 0..self.head.count {
            let here = self.at + at as u64;
            let mut offset = here;
            if self.is_sparse {
                offset = u64::from(u32_at(self.frame, at).ok_or((here, "a record is cut short"))?);
                at += OFFSET_LEN;
            }
            let rest = self.frame.get(at..end).unwrap_or_default();
            let (record, len) = record::read(rest, self.seed).map_err(|what| (here, what))?;
            let bytes = rest.get(..len).unwrap_or_default();
            visit(Found { record, offset, bytes }).map_err(|what| (here, what))?;
            at += len;
        }
        Ok(())
    }
}

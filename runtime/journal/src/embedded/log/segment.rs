//! Segments: one file of the log, its header and its name.

use std::{io, sync::Arc};

use mesh_kernel::ports::JournalError;

use super::{
    numbers::{put_at, u32_at, u64_at},
    sparse::{self, Sparse},
};
use crate::{
    embedded::{OpenError, error::damaged},
    files::{File, Files, read_full, write_all},
};

/// The format that this program writes.
pub(in crate::embedded) const FORMAT: u32 = 2;
/// The oldest program's format that can read what this one writes.
pub(in crate::embedded) const MIN_READER: u32 = 2;
/// Where the first frame lies. **Units**: bytes.
pub(in crate::embedded) const HEAD: u64 = 4096;

const MAGIC: &[u8; 8] = b"MESHJRNL";
/// The part of the header that is used; its last four bytes are the checksum, in every version.
const USED: usize = 64;
/// Where the header says that the segment is sparse.
const IS_SPARSE: usize = 52;

/// The secret that makes a store's checksums its own.
pub(in crate::embedded) type StoreId = [u8; 16];

/// The start value of all checksums in a segment.
pub(in crate::embedded) fn seed(store: &StoreId, segment: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(store), &segment.to_le_bytes())
}

/// The name of a segment's file.
pub(in crate::embedded) fn name(number: u64) -> String {
    format!("seg-{number:010}.log")
}

/// The segment that a file name tells of.
pub(in crate::embedded) fn number(name: &str) -> Option<u64> {
    name.strip_prefix("seg-")?.strip_suffix(".log")?.parse().ok()
}

/// A segment that stands in the log.
pub(in crate::embedded) struct Segment {
    pub(in crate::embedded) number: u64,
    pub(in crate::embedded) name: String,
    pub(in crate::embedded) file: Arc<dyn File>,
    /// Length of the file. **Units**: bytes.
    pub(in crate::embedded) len: u64,
    /// The number of its first batch. Batches with this number or a later one in the segment
    /// before it are void: their flush failed, and they were written anew here.
    pub(in crate::embedded) first_batch: u64,
    /// Checksum of the batch before its first.
    pub(in crate::embedded) prev_crc: u32,
    pub(in crate::embedded) seed: u32,
    /// What it was, when its dead records were dropped.
    pub(in crate::embedded) sparse: Option<Sparse>,
}

impl Segment {
    /// Writes the header into a file of zeros, and flushes it. The file's name is the caller's
    /// business, and comes after.
    pub(in crate::embedded) fn begin(
        file: Arc<dyn File>,
        store: &StoreId,
        number: u64,
        first_batch: u64,
        prev_crc: u32,
    ) -> io::Result<Self> {
        let fields = Fields { number, first_batch, prev_crc, is_sparse: false };
        write_all(file.as_ref(), &head(store, &fields), 0)?;
        file.fdatasync()?;
        let len = file.len()?;
        Ok(Self::of(file, store, &fields, len, None))
    }

    /// Writes the header of what is left of `whole` before the frames that are in the file already,
    /// and flushes both. The name is the caller's business, as above.
    pub(in crate::embedded) fn end_sparse(
        file: Arc<dyn File>,
        store: &StoreId,
        whole: &Self,
        sparse: Sparse,
    ) -> io::Result<Self> {
        let fields =
            Fields { number: whole.number, first_batch: whole.first_batch, prev_crc: whole.prev_crc, is_sparse: true };
        write_all(file.as_ref(), &sparse.encode(), sparse::AT as u64)?;
        write_all(file.as_ref(), &head(store, &fields), 0)?;
        file.fdatasync()?;
        let len = sparse.len;
        Ok(Self::of(file, store, &fields, len, Some(sparse)))
    }

    fn of(file: Arc<dyn File>, store: &StoreId, fields: &Fields, len: u64, sparse: Option<Sparse>) -> Self {
        Self {
            number: fields.number,
            name: name(fields.number),
            file,
            len,
            first_batch: fields.first_batch,
            prev_crc: fields.prev_crc,
            seed: seed(store, fields.number),
            sparse,
        }
    }

    /// Opens a segment and checks its header.
    pub(in crate::embedded) fn open(files: &dyn Files, store: &StoreId, number: u64) -> Result<Self, OpenError> {
        let name = name(number);
        let io = |source| OpenError::io(&name, source);
        let file = files.open(&name).map_err(io)?;
        let len = file.len().map_err(io)?;
        let mut head = [0_u8; sparse::AT + sparse::LEN];
        read_full(file.as_ref(), &mut head, 0).map_err(io)?;
        let fields = check_head(&name, &head)?;
        let sparse = fields.is_sparse.then(|| check_sparse(&name, &head, len)).transpose()?;
        if head.get(16..32) != Some(store.as_slice()) || fields.number != number {
            return Err(damaged(&name, 16, "the header belongs to another segment or store").into());
        }
        Ok(Self::of(file, store, &fields, len, sparse))
    }

    /// The error of a place in this segment that does not hold what it must.
    pub(in crate::embedded) fn damaged(&self, offset: u64, what: &str) -> JournalError {
        damaged(&self.name, offset, what)
    }

    /// The error of a read that the system refused.
    pub(in crate::embedded) fn io(&self, source: io::Error) -> JournalError {
        JournalError::Io { file: self.name.clone(), source: Arc::new(source) }
    }
}

struct Fields {
    number: u64,
    first_batch: u64,
    prev_crc: u32,
    is_sparse: bool,
}

fn head(store: &StoreId, fields: &Fields) -> [u8; USED] {
    let mut head = [0; USED];
    put_at(&mut head, 0, MAGIC);
    put_at(&mut head, 8, &FORMAT.to_le_bytes());
    put_at(&mut head, 12, &MIN_READER.to_le_bytes());
    put_at(&mut head, 16, store);
    put_at(&mut head, 32, &fields.number.to_le_bytes());
    put_at(&mut head, 40, &fields.first_batch.to_le_bytes());
    put_at(&mut head, 48, &fields.prev_crc.to_le_bytes());
    put_at(&mut head, IS_SPARSE, &[u8::from(fields.is_sparse)]);
    let crc = crc32c::crc32c(head.get(..USED - 4).unwrap_or_default());
    put_at(&mut head, USED - 4, &crc.to_le_bytes());
    head
}

fn check_sparse(name: &str, head: &[u8], len: u64) -> Result<Sparse, OpenError> {
    let sparse = head.get(sparse::AT..).and_then(Sparse::decode);
    let sparse = sparse.ok_or_else(|| damaged(name, sparse::AT as u64, "the header's second checksum is wrong"))?;
    if sparse.len != len {
        let what = format!("the file has {len} bytes, and {} were written", sparse.len);
        return Err(damaged(name, sparse.len.min(len), &what).into());
    }
    Ok(sparse)
}

fn check_head(name: &str, head: &[u8]) -> Result<Fields, OpenError> {
    let short = || damaged(name, 0, "the header is cut short");
    if head.get(..8) != Some(MAGIC.as_slice()) {
        return Err(damaged(name, 0, "the header does not begin as a segment's").into());
    }
    let crc = crc32c::crc32c(head.get(..USED - 4).unwrap_or_default());
    if u32_at(head, USED - 4) != Some(crc) {
        return Err(damaged(name, 0, "the header's checksum is wrong").into());
    }
    let found = u32_at(head, 8).ok_or_else(short)?;
    let min_reader = u32_at(head, 12).ok_or_else(short)?;
    if min_reader > FORMAT {
        return Err(OpenError::Format { file: name.to_owned(), found, min_reader, ours: FORMAT });
    }
    Ok(Fields {
        number: u64_at(head, 32).ok_or_else(short)?,
        first_batch: u64_at(head, 40).ok_or_else(short)?,
        prev_crc: u32_at(head, 48).ok_or_else(short)?,
        is_sparse: head.get(IS_SPARSE) == Some(&1),
    })
}

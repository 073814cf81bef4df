//! A segment as a file: a header, and columns of numbers one after the other.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
    sync::Arc,
};

use crate::sys::map::{Column, Map, Plain, bytes_of};

use super::{
    codes::{Codes, OneBit, width, words},
    error::Error,
    graph::Graph,
    labels::Labels,
    segment::Segment,
};

const MAGIC: &[u8; 8] = b"MESHVEC1";
/// Columns begin at multiples of this.
const ALIGN: usize = 64;
/// Smaller columns are read where they lie in the file. **Units**: bytes.
const COPIED_MIN: usize = 4 * 1024 * 1024;
const COLUMNS: usize = 17;
/// Magic, dimensions, rows, then place, length and checksum of each column, then the checksum of all that.
const HEADER: usize = 24 + COLUMNS * 24 + 8;

/// The columns in their order on disk.
fn columns(segment: &Segment) -> [&[u8]; COLUMNS] {
    let graph = segment.graph.as_ref();
    let graph = graph.map(|graph| (graph.floors.get(), graph.low.get(), graph.upper.get())).unwrap_or_default();
    let labels = &segment.labels;
    [
        bytes_of(segment.vectors.get()),
        bytes_of(segment.codes.codes.get()),
        bytes_of(segment.codes.scales.get()),
        bytes_of(segment.one_bit.mean.get()),
        bytes_of(segment.one_bit.bits.get()),
        bytes_of(segment.ids.get()),
        bytes_of(segment.by_id.get()),
        bytes_of(segment.seqs.get()),
        bytes_of(labels.texts.get()),
        bytes_of(labels.ends.get()),
        bytes_of(labels.counts.get()),
        bytes_of(labels.starts.get()),
        bytes_of(labels.lists.get()),
        bytes_of(labels.dense.get()),
        bytes_of(graph.0),
        bytes_of(graph.1),
        bytes_of(graph.2),
    ]
}

/// Writes a segment and flushes it; the caller flushes the folder.
///
/// # Errors
/// What the system says.
pub(super) fn write(segment: &Segment, path: &Path) -> Result<(), Error> {
    let (header, columns) = (header(segment), columns(segment));
    let to = File::create(path).map_err(Error::io(path))?;
    let mut to = BufWriter::with_capacity(1 << 20, to);
    let mut at = header.len();
    to.write_all(&header).map_err(Error::io(path))?;
    for column in columns {
        let start = at.next_multiple_of(ALIGN);
        let gap = [0; ALIGN];
        to.write_all(gap.get(..start - at).unwrap_or_default()).map_err(Error::io(path))?;
        to.write_all(column).map_err(Error::io(path))?;
        at = start + column.len();
    }
    let to = to.into_inner().map_err(|error| Error::io(path)(error.into_error()))?;
    to.sync_all().map_err(Error::io(path))
}

fn header(segment: &Segment) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend((segment.dimensions as u64).to_le_bytes());
    header.extend((segment.rows() as u64).to_le_bytes());
    let mut at = HEADER;
    for column in columns(segment) {
        at = at.next_multiple_of(ALIGN);
        for number in [at as u64, column.len() as u64, u64::from(crc32c::crc32c(column))] {
            header.extend(number.to_le_bytes());
        }
        at += column.len();
    }
    header.extend(u64::from(crc32c::crc32c(&header)).to_le_bytes());
    header
}

/// A file's columns, each checked against its checksum.
struct Columns<'a> {
    path: &'a Path,
    map: Arc<Map>,
    at: usize,
    /// Where the column before ended.
    end: usize,
}

impl Columns<'_> {
    fn number(&self, at: usize) -> Result<u64, Error> {
        let bytes = self.map.bytes().get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_le_bytes).ok_or_else(|| Error::damaged(self.path, "its header is cut off"))
    }

    /// The next column, which has so many numbers if that is known.
    fn next<T: Plain>(&mut self, len: Option<usize>) -> Result<Column<T>, Error> {
        let [start, bytes, sum] = [self.number(self.at)?, self.number(self.at + 8)?, self.number(self.at + 16)?];
        let of = (self.at - 24) / 24;
        self.at += 24;
        let damaged = |what: &str| Error::damaged(self.path, format!("column {of} {what}"));
        let range = start as usize..(start as usize).saturating_add(bytes as usize);
        let held = self.map.bytes().get(range.clone()).ok_or_else(|| damaged("is cut off"))?;
        if u64::from(crc32c::crc32c(held)) != sum {
            return Err(damaged("has another checksum than it was written with"));
        }
        let gap = self.map.bytes().get(self.end..range.start);
        if gap.is_none_or(|gap| gap.len() >= ALIGN || gap.iter().any(|byte| *byte != 0)) {
            return Err(damaged("does not begin where the one before ends"));
        }
        self.end = range.end;
        let column = Column::mapped(&self.map, range).ok_or_else(|| damaged("does not lie where it should"))?;
        match len {
            Some(len) if column.get().len() != len => Err(damaged("has another length than its rows need")),
            _ => Ok(column),
        }
    }

    /// As `next`; what is read at random is copied into huge pages, where it fills some.
    fn near<T: Plain>(&mut self, len: Option<usize>) -> Result<Column<T>, Error> {
        let column = self.next::<T>(len)?;
        let bytes = bytes_of(column.get());
        if bytes.len() < COPIED_MIN {
            return Ok(column);
        }
        let copy = Arc::new(Map::copy(bytes).map_err(Error::io(self.path))?);
        Ok(Column::mapped(&copy, 0..bytes.len()).unwrap_or(column))
    }
}

/// Maps a segment and checks all of it.
///
/// **Cost**: reads the file once.
///
/// # Errors
/// [`Error::Damaged`] where it is not what was written; else what the system says.
pub(super) fn read(path: &Path, dimensions: usize) -> Result<Arc<Segment>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::damaged(path, "it is not there"));
        }
        Err(error) => return Err(Error::io(path)(error)),
    };
    let map = Arc::new(Map::file(&file).map_err(Error::io(path))?);
    let mut columns = Columns { path, map, at: 24, end: HEADER };
    let header = columns.map.bytes().get(..HEADER - 8).filter(|header| header.starts_with(MAGIC));
    let header = header.ok_or_else(|| Error::damaged(path, "it does not begin as a segment does"))?;
    if columns.number(HEADER - 8)? != u64::from(crc32c::crc32c(header)) {
        return Err(Error::damaged(path, "its header has another checksum than it was written with"));
    }
    if columns.number(8)? != dimensions as u64 {
        return Err(Error::damaged(path, "its vectors have another number of dimensions"));
    }
    let rows = columns.number(16)? as usize;
    let segment = segment(&mut columns, rows, dimensions)?;
    if columns.end != columns.map.bytes().len() {
        return Err(Error::damaged(path, "it goes on after its last column"));
    }
    Ok(Arc::new(segment))
}

fn segment(columns: &mut Columns<'_>, rows: usize, dimensions: usize) -> Result<Segment, Error> {
    let vectors = columns.next(Some(rows * dimensions))?;
    let codes = columns.near(Some(rows * width(dimensions)))?;
    let scales = columns.near(Some(rows))?;
    let codes = Codes { width: width(dimensions), codes, scales };
    let mean: Column<f32> = columns.next(None)?;
    let bits = if mean.get().is_empty() { 0 } else { rows * words(dimensions) };
    let one_bit = OneBit { mean, bits: columns.next(Some(bits))? };
    let (ids, by_id, seqs) = (columns.next(Some(rows * 2))?, columns.next(Some(rows))?, columns.next(Some(rows))?);
    let labels = Labels {
        texts: columns.next(None)?,
        ends: columns.next(None)?,
        counts: columns.next(None)?,
        starts: columns.next(None)?,
        lists: columns.next(None)?,
        dense: columns.next(None)?,
    };
    let graph = Graph { floors: columns.next(None)?, low: columns.near(None)?, upper: columns.near(None)? };
    let graph = Some(graph).filter(|graph| !graph.floors.get().is_empty());
    Ok(Segment { dimensions, vectors, codes, one_bit, ids, by_id, seqs, labels, graph })
}

/// Writes a small file in place of one of that name: whole or not at all.
///
/// # Errors
/// What the system says.
pub(super) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let (path, tmp) = (folder.join(name), folder.join(format!("{name}.tmp")));
    let mut to = File::create(&tmp).map_err(Error::io(&tmp))?;
    to.write_all(bytes).and_then(|()| to.sync_all()).map_err(Error::io(&tmp))?;
    fs::rename(&tmp, &path).map_err(Error::io(&path))?;
    sync(folder)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// What the system says.
pub(super) fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io(folder))
}

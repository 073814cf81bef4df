//! How a graph survives: a snapshot of flat columns, and behind it a log of what came since.
//!
//! A snapshot is a header and columns of little-endian numbers, each with its checksum. It is written beside the
//! old one and renamed. The log holds frames of a batch each; a torn last frame is cut. Sources of edges are not
//! written: they are the targets turned round.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{
    graph::{Refused, View, Writer},
    kinds::NodeKind,
    names::{Names, Spent, Texts},
};

/// What a snapshot begins with; the last two digits are its form's version.
const MAGIC: &[u8; 8] = b"lineag01";
/// Bytes of a frame's head: length and checksum.
const HEAD: usize = 8;
/// Longest frame. **Units**: bytes.
const FRAME_MAX: usize = 256 * 1024 * 1024;

/// Why a graph could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("{}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what was written.
    #[error("{} is damaged: {what}; it is made anew from the journal", .path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// How it shows.
        what: &'static str,
    },
    /// A node does not fit.
    #[error(transparent)]
    Refused(#[from] Refused),
}

pub(super) fn io_at(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    |source| Error::Io { path: path.to_owned(), source }
}

/// What one snapshot holds.
pub(super) struct Snapshot {
    pub(super) writer: Writer,
    pub(super) names: Names,
    /// The journal position that it reflects.
    pub(super) position: u64,
}

/// Writes a snapshot in the place of the one that is there, and gives its length.
pub(super) fn write(path: &Path, view: &View, names: &Names, position: u64) -> Result<u64, Error> {
    let columns = columns(view, names);
    let beside = path.with_extension("new");
    let failed = io_at(&beside);
    let mut file = io::BufWriter::new(File::create(&beside).map_err(&failed)?);
    let mut head = Vec::with_capacity(32 + columns.len() * 12);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&position.to_le_bytes());
    for column in &columns {
        head.extend_from_slice(&(column.len() as u64).to_le_bytes());
        head.extend_from_slice(&crc32c::crc32c(column).to_le_bytes());
    }
    let sum = crc32c::crc32c(&head);
    head.extend_from_slice(&sum.to_le_bytes());
    file.write_all(&head).map_err(&failed)?;
    for column in &columns {
        file.write_all(column).map_err(&failed)?;
    }
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(&failed)?;
    fs::rename(&beside, path).map_err(io_at(path))?;
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_at(folder))?;
    Ok(head.len() as u64 + columns.iter().map(|column| column.len() as u64).sum::<u64>())
}

/// The columns of a snapshot, in their order.
const COLUMNS: usize = 10;

fn columns(view: &View, names: &Names) -> [Vec<u8>; COLUMNS] {
    let mut spent = Vec::with_capacity(names.spent.len() * 28);
    for (node, Spent { tokens, cost, took_ms }) in &names.spent {
        spent.extend_from_slice(&node.to_le_bytes());
        for number in [tokens, cost, took_ms] {
            spent.extend_from_slice(&number.to_le_bytes());
        }
    }
    let ends = |texts: &Texts| texts.ends.iter().flat_map(|end| end.to_le_bytes()).collect();
    let [kinds, positions, times, out_ends, out] = view.columns();
    [
        kinds,
        positions,
        times,
        out_ends,
        out,
        ends(&names.names),
        names.names.bytes.clone(),
        ends(&names.labels),
        names.labels.bytes.clone(),
        spent,
    ]
}

/// The checksums of what a graph is made of, by which two are compared.
pub(super) fn sums(view: &View, names: &Names) -> [u32; COLUMNS] {
    columns(view, names).map(|column| crc32c::crc32c(&column))
}

/// Reads a snapshot; nothing when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Snapshot>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_at(path)(error)),
    };
    let damaged = |what| Error::Damaged { path: path.to_owned(), what };
    let (position, columns) = parts(&bytes).map_err(damaged)?;
    let [kinds, positions, times, ends, out, name_ends, names, label_ends, labels, spent] = columns;
    let kinds = kinds.iter().map(|kind| NodeKind::from_number(*kind)).collect::<Option<Vec<_>>>();
    let kinds = kinds.ok_or_else(|| damaged("a kind that nobody knows"))?;
    let (positions, times) = (longs(positions), longs(times));
    let known: Vec<_> = positions.zip(times).collect();
    let writer = Writer::loaded(&kinds, &known, words(ends), words(out)).map_err(damaged)?;
    let names = Texts { bytes: names.to_vec(), ends: longs(name_ends).collect() };
    let labels = Texts { bytes: labels.to_vec(), ends: longs(label_ends).collect() };
    if !names.is_whole(kinds.len()) || !labels.is_whole(kinds.len()) {
        return Err(damaged("names that do not fit the nodes"));
    }
    let spent = spent.chunks_exact(28).filter_map(|row| {
        let (node, rest) = row.split_first_chunk::<4>()?;
        let mut rest = longs(rest);
        let spent = Spent { tokens: rest.next()?, cost: rest.next()?, took_ms: rest.next()? };
        Some((u32::from_le_bytes(*node), spent))
    });
    let names = Names::loaded(names, labels, spent.collect());
    Ok(Some(Snapshot { writer, names, position }))
}

fn parts(bytes: &[u8]) -> Result<(u64, [&[u8]; COLUMNS]), &'static str> {
    let cut = "it ends early";
    let head_len = MAGIC.len() + 8 + COLUMNS * 12;
    let (head, rest) = bytes.split_at_checked(head_len).ok_or(cut)?;
    let (sum, mut rest) = rest.split_first_chunk::<4>().ok_or(cut)?;
    if !head.starts_with(MAGIC) {
        return Err("it has another form");
    }
    if crc32c::crc32c(head) != u32::from_le_bytes(*sum) {
        return Err("its head does not fit its checksum");
    }
    let (position, table) = head.split_at_checked(MAGIC.len() + 8).ok_or(cut)?;
    let position = longs(position).nth(1).ok_or(cut)?;
    let mut columns: [&[u8]; COLUMNS] = [&[]; COLUMNS];
    for (column, row) in columns.iter_mut().zip(table.chunks_exact(12)) {
        let len = longs(row).next().and_then(|len| usize::try_from(len).ok()).ok_or(cut)?;
        let sum = row.last_chunk::<4>().ok_or(cut)?;
        let (this, behind) = rest.split_at_checked(len).ok_or(cut)?;
        if crc32c::crc32c(this) != u32::from_le_bytes(*sum) {
            return Err("a column does not fit its checksum");
        }
        (*column, rest) = (this, behind);
    }
    Ok((position, columns))
}

fn words(bytes: &[u8]) -> impl ExactSizeIterator<Item = u32> + '_ {
    bytes.chunks_exact(4).map(|word| word.first_chunk().map_or(0, |word| u32::from_le_bytes(*word)))
}

fn longs(bytes: &[u8]) -> impl ExactSizeIterator<Item = u64> + '_ {
    bytes.chunks_exact(8).map(|long| long.first_chunk().map_or(0, |long| u64::from_le_bytes(*long)))
}

/// The log behind a snapshot.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    pub(super) len: u64,
}

impl Log {
    /// Opens it, shows each whole frame, and cuts what is torn behind them.
    pub(super) fn open(path: &Path, mut see: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<Self, Error> {
        let failed = io_at(path);
        let file = File::options().create(true).append(true).read(true).open(path).map_err(&failed)?;
        let bytes = fs::read(path).map_err(&failed)?;
        let (mut rest, mut len) = (bytes.as_slice(), 0);
        while let Some((frame, behind)) = frame(rest) {
            see(frame)?;
            len += (HEAD + frame.len()) as u64;
            rest = behind;
        }
        if !rest.is_empty() {
            tracing::warn!(path = %path.display(), bytes = rest.len(), "a torn frame of the lineage's log is cut");
            file.set_len(len).map_err(&failed)?;
        }
        Ok(Self { path: path.to_owned(), file, len })
    }

    /// Adds a frame.
    pub(super) fn append(&mut self, frame: &[u8]) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(HEAD + frame.len());
        bytes.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(frame).to_le_bytes());
        bytes.extend_from_slice(frame);
        self.file.write_all(&bytes).map_err(io_at(&self.path))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Waits until it is on disk.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(io_at(&self.path))
    }

    /// Begins anew, once a snapshot holds all of it.
    pub(super) fn clear(&mut self) -> Result<(), Error> {
        self.file.set_len(0).map_err(io_at(&self.path))?;
        self.len = 0;
        self.sync()
    }
}

fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let mut head = words(head);
    let len = head.next().and_then(|len| usize::try_from(len).ok()).filter(|len| *len <= FRAME_MAX)?;
    let sum = head.next()?;
    let (frame, behind) = rest.split_at_checked(len)?;
    (crc32c::crc32c(frame) == sum).then_some((frame, behind))
}

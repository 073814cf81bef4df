//! The one small layer through which files are reached.
//!
//! A [`Files`] is one flat folder. [`OsFiles`] is the real one; [`SimFiles`] is its twin for tests,
//! which forgets, tears and refuses as disks do.

mod os;
mod rng;
mod sim;
mod sim_disk;

use std::{
    io::{self, ErrorKind},
    sync::Arc,
    time::{Duration, Instant},
};

pub use os::OsFiles;
pub use sim::{AfterFailedFlush, SimFiles};

/// A flat folder of files.
pub trait Files: Send + Sync + 'static {
    /// Makes an empty file, in place of one of that name.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` when there is none; else what the system says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name, in place of one that had it. Durable after [`Files::sync_dir`].
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn unlink(&self, name: &str) -> io::Result<()>;

    /// Makes names durable: creations, renames, removals.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self) -> io::Result<()>;

    /// The names of all files, in no order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Bytes that may still be written here.
    ///
    /// # Errors
    /// What the system says.
    fn free_space(&self) -> io::Result<u64>;

    /// Takes the folder for this process, until the lock is dropped or the process ends.
    ///
    /// # Errors
    /// [`LockError::Held`] when another holds it.
    fn lock(&self, name: &str) -> Result<Box<dyn Lock>, LockError>;
}

/// An open file; positions are the caller's business.
pub trait File: Send + Sync + 'static {
    /// Writes at `offset` and says how many bytes it took, as the system does: perhaps not all.
    ///
    /// # Errors
    /// What the system says; some bytes may have been written.
    fn pwrite(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Reads at `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn pread(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes everything written so far durable. After an error nothing is known, and asking again
    /// proves nothing.
    ///
    /// # Errors
    /// What the system says.
    fn fdatasync(&self) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// A folder that is taken, for as long as this value lives.
pub trait Lock: Send + Sync {}

/// Why a folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another holds it.
    #[error("held by `{by}`")]
    Held {
        /// What the holder wrote into the lock: its process id.
        by: String,
    },
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes all of `bytes` at `offset`, taking short writes and interruptions into account.
///
/// # Errors
/// What the system says; then some of the bytes may have been written, but never all.
pub fn write_all(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.pwrite(bytes, offset) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(taken) => {
                bytes = bytes.get(taken..).unwrap_or_default();
                offset += taken as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads at `offset` until `into` is full or the file ends; answers how many bytes it got.
///
/// # Errors
/// What the system says.
pub fn read_full(file: &dyn File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = into.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.pread(rest, offset + got as u64) {
            Ok(0) => break,
            Ok(taken) => got += taken,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Reads a whole file.
///
/// # Errors
/// What the system says.
pub fn read_whole(file: &dyn File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    let got = read_full(file, &mut bytes, 0)?;
    bytes.truncate(got);
    Ok(bytes)
}

/// Writes real zeros from the start to `len` and flushes them, so that later flushes of the file
/// change no metadata. `between` is called after each MiB, which is flushed by then, with the time
/// that it took; when it answers an error, that is the end.
///
/// **Cost**: about 1 ms per MiB.
///
/// # Errors
/// What the system says, or what `between` says.
pub fn zero_fill(file: &dyn File, len: u64, between: &dyn Fn(Duration) -> io::Result<()>) -> io::Result<()> {
    const CHUNK: u64 = 1024 * 1024;
    let zeros = vec![0_u8; CHUNK.min(len) as usize];
    let mut at = 0;
    while at < len {
        let started = Instant::now();
        let take = CHUNK.min(len - at);
        write_all(file, zeros.get(..take as usize).unwrap_or_default(), at)?;
        // One long queue of writes would hold up everyone else who flushes on this disk.
        file.fdatasync()?;
        at += take;
        if at < len {
            between(started.elapsed())?;
        }
    }
    Ok(())
}

/// Whether the error says that there is no room.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WriteZero)
}

//! Which seeds stay: those in use, and the newest few of the others.

use std::{
    cmp::Reverse,
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::product::tree;

/// Seeds that are kept beside those in use: a toolchain or a template that was used lately may come
/// back.
const KEPT: usize = 2;

/// The file whose lock is shared by all who use a seed; making one has a lock of its own.
fn used_path(lock: &Path) -> PathBuf {
    lock.with_extension("used")
}

/// Holds the seed of this lock file, so that nobody removes it, and marks it as used now.
pub(super) fn hold(lock: &Path) -> io::Result<File> {
    let mut file = File::options().create(true).append(true).open(used_path(lock))?;
    file.lock_shared()?;
    file.set_len(0)?;
    file.write_all(b"used")?;
    Ok(file)
}

/// Removes what nobody uses: all seeds but the [`KEPT`] that were used last, and what a making that
/// was cut off has left.
///
/// INVARIANT: a folder is removed only by who holds both of its locks alone.
pub(super) fn prune(root: &Path) -> io::Result<()> {
    let mut unused = Vec::new();
    for entry in fs::read_dir(root)? {
        let lock = entry?.path();
        if lock.extension().is_some_and(|end| end == "lock")
            && let (Some(making), Some(using)) = (alone(&lock)?, alone(&used_path(&lock))?)
        {
            let used = making.metadata()?.modified()?.max(using.metadata()?.modified()?);
            unused.push((used, lock, (making, using)));
        }
    }
    unused.sort_by_key(|(used, ..)| Reverse(*used));
    for (index, (_, lock, _locked)) in unused.iter().enumerate() {
        tree::remove(&lock.with_extension("new"))?;
        if index >= KEPT {
            // A part of a seed is none: the mark goes first.
            let folder = lock.with_extension("");
            tree::remove(&folder.join("seed"))?;
            tree::remove(&folder)?;
            // Its locks stay: who waits for one must find the same file as everybody else.
        }
    }
    Ok(())
}

/// The lock of this file, when nobody else has it.
fn alone(path: &Path) -> io::Result<Option<File>> {
    let new = !path.exists();
    let file = File::options().create(true).append(true).open(path)?;
    if new {
        // That we made it says nothing about when it was used.
        file.set_modified(UNIX_EPOCH)?;
    }
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

//! Reactors' cursors: a small file each. One that lags or is lost costs only repeats, which the
//! receivers answer without doing them twice; so nothing here is flushed.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mesh_kernel::ports::{Clock, Cursor, Cursors, Position};
use parking_lot::Mutex;

use crate::telemetry::Followers;

/// The least time between two writes of one cursor.
const WRITE_EVERY: Duration = Duration::from_millis(100);

struct Kept {
    cursor: Cursor,
    written: bool,
    at: Duration,
}

/// Cursors in a folder.
pub struct FolderCursors {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<String, Kept>>,
    reached: Mutex<BTreeMap<String, Position>>,
}

impl FolderCursors {
    /// Cursors in this folder, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_path_buf(), clock, kept: Mutex::default(), reached: Mutex::default() })
    }

    /// Writes what was not written yet: before the node stops, and every now and then.
    pub fn flush(&self) {
        let mut kept = self.kept.lock();
        for (follower, kept) in kept.iter_mut().filter(|(_, kept)| !kept.written) {
            kept.written = self.write(follower, &kept.cursor);
        }
    }

    fn write(&self, follower: &str, cursor: &Cursor) -> bool {
        let path = self.folder.join(follower);
        let fresh = self.folder.join(format!("{follower}.new"));
        let written = fs::write(&fresh, &cursor.0).and_then(|()| fs::rename(&fresh, &path));
        written
            .inspect_err(|error| tracing::warn!(follower, %error, "a cursor could not be written: it will lag"))
            .is_ok()
    }
}

impl Cursors for FolderCursors {
    fn load(&self, follower: &str) -> Option<Cursor> {
        fs::read(self.folder.join(follower)).ok().map(|bytes| Cursor(bytes.into()))
    }

    fn store(&self, follower: &str, cursor: &Cursor) {
        let now = self.clock.monotonic();
        let mut kept = self.kept.lock();
        let last = kept.get(follower).map(|kept| kept.at);
        let due = last.is_none_or(|at| now.saturating_sub(at) >= WRITE_EVERY);
        let written = due && self.write(follower, cursor);
        let at = if due { now } else { last.unwrap_or(now) };
        kept.insert(follower.to_owned(), Kept { cursor: cursor.clone(), written, at });
    }

    fn reached(&self, follower: &str, position: Position) {
        let mut reached = self.reached.lock();
        match reached.get_mut(follower) {
            Some(at) => *at = position,
            None => drop(reached.insert(follower.to_owned(), position)),
        }
    }
}

impl Followers for FolderCursors {
    fn positions(&self) -> BTreeMap<String, Position> {
        self.reached.lock().clone()
    }
}

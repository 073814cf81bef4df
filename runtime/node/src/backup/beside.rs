//! What lies beside the journal and is no cache: copied file by file, each 64 KiB with its checksum.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use mesh_kernel::ports::Digest;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use super::{Error, at, folder};

/// What one checksum covers. **Units**: bytes.
const CHUNK: usize = 64 * 1024;
/// How an SQLite file begins.
const SQLITE: &[u8] = b"SQLite format 3\0";
const ARCHIVE: &str = "archive.sqlite";
/// What products keep beside their data can be made anew: builds, renderings, records of processes.
const OF_A_PRODUCT: [&str; 3] = ["repository.git", "releases", "data"];

/// One file, and what it is checked by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    /// Below the data folder.
    path: PathBuf,
    mode: u32,
    bytes: u64,
    /// Of each 64 KiB.
    checks: Vec<String>,
}

/// Bytes of all of them.
pub(super) fn bytes(items: &[Item]) -> u64 {
    items.iter().map(|item| item.bytes).sum()
}

/// Copies everything out of a data folder.
pub(super) fn take(data: &Path, to: &Path) -> Result<Vec<Item>, Error> {
    let mut taking = Taking { data, to, items: Vec::new() };
    for name in ["operator.key", "mesh.toml"] {
        if data.join(name).exists() {
            taking.file(Path::new(name))?;
        }
    }
    for name in ["cursors", "dead-letters", "deletions"] {
        taking.tree(Path::new(name))?;
    }
    for tenant in names(&data.join("tenants"))? {
        let products = Path::new("tenants").join(&tenant).join("products");
        for product in names(&data.join(&products))? {
            for part in OF_A_PRODUCT {
                taking.tree(&products.join(&product).join(part))?;
            }
        }
    }
    Ok(taking.items)
}

/// Copies the archive: after the journal, for a run is archived before its events end.
pub(super) fn take_archive(data: &Path, to: &Path) -> Result<Vec<Item>, Error> {
    let mut taking = Taking { data, to, items: Vec::new() };
    if data.join(ARCHIVE).exists() {
        taking.file(Path::new(ARCHIVE))?;
    }
    Ok(taking.items)
}

struct Taking<'a> {
    data: &'a Path,
    to: &'a Path,
    items: Vec<Item>,
}

impl Taking<'_> {
    /// A folder with all that is in it; nothing when it is not there. What links lead to is not taken.
    fn tree(&mut self, below: &Path) -> Result<(), Error> {
        let mut names = names(&self.data.join(below))?;
        // Of a repository what names commits goes before the objects: they come to be before they are named.
        names.sort_by_key(|name| name == "objects");
        for name in names {
            let below = below.join(&name);
            let from = self.data.join(&below);
            match fs::symlink_metadata(&from) {
                Ok(found) if found.is_dir() => self.tree(&below)?,
                Ok(found) if found.is_file() && !is_of_sqlite(&from) => self.file(&below)?,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&from)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, below: &Path) -> Result<(), Error> {
        let (from, to) = (self.data.join(below), self.to.join(below));
        if let Some(parent) = to.parent() {
            folder(parent)?;
        }
        let mode = match fs::metadata(&from) {
            // It was a temporary one, or is replaced by another that is listed too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found.map_err(at(&from))?.permissions().mode() & 0o777,
        };
        match is_sqlite(&from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(at(&from)(error)),
            Ok(true) => sqlite(&from, &to)?,
            Ok(false) => drop(fs::copy(&from, &to).map_err(at(&from))?),
        }
        let mut item = Item { path: below.to_owned(), mode, bytes: 0, checks: Vec::new() };
        let copied = fs::File::open(&to).map_err(at(&to))?;
        copied.sync_all().map_err(at(&to))?;
        each_chunk(copied, |chunk, _| {
            item.bytes += chunk.len() as u64;
            item.checks.push(Digest::of(chunk).short());
            Ok(())
        })
        .map_err(at(&to))?;
        self.items.push(item);
        Ok(())
    }
}

/// Copies everything into a data folder, and checks every byte of it.
pub(super) fn restore(from: &Path, items: &[Item], data: &Path) -> Result<(), Error> {
    for item in items {
        let is_below = item.path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let (from, to) = (from.join(&item.path), data.join(&item.path));
        if !is_below {
            return Err(damaged(&from, 0));
        }
        if let Some(parent) = to.parent() {
            folder(parent)?;
        }
        let source = fs::File::open(&from).map_err(at(&from))?;
        let mut copy = fs::File::create(&to).map_err(at(&to))?;
        copy.set_permissions(fs::Permissions::from_mode(item.mode)).map_err(at(&to))?;
        let mut checks = item.checks.iter();
        let (mut wrong, mut len) = (None, 0);
        each_chunk(source, |chunk, offset| {
            if wrong.is_none() && checks.next() != Some(&Digest::of(chunk).short()) {
                wrong = Some(offset);
            }
            len = offset + chunk.len() as u64;
            copy.write_all(chunk)
        })
        .map_err(at(&to))?;
        if let Some(offset) = wrong.or((len != item.bytes).then_some(len)) {
            return Err(damaged(&from, offset));
        }
        copy.sync_all().map_err(at(&to))?;
    }
    Ok(())
}

fn damaged(file: &Path, offset: u64) -> Error {
    Error::Damaged { file: file.to_owned(), offset }
}

fn each_chunk(mut file: fs::File, mut take: impl FnMut(&[u8], u64) -> io::Result<()>) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut offset = 0;
    loop {
        chunk.clear();
        let read = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        take(&chunk, offset)?;
        offset += read as u64;
    }
}

/// What SQLite keeps beside a file is in the copy of the file.
fn is_of_sqlite(path: &Path) -> bool {
    path.to_str().and_then(|path| path.strip_suffix("-wal").or_else(|| path.strip_suffix("-shm"))).is_some()
}

fn is_sqlite(path: &Path) -> io::Result<bool> {
    let mut head = Vec::with_capacity(SQLITE.len());
    fs::File::open(path)?.take(SQLITE.len() as u64).read_to_end(&mut head)?;
    Ok(head == SQLITE)
}

/// An SQLite file as it is at one moment, while a product writes to it.
fn sqlite(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |source| Error::Sqlite { path: from.to_owned(), source };
    let connection = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(30)).map_err(failed)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map_err(failed)?;
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>, Error> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.file_name()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(at(folder)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_products_have_is_copied_while_they_write_and_what_can_be_made_anew_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [data, copy, new] = ["data", "copy", "new"].map(|name| folder.path().join(name));
        let product = Path::new("tenants/acme/products/desk");
        for part in ["data/tenants", "build/target", "repository.git/objects", "releases/ab"] {
            fs::create_dir_all(data.join(product).join(part)).unwrap();
        }
        let program = product.join("releases/ab/app");
        fs::write(data.join(&program), vec![7; 100_000]).unwrap();
        fs::set_permissions(data.join(&program), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(data.join(product).join("build/target/x"), "x").unwrap();
        fs::write(data.join(product).join("repository.git/HEAD"), "ref").unwrap();
        let table = product.join("data/tenants/t.sqlite");
        let open = Connection::open(data.join(&table)).unwrap();
        open.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
        open.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (42); BEGIN; INSERT INTO t VALUES (43)").unwrap();

        let items = take(&data, &copy).unwrap();
        fs::create_dir(&new).unwrap();
        restore(&copy, &items, &new).unwrap();
        assert!(!new.join(product).join("build").exists());
        assert_eq!(fs::read(new.join(product).join("repository.git/HEAD")).unwrap(), b"ref");
        assert_eq!(fs::metadata(new.join(&program)).unwrap().permissions().mode() & 0o777, 0o755);
        let read = Connection::open(new.join(&table)).unwrap();
        let sum: i64 = read.query_row("SELECT sum(x) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 42, "what was not committed is not in it, and what was is");

        let mut bytes = fs::read(copy.join(&program)).unwrap();
        bytes[70_000] ^= 1;
        fs::write(copy.join(&program), bytes).unwrap();
        let told = restore(&copy, &items, &folder.path().join("other")).unwrap_err().to_string();
        assert!(told.contains("releases/ab/app") && told.contains("65536"), "{told}");
    }
}

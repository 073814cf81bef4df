//! Writes whole files, inside one folder only.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Component, Path};

use super::Error;

/// Writes a file below a folder: first beside its place, then moved there, so that nobody ever
/// reads half of it.
pub(super) fn write(into: &Path, path: &str, content: &[u8]) -> Result<(), Error> {
    let relative = inside(path)?;
    let failed = |at: &Path, cause: io::Error| Error::Write { path: at.to_owned(), cause };
    fs::create_dir_all(into).map_err(|cause| failed(into, cause))?;
    let mut folder = into.to_owned();
    let (name, parents) = relative.split_last().ok_or_else(|| Error::Outside(path.to_owned()))?;
    for parent in parents {
        folder.push(parent);
        match fs::symlink_metadata(&folder) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(in_the_way(path, &folder)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&folder).map_err(|cause| failed(&folder, cause))?;
            }
            Err(cause) => return Err(failed(&folder, cause)),
        }
    }
    let target = folder.join(name);
    if fs::symlink_metadata(&target).is_ok_and(|found| !found.is_file()) {
        return Err(in_the_way(path, &target));
    }
    // A file that is the same already keeps its time: cargo would build it anew otherwise.
    if fs::read(&target).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let mut beside = name.clone();
    beside.push(".part");
    let beside = folder.join(beside);
    replace(&beside, &target, content).map_err(|cause| failed(&target, cause))
}

fn replace(beside: &Path, target: &Path, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(beside) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    // `create_new` follows no link that somebody puts there meanwhile.
    let mut file = fs::File::options().write(true).create_new(true).open(beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(beside, target)
}

fn in_the_way(path: &str, at: &Path) -> Error {
    Error::InTheWay { path: path.to_owned(), at: at.to_owned() }
}

/// The parts of a path, if it is plain and relative.
fn inside(path: &str) -> Result<Vec<OsString>, Error> {
    let outside = || Error::Outside(path.to_owned());
    if path.contains(['\\', '\0']) {
        return Err(outside());
    }
    let parts = Path::new(path).components().map(|part| match part {
        Component::Normal(name) => Ok(name.to_owned()),
        _ => Err(outside()),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::render::Error;

    #[test]
    fn a_path_that_leaves_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["/etc/x", "../x", "a/../../x", "./../x", "a\\..\\x", "", "a/\0"] {
            let refusal = write(folder.path(), path, b"x").unwrap_err();
            assert!(matches!(refusal, Error::Outside(_)), "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_on_the_way_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("a")).unwrap();
        let refusal = write(folder.path(), "a/x", b"x").unwrap_err();
        assert!(matches!(refusal, Error::InTheWay { .. }));
        let file = elsewhere.path().join("x");
        std::os::unix::fs::symlink(&file, folder.path().join("y")).unwrap();
        assert!(write(folder.path(), "y", b"x").is_err());
        assert!(!file.exists());
    }

    #[test]
    fn a_file_that_is_the_same_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a/b", b"one").unwrap();
        let path = folder.path().join("a/b");
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        write(folder.path(), "a/b", b"one").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), long_ago);
        write(folder.path(), "a/b", b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
    }
}

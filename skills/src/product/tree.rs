//! Copying and mirroring folders, with times kept: cargo asks the times whether a thing is fresh.

use std::{
    fs::{self, File, FileTimes},
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use tokio_util::sync::CancellationToken;

/// Copies a folder: contents, permissions (made writable for the owner) and times. Blocks of files
/// are shared where the file system can.
///
/// Links and special files are refused: a build has no business making them.
///
/// **Cost** grows with the bytes below `from`. Blocking.
///
/// # Errors
/// What the system says; `Interrupted` when cancelled. The target is half made then.
pub fn copy(from: &Path, to: &Path, cancelled: &CancellationToken) -> io::Result<()> {
    if cancelled.is_cancelled() {
        return Err(io::ErrorKind::Interrupted.into());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&source, &target, cancelled)?;
        } else if kind.is_file() {
            copy_file(&source, &target)?;
        } else {
            return Err(odd(&source));
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let meta = fs::metadata(from)?;
    let mut mode = meta.permissions();
    mode.set_mode(mode.mode() | 0o200);
    fs::set_permissions(to, mode)?;
    let times = FileTimes::new().set_modified(meta.modified()?);
    File::options().write(true).open(to)?.set_times(times)
}

/// Makes `to` hold what `from` holds and nothing else. A file whose content is the same already is
/// not touched and keeps its time; nothing below a name in `kept` (at the top) is touched either.
///
/// Blocking.
///
/// # Errors
/// What the system says; links and special files are refused.
pub fn mirror(from: &Path, to: &Path, kept: &[&str]) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let name = entry?.file_name();
        let known = kept.iter().any(|kept| name == *kept);
        if !known && fs::symlink_metadata(from.join(&name)).is_err() {
            remove(&to.join(&name))?;
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if fs::symlink_metadata(&target).is_ok_and(|meta| !meta.is_dir()) {
                remove(&target)?;
            }
            mirror(&source, &target, &[])?;
        } else if !kind.is_file() {
            return Err(odd(&source));
        } else if !same(&source, &target)? {
            remove(&target)?;
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

/// Removes a file or a folder, also a read-only one. None there is no error.
///
/// # Errors
/// What the system says.
pub fn remove(path: &Path) -> io::Result<()> {
    let meta = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !meta.is_dir() {
        return fs::remove_file(path);
    }
    if meta.permissions().mode() & 0o700 != 0o700 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}

/// Takes the right to write from everything below `path`, and from it.
///
/// # Errors
/// What the system says.
pub fn make_read_only(path: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return Ok(());
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            make_read_only(&entry?.path())?;
        }
    }
    let mut mode = meta.permissions();
    mode.set_mode(mode.mode() & !0o222);
    fs::set_permissions(path, mode)
}

fn same(a: &Path, b: &Path) -> io::Result<bool> {
    let Ok(meta) = fs::symlink_metadata(b) else { return Ok(false) };
    let source = fs::metadata(a)?;
    let alike = meta.is_file()
        && meta.len() == source.len()
        && meta.permissions().mode() & 0o111 == source.permissions().mode() & 0o111;
    if !alike {
        return Ok(false);
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    File::open(a)?.read_to_end(&mut left)?;
    File::open(b)?.read_to_end(&mut right)?;
    Ok(left == right)
}

fn odd(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("`{}` is neither a file nor a folder", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_copy_keeps_times_and_can_be_written_where_the_original_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        write(&from.join("a/b.txt"), "x");
        let old = UNIX_EPOCH + Duration::new(1_000_000, 123_456_000);
        let file = File::options().write(true).open(from.join("a/b.txt")).unwrap();
        file.set_times(FileTimes::new().set_modified(old)).unwrap();
        make_read_only(&from).unwrap();
        copy(&from, &to, &CancellationToken::new()).unwrap();
        let meta = fs::metadata(to.join("a/b.txt")).unwrap();
        assert_eq!(meta.modified().unwrap(), old);
        assert!(!meta.permissions().readonly());
        assert!(fs::metadata(from.join("a/b.txt")).unwrap().permissions().readonly());
        remove(&from).unwrap();
        remove(&from).unwrap();
    }

    #[test]
    fn a_mirror_touches_what_changed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for (name, text) in [("same", "1"), ("changed", "2"), ("d/new", "3"), ("was-folder", "4")] {
            write(&from.join(name), text);
        }
        for (name, text) in [("same", "1"), ("changed", "0"), ("gone/x", "9"), ("was-folder/x", "9"), ("target/x", "k")]
        {
            write(&to.join(name), text);
        }
        let old = UNIX_EPOCH + Duration::from_secs(1_000_000);
        for name in ["same", "changed"] {
            let file = File::options().write(true).open(to.join(name)).unwrap();
            file.set_times(FileTimes::new().set_modified(old)).unwrap();
        }
        mirror(&from, &to, &["target"]).unwrap();
        let modified = |name: &str| fs::metadata(to.join(name)).unwrap().modified().unwrap();
        assert_eq!(modified("same"), old);
        assert_ne!(modified("changed"), old);
        assert_eq!(fs::read_to_string(to.join("changed")).unwrap(), "2");
        assert_eq!(fs::read_to_string(to.join("d/new")).unwrap(), "3");
        assert_eq!(fs::read_to_string(to.join("was-folder")).unwrap(), "4");
        assert_eq!(fs::read_to_string(to.join("target/x")).unwrap(), "k");
        assert!(!to.join("gone").exists());
    }

    #[test]
    fn a_link_is_neither_copied_nor_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        write(&folder.path().join("outside/secret"), "x");
        fs::create_dir_all(&from).unwrap();
        std::os::unix::fs::symlink(folder.path().join("outside"), from.join("link")).unwrap();
        assert!(copy(&from, &to, &CancellationToken::new()).is_err());
        assert!(mirror(&from, &to, &[]).is_err());
        remove(&from).unwrap();
        assert!(folder.path().join("outside/secret").exists());
    }
}

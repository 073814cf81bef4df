//! The real files.

use std::{
    fs::{self, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{File, Files, Lock, LockError};

/// A folder of the file system.
#[derive(Debug)]
pub struct OsFiles {
    folder: PathBuf,
    /// Open for as long as the folder is used: it is what a sync of names needs.
    handle: fs::File,
}

impl OsFiles {
    /// Opens a folder, making it and those above it when they are missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(folder: &Path) -> io::Result<Self> {
        if !folder.is_dir() {
            fs::create_dir_all(folder)?;
            for parent in folder.ancestors().skip(1).take(2) {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                fs::File::open(parent)?.sync_all()?;
            }
        }
        Ok(Self { folder: folder.to_owned(), handle: fs::File::open(folder)? })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        // Events and bodies are their tenants' own: nobody else on the machine reads them.
        options.read(true).write(true).mode(0o600);
        options
    }
}

impl Files for OsFiles {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = Self::options().create(true).truncate(true).open(self.folder.join(name))?;
        Ok(Arc::new(OsFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(OsFile(Self::options().open(self.folder.join(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn free_space(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.handle)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, name: &str) -> Result<Box<dyn Lock>, LockError> {
        let mut file = Self::options().create(true).truncate(false).open(self.folder.join(name))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut by = String::new();
                file.read_to_string(&mut by)?;
                return Err(LockError::Held { by: by.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Box::new(OsLock(file)))
    }
}

/// The lock goes when the file is closed, by us or by the system when the process ends.
struct OsLock(#[expect(dead_code, reason = "held for its drop")] fs::File);

impl Lock for OsLock {}

struct OsFile(fs::File);

impl File for OsFile {
    fn pwrite(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn pread(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn fdatasync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

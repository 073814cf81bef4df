//! Damage to what lies on disk, as a bad sector would do it, and its repair.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// One byte that was changed. Dropping it changes nothing: the damage stays.
#[derive(Debug)]
pub struct Damage {
    path: PathBuf,
    offset: u64,
}

impl Damage {
    /// Puts the byte back as it was.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn mend(self) -> Result<()> {
        change(&self.path, self.offset)
    }
}

/// Flips a bit within the first place where `mark` stands in the files of a folder, such as the
/// journal of a running node.
///
/// # Errors
/// When it stands nowhere.
pub fn flip(folder: &Path, mark: &str) -> Result<Damage> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_file() {
            continue;
        }
        let bytes = fs::read(&path)?;
        if let Some(at) = bytes.windows(mark.len()).position(|window| window == mark.as_bytes()) {
            let damage = Damage { path, offset: at as u64 };
            change(&damage.path, damage.offset)?;
            return Ok(damage);
        }
    }
    Err(anyhow::anyhow!("`{mark}` stands nowhere")).with_context(|| format!("in {}", folder.display()))
}

fn change(path: &Path, offset: u64) -> Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    Ok(file.write_all_at(&byte.map(|byte| byte ^ 1), offset)?)
}

//! What can be learned of a store without opening it, while another process may have it.

use std::{fs, io, path::Path};

use super::log::{numbers::u32_at, segment::FORMAT};

/// The format of a store, beside the one that this program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats {
    /// The format in which it was written.
    pub found: u32,
    /// The oldest program that can read it.
    pub min_reader: u32,
    /// The format of this program.
    pub ours: u32,
}

impl Formats {
    /// Reads what the store in this folder says of itself; `None` when there is no store.
    ///
    /// # Errors
    /// When the file cannot be read, or is no store's.
    pub fn of(folder: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(folder.join("store")) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let formats = bytes
            .starts_with(b"MESHSTOR")
            .then(|| Some(Self { found: u32_at(&bytes, 8)?, min_reader: u32_at(&bytes, 12)?, ours: FORMAT }));
        let none = || io::Error::new(io::ErrorKind::InvalidData, "the file `store` does not begin as a store's");
        formats.flatten().ok_or_else(none).map(Some)
    }

    /// Whether this program can read it.
    pub fn is_readable(&self) -> bool {
        self.min_reader <= self.ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EmbeddedJournal, Options};

    #[tokio::test]
    async fn a_store_says_its_format_while_it_is_open() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Formats::of(folder.path()).unwrap(), None);
        let _journal = EmbeddedJournal::open(folder.path(), Options::default()).unwrap();
        let formats = Formats::of(folder.path()).unwrap().unwrap();
        assert_eq!((formats.found, formats.ours), (FORMAT, FORMAT));
        assert!(formats.is_readable());
        fs::write(folder.path().join("store"), b"something").unwrap();
        assert!(Formats::of(folder.path()).is_err());
    }
}

//! What lies where in the data folder, and how a client finds the node that runs on it.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The data folder of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder(PathBuf);

/// Where a running node answers, as `node.json` in its data folder says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Address of gRPC, `http://…`.
    pub grpc: String,
    /// Address of the pages, `http://…`.
    pub http: String,
    /// The process.
    pub pid: u32,
}

impl DataFolder {
    /// The folder at this path; nothing is made.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the node of a `mesh run` writes about itself.
    pub fn log(&self) -> PathBuf {
        self.0.join("node.log")
    }

    /// The key of the first start, readable by its owner alone.
    pub fn operator_key(&self) -> PathBuf {
        self.0.join("operator.key")
    }

    fn running_file(&self) -> PathBuf {
        self.0.join("node.json")
    }

    /// Where the node that runs here answers; `None` when no node said so.
    ///
    /// A killed node leaves its file behind: whoever reads it must be ready to find nobody there.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn running(&self) -> io::Result<Option<Running>> {
        match fs::read(self.running_file()) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says where the node answers that now runs here.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn say_running(&self, running: &Running) -> io::Result<()> {
        let fresh = self.0.join("node.new");
        fs::write(&fresh, serde_json::to_vec(running)?)?;
        fs::rename(&fresh, self.running_file())
    }

    /// Says that no node runs here any more.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn say_stopped(&self) -> io::Result<()> {
        match fs::remove_file(self.running_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The key that the first start left here; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, or others than its owner can read it.
    pub fn read_operator_key(&self) -> io::Result<Option<String>> {
        let path = self.operator_key();
        let mode = match fs::metadata(&path) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if mode & 0o077 != 0 {
            let message = format!(
                "`{}` can be read by others than its owner: `chmod 600` it, and revoke the key if anybody did",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(Some(fs::read_to_string(path)?.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_finds_what_the_node_said() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::at(folder.path());
        assert_eq!(data.running().unwrap(), None);
        let said = r#"{"pid":7,"grpc":"http://127.0.0.1:1","http":"http://127.0.0.1:2"}"#;
        fs::write(data.path().join("node.json"), said).unwrap();
        assert_eq!(data.running().unwrap().unwrap().grpc, "http://127.0.0.1:1");
        fs::write(data.path().join("node.json"), "{").unwrap();
        assert!(data.running().is_err());
    }

    #[test]
    fn a_key_that_others_can_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::at(folder.path());
        assert_eq!(data.read_operator_key().unwrap(), None);
        fs::write(data.operator_key(), "secret\n").unwrap();
        fs::set_permissions(data.operator_key(), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(data.read_operator_key().unwrap().as_deref(), Some("secret"));
        fs::set_permissions(data.operator_key(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(data.read_operator_key().unwrap_err().to_string().contains("chmod 600"));
    }
}
